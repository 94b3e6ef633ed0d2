# The decisions of a deployment, without a cloud: what the balancer, the gateway and the orchestrator have to agree about.
# No provider is used, so `terraform test` shows them anywhere.

terraform {
  required_version = ">= 1.6"
}

locals {
  # What the profiles of elb know, in modules/elb: a test compares them.
  alb_default_idle_timeout = 60
  alb_max_request_head     = 81920
  nlb_default_idle_timeout = 350
  idle_margin              = 30  # that elb adds
  idle_at_least            = 300 # of elb

  # Until when a balancer may still send requests to a gateway that is not ready any more.
  detection = var.health_check.interval * var.health_check.unhealthy_threshold + var.health_check.timeout

  # What the orchestrator gives a gateway before it kills it.
  stop_timeout = var.shutdown_delay + var.grace_period + 10

  # What elb sets where the policy does not.
  alb_gateway_idle = coalesce(var.gateway_idle_timeout, max(local.idle_at_least, local.alb_default_idle_timeout + local.idle_margin))
  nlb_gateway_idle = coalesce(var.gateway_idle_timeout, max(local.idle_at_least, local.nlb_default_idle_timeout + local.idle_margin))
  max_header       = coalesce(var.gateway_max_header, local.alb_max_request_head)

  health_check = {
    enabled             = true
    protocol            = "HTTP"
    path                = "/readyz"
    matcher             = "200"
    port                = tostring(var.health_check.port)
    interval            = var.health_check.interval
    timeout             = var.health_check.timeout
    healthy_threshold   = var.health_check.healthy_threshold
    unhealthy_threshold = var.health_check.unhealthy_threshold
  }
}

# What has to hold between the numbers. A plan in which it does not is refused, and says why.
resource "terraform_data" "agreement" {
  input = var.policy_digest

  lifecycle {
    precondition {
      condition     = local.detection < var.shutdown_delay
      error_message = "The balancer notices after ${local.detection} s, and the gateway closes after a shutdown_delay of ${var.shutdown_delay} s: requests would meet a closed port."
    }
    precondition {
      condition     = local.stop_timeout <= 120
      error_message = "shutdown_delay and grace_period are ${var.shutdown_delay + var.grace_period} s. ECS on Fargate kills a task after at most 120 s, 10 of which are for ending."
    }
    precondition {
      condition     = var.deregistration_delay >= var.grace_period
      error_message = "Targets are taken away after a deregistration_delay of ${var.deregistration_delay} s, and requests may take the grace_period of ${var.grace_period} s."
    }
    precondition {
      condition     = local.alb_gateway_idle > var.alb_idle_timeout
      error_message = "The gateway closes idle connections after ${local.alb_gateway_idle} s, the ALB keeps them for ${var.alb_idle_timeout} s: it would answer 502."
    }
    precondition {
      condition     = local.nlb_gateway_idle > var.nlb_idle_timeout
      error_message = "The gateway closes idle connections after ${local.nlb_gateway_idle} s, the NLB keeps them for ${var.nlb_idle_timeout} s; elb refuses that."
    }
    precondition {
      condition     = local.max_header >= local.alb_max_request_head
      error_message = "An ALB passes ${local.alb_max_request_head} bytes of request line and headers on, and the gateway refuses more than ${local.max_header}: 431 at random."
    }
  }
}
