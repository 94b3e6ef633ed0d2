output "stop_timeout" {
  description = "stopTimeout of ECS, terminationGracePeriodSeconds of Kubernetes, TimeoutStopSec of systemd."
  value       = local.stop_timeout
}

output "detection" {
  description = "After how many seconds the balancer has noticed that a gateway leaves, at the latest."
  value       = local.detection
}

output "balancer_cidrs" {
  value = var.balancer_cidrs
}

output "policy_digest" {
  description = "Of the policy; waits for the agreement of all numbers."
  value       = terraform_data.agreement.output
}

output "image" {
  value = var.image
}

# A Network Load Balancer that passes TCP through: TLS ends at the gateway, the client is in the PROXY header.
output "nlb" {
  value = {
    load_balancer = {
      load_balancer_type               = "network"
      enable_cross_zone_load_balancing = true
    }
    listener = {
      port                     = 443
      protocol                 = "TCP"
      tcp_idle_timeout_seconds = var.nlb_idle_timeout
    }
    target_group = {
      port              = 8443
      protocol          = "TCP"
      proxy_protocol_v2 = true
      # Connections come from the balancer: from the policy's `from`, and past nobody.
      preserve_client_ip     = false
      deregistration_delay   = var.deregistration_delay
      connection_termination = false
    }
    # An NLB cuts the connections of a target that becomes unhealthy, unless told otherwise: those of a gateway that
    # leaves in good order.
    target_health_state = {
      enable_unhealthy_connection_termination = false
      unhealthy_draining_interval             = local.stop_timeout
    }
    health_check = local.health_check
  }
}

# An Application Load Balancer: TLS ends there, the client is the last entry of X-Forwarded-For.
output "alb" {
  value = {
    load_balancer = {
      load_balancer_type                          = "application"
      idle_timeout                                = var.alb_idle_timeout
      desync_mitigation_mode                      = "strictest"
      drop_invalid_header_fields                  = true
      preserve_host_header                        = true
      xff_header_processing_mode                  = "append"
      enable_xff_client_port                      = false
      enable_tls_version_and_cipher_suite_headers = true
    }
    listener = {
      port       = 443
      protocol   = "HTTPS"
      ssl_policy = "ELBSecurityPolicy-TLS13-1-2-2021-06"
    }
    target_group = {
      port                          = 8080
      protocol                      = "HTTP"
      protocol_version              = "HTTP1"
      deregistration_delay          = var.deregistration_delay
      load_balancing_algorithm_type = "least_outstanding_requests"
    }
    health_check = local.health_check
  }
}

# What a machine made of a snapshot does at its first start: it fetches its secrets and starts the gateway. Nothing of
# the policy is in it.
output "user_data" {
  value = templatefile("${path.module}/user-data.sh.tftpl", {
    secrets       = var.secrets
    policy_digest = terraform_data.agreement.output
  })
}

# What a task of ECS does before the gateway starts: the same, into a volume that the two share.
output "fetch_secrets" {
  value = templatefile("${path.module}/fetch-secrets.sh.tftpl", { secrets = var.secrets })
}

output "ecs" {
  description = "A rolling replacement that goes back by itself."
  value = {
    deployment_minimum_healthy_percent = 100
    deployment_maximum_percent         = 200
    health_check_grace_period_seconds  = 60
    stop_timeout                       = local.stop_timeout
  }
}

output "instance_refresh" {
  description = "The same for machines."
  value = {
    min_healthy_percentage = 100
    max_healthy_percentage = 200
    auto_rollback          = true
    skip_matching          = true
    instance_warmup        = 60
  }
}
