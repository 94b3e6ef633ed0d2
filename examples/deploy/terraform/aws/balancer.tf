resource "aws_lb" "nlb" {
  count                            = var.balancer == "nlb" ? 1 : 0
  name                             = var.name
  load_balancer_type               = local.nlb.load_balancer.load_balancer_type
  enable_cross_zone_load_balancing = local.nlb.load_balancer.enable_cross_zone_load_balancing
  security_groups                  = [aws_security_group.balancer.id]
  subnets                          = var.balancer_subnet_ids
}

resource "aws_lb_listener" "nlb" {
  count                    = var.balancer == "nlb" ? 1 : 0
  load_balancer_arn        = aws_lb.nlb[0].arn
  port                     = local.nlb.listener.port
  protocol                 = local.nlb.listener.protocol
  tcp_idle_timeout_seconds = local.nlb.listener.tcp_idle_timeout_seconds

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.nlb[0].arn
  }
}

resource "aws_lb_target_group" "nlb" {
  count                  = var.balancer == "nlb" ? 1 : 0
  name                   = "${var.name}-tls"
  vpc_id                 = var.vpc_id
  target_type            = local.target_type
  port                   = local.nlb.target_group.port
  protocol               = local.nlb.target_group.protocol
  proxy_protocol_v2      = local.nlb.target_group.proxy_protocol_v2
  preserve_client_ip     = local.nlb.target_group.preserve_client_ip
  deregistration_delay   = local.nlb.target_group.deregistration_delay
  connection_termination = local.nlb.target_group.connection_termination

  target_health_state {
    enable_unhealthy_connection_termination = local.nlb.target_health_state.enable_unhealthy_connection_termination
    unhealthy_draining_interval             = local.nlb.target_health_state.unhealthy_draining_interval
  }

  health_check {
    enabled             = local.nlb.health_check.enabled
    protocol            = local.nlb.health_check.protocol
    path                = local.nlb.health_check.path
    matcher             = local.nlb.health_check.matcher
    port                = local.nlb.health_check.port
    interval            = local.nlb.health_check.interval
    timeout             = local.nlb.health_check.timeout
    healthy_threshold   = local.nlb.health_check.healthy_threshold
    unhealthy_threshold = local.nlb.health_check.unhealthy_threshold
  }
}

resource "aws_lb" "alb" {
  count                                       = var.balancer == "alb" ? 1 : 0
  name                                        = var.name
  load_balancer_type                          = local.alb.load_balancer.load_balancer_type
  idle_timeout                                = local.alb.load_balancer.idle_timeout
  desync_mitigation_mode                      = local.alb.load_balancer.desync_mitigation_mode
  drop_invalid_header_fields                  = local.alb.load_balancer.drop_invalid_header_fields
  preserve_host_header                        = local.alb.load_balancer.preserve_host_header
  xff_header_processing_mode                  = local.alb.load_balancer.xff_header_processing_mode
  enable_xff_client_port                      = local.alb.load_balancer.enable_xff_client_port
  enable_tls_version_and_cipher_suite_headers = local.alb.load_balancer.enable_tls_version_and_cipher_suite_headers
  security_groups                             = [aws_security_group.balancer.id]
  subnets                                     = var.balancer_subnet_ids
}

resource "aws_lb_listener" "alb" {
  count             = var.balancer == "alb" ? 1 : 0
  load_balancer_arn = aws_lb.alb[0].arn
  port              = local.alb.listener.port
  protocol          = local.alb.listener.protocol
  ssl_policy        = local.alb.listener.ssl_policy
  certificate_arn   = var.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.alb[0].arn
  }
}

resource "aws_lb_target_group" "alb" {
  count                         = var.balancer == "alb" ? 1 : 0
  name                          = "${var.name}-http"
  vpc_id                        = var.vpc_id
  target_type                   = local.target_type
  port                          = local.alb.target_group.port
  protocol                      = local.alb.target_group.protocol
  protocol_version              = local.alb.target_group.protocol_version
  deregistration_delay          = local.alb.target_group.deregistration_delay
  load_balancing_algorithm_type = local.alb.target_group.load_balancing_algorithm_type

  health_check {
    enabled             = local.alb.health_check.enabled
    protocol            = local.alb.health_check.protocol
    path                = local.alb.health_check.path
    matcher             = local.alb.health_check.matcher
    port                = local.alb.health_check.port
    interval            = local.alb.health_check.interval
    timeout             = local.alb.health_check.timeout
    healthy_threshold   = local.alb.health_check.healthy_threshold
    unhealthy_threshold = local.alb.health_check.unhealthy_threshold
  }
}
