# What may be chosen. Times are seconds.

variable "shutdown_delay" {
  description = "The policy's shutdown_delay: after SIGTERM the gateway is not ready, and serves on for so long."
  type        = number
  default     = 20
  validation {
    condition     = var.shutdown_delay >= 1 && floor(var.shutdown_delay) == var.shutdown_delay
    error_message = "shutdown_delay is a whole number of seconds, and not 0: the balancer has to notice first."
  }
}

variable "grace_period" {
  description = "The policy's grace_period: how long requests under way are given after that."
  type        = number
  default     = 30
  validation {
    condition     = var.grace_period >= 1 && floor(var.grace_period) == var.grace_period
    error_message = "grace_period is a whole number of seconds, and not 0: requests under way would be cut."
  }
}

variable "health_check" {
  description = "The balancer's probe of /readyz."
  type = object({
    port                = optional(number, 8081)
    interval            = optional(number, 5)
    timeout             = optional(number, 4)
    healthy_threshold   = optional(number, 2)
    unhealthy_threshold = optional(number, 2)
  })
  default = {}
  validation {
    condition     = var.health_check.interval >= 5 && var.health_check.interval <= 300
    error_message = "health_check.interval is from 5 to 300."
  }
  validation {
    condition     = var.health_check.timeout >= 2 && var.health_check.timeout < var.health_check.interval
    error_message = "health_check.timeout is from 2 to less than the interval."
  }
  validation {
    condition = alltrue([for n in [var.health_check.healthy_threshold, var.health_check.unhealthy_threshold] :
    n >= 2 && n <= 10])
    error_message = "health_check.healthy_threshold and unhealthy_threshold are from 2 to 10."
  }
  validation {
    condition     = var.health_check.port > 1024 && var.health_check.port < 65536
    error_message = "health_check.port is one that a gateway without privileges can have."
  }
}

variable "deregistration_delay" {
  description = "How long a balancer leaves connections to a target that it was told to take out. Orchestrators end the gateway after it."
  type        = number
  default     = 60
  validation {
    condition     = var.deregistration_delay >= 0 && var.deregistration_delay <= 3600
    error_message = "deregistration_delay is from 0 to 3600."
  }
}

variable "alb_idle_timeout" {
  description = "How long an ALB keeps an idle connection to the gateway. With more than 60, raise `timeouts idle` of the policy."
  type        = number
  default     = 60
  validation {
    condition     = var.alb_idle_timeout >= 1 && var.alb_idle_timeout <= 4000
    error_message = "alb_idle_timeout is from 1 to 4000."
  }
}

variable "nlb_idle_timeout" {
  description = "How long an NLB keeps an idle TCP flow."
  type        = number
  default     = 350
  validation {
    condition     = var.nlb_idle_timeout >= 60 && var.nlb_idle_timeout <= 6000
    error_message = "nlb_idle_timeout is from 60 to 6000."
  }
}

variable "gateway_idle_timeout" {
  description = "`timeouts idle` of the policy's servers; null where the policy leaves it to elb, which follows the balancer's defaults."
  type        = number
  default     = null
}

variable "gateway_max_header" {
  description = "`max_header_size` of the policy, in bytes; null where the policy leaves it to elb."
  type        = number
  default     = null
}

variable "balancer_cidrs" {
  description = "The balancer's subnets: `from` of the policy, and who may connect to gateways."
  type        = list(string)
  validation {
    condition     = length(var.balancer_cidrs) > 0 && alltrue([for c in var.balancer_cidrs : can(cidrhost(c, 0))])
    error_message = "balancer_cidrs has at least one prefix, and nothing else."
  }
  validation {
    condition     = alltrue([for c in var.balancer_cidrs : try(tonumber(split("/", c)[1]) >= (strcontains(c, ":") ? 48 : 8), false)])
    error_message = "balancer_cidrs are subnets of yours: not everybody."
  }
}

variable "image" {
  description = "The container image, by digest: what runs is what was tested."
  type        = string
  default     = null
  validation {
    condition     = var.image == null || can(regex("^[^@]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image is named by its digest: repository@sha256:…"
  }
}

variable "policy_digest" {
  description = "What `caddy sallyport digest` says of the policy in the image or snapshot."
  type        = string
  validation {
    condition     = can(regex("^sha256:[0-9a-f]{64}$", var.policy_digest))
    error_message = "policy_digest is what caddy sallyport digest prints."
  }
}

variable "secrets" {
  description = "Secrets of the gateway by file name, as references for the machine to fetch: never their values."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for ref in values(var.secrets) : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$", ref))])
    error_message = "secrets are ARNs of AWS Secrets Manager, not values."
  }
  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)?$", name))])
    error_message = "secrets are named by files, one folder deep at most."
  }
}
