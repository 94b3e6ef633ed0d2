variable "name" {
  type    = string
  default = "sallyport"
}

variable "balancer" {
  description = "nlb passes TCP through, and TLS ends at the gateway; alb ends TLS."
  type        = string
  default     = "nlb"
  validation {
    condition     = contains(["nlb", "alb"], var.balancer)
    error_message = "balancer is nlb or alb."
  }
}

variable "run_on" {
  description = "machines made of a snapshot (Packer), or containers (ECS on Fargate)."
  type        = string
  default     = "containers"
  validation {
    condition     = contains(["machines", "containers"], var.run_on)
    error_message = "run_on is machines or containers."
  }
}

variable "vpc_id" {
  type = string
}

variable "balancer_subnet_ids" {
  type = list(string)
}

variable "balancer_cidrs" {
  description = "The prefixes of those subnets: `from` of the policy."
  type        = list(string)
}

variable "gateway_subnet_ids" {
  type = list(string)
}

variable "backend_security_group_id" {
  description = "Of the service: it gets the rule that gateways may come in."
  type        = string
}

variable "backend_port" {
  type    = number
  default = 8080
}

variable "certificate_arn" {
  description = "Of the ALB's listener; behind an NLB the certificate is a secret of the gateway."
  type        = string
  default     = null
}

variable "replicas" {
  type    = number
  default = 3
  validation {
    condition     = var.replicas >= 2
    error_message = "replicas is at least 2: one gateway cannot be replaced without a gap where it fails."
  }
}

# What a release is: these three, which belong together. To go back, apply those of the release before.

variable "policy_digest" {
  description = "What `caddy sallyport digest` says."
  type        = string
}

variable "image" {
  description = "The container image by digest, for containers."
  type        = string
  default     = null
}

variable "ami" {
  description = "The snapshot, for machines."
  type        = string
  default     = null
}

variable "instance_type" {
  type    = string
  default = "c7g.large"
}

variable "secrets" {
  description = "By file name below /run/secrets, the ARNs of AWS Secrets Manager."
  type        = map(string)
  default     = {}
}

variable "secrets_image" {
  description = "An image with sh and the aws command, by digest, which fetches the secrets of a container."
  type        = string
  default     = null
}

variable "task_role_arn" {
  description = "May read the secrets."
  type        = string
  default     = null
}

variable "execution_role_arn" {
  description = "Pulls the image and writes logs."
  type        = string
  default     = null
}

variable "instance_profile_arn" {
  description = "May read the secrets, for machines."
  type        = string
  default     = null
}

variable "log_group" {
  type    = string
  default = null
}

variable "alarms" {
  description = "Names of CloudWatch alarms that end a replacement and take it back, such as of 5xx answers of the balancer."
  type        = list(string)
  default     = []
}
