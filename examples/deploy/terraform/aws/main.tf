# AWS around the decisions of ../policy, which say every number and every switch.

module "policy" {
  source         = "../policy"
  balancer_cidrs = var.balancer_cidrs
  policy_digest  = var.policy_digest
  image          = var.image
  secrets        = var.secrets
}

locals {
  nlb          = module.policy.nlb
  alb          = module.policy.alb
  health_port  = tonumber(module.policy.nlb.health_check.port)
  target_type  = var.run_on == "containers" ? "ip" : "instance"
  target_port  = var.balancer == "nlb" ? local.nlb.target_group.port : local.alb.target_group.port
  target_group = var.balancer == "nlb" ? aws_lb_target_group.nlb[0].arn : aws_lb_target_group.alb[0].arn
}

data "aws_region" "here" {}
