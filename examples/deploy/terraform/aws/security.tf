# A chain: the world reaches the balancer, the balancer the gateways, the gateways the backend. Each link names the
# security group before it, so that nobody else can take its place.

resource "aws_security_group" "balancer" {
  name_prefix = "${var.name}-balancer-"
  description = "The balancer in front of the gateways"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "world_to_balancer" {
  security_group_id = aws_security_group.balancer.id
  description       = "Clients"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "balancer_to_gateway" {
  for_each                     = { traffic = local.target_port, probes = local.health_port }
  security_group_id            = aws_security_group.balancer.id
  description                  = "Gateways: ${each.key}"
  referenced_security_group_id = aws_security_group.gateway.id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_security_group" "gateway" {
  name_prefix = "${var.name}-gateway-"
  description = "The gateways"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "balancer_to_gateway" {
  for_each                     = { traffic = local.target_port, probes = local.health_port }
  security_group_id            = aws_security_group.gateway.id
  description                  = "The balancer: ${each.key}"
  referenced_security_group_id = aws_security_group.balancer.id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_vpc_security_group_egress_rule" "gateway_to_backend" {
  security_group_id            = aws_security_group.gateway.id
  description                  = "The backend"
  referenced_security_group_id = var.backend_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.backend_port
  to_port                      = var.backend_port
}

resource "aws_vpc_security_group_egress_rule" "gateway_to_https" {
  security_group_id = aws_security_group.gateway.id
  description       = "Issuers' keys, secrets, images, logs"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "gateway_to_backend" {
  security_group_id            = var.backend_security_group_id
  description                  = "Only gateways"
  referenced_security_group_id = aws_security_group.gateway.id
  ip_protocol                  = "tcp"
  from_port                    = var.backend_port
  to_port                      = var.backend_port
}
