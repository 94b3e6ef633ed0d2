output "address" {
  description = "Of the balancer."
  value       = var.balancer == "nlb" ? aws_lb.nlb[0].dns_name : aws_lb.alb[0].dns_name
}

output "gateway_security_group_id" {
  value = aws_security_group.gateway.id
}
