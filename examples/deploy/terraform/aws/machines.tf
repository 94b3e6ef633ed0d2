# Machines made of a snapshot: a release is another AMI, and every machine is replaced.

resource "aws_launch_template" "gateway" {
  count                  = var.run_on == "machines" ? 1 : 0
  name_prefix            = "${var.name}-"
  image_id               = var.ami
  instance_type          = var.instance_type
  user_data              = base64encode(module.policy.user_data)
  vpc_security_group_ids = [aws_security_group.gateway.id]
  update_default_version = true

  iam_instance_profile {
    arn = var.instance_profile_arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  tag_specifications {
    resource_type = "instance"
    tags          = { Name = var.name, PolicyDigest = module.policy.policy_digest }
  }

  lifecycle {
    precondition {
      condition     = var.ami != null
      error_message = "Machines need an ami."
    }
  }
}

resource "aws_autoscaling_group" "gateway" {
  count                     = var.run_on == "machines" ? 1 : 0
  name                      = var.name
  min_size                  = var.replicas
  max_size                  = var.replicas * 2
  desired_capacity          = var.replicas
  vpc_zone_identifier       = var.gateway_subnet_ids
  target_group_arns         = [local.target_group]
  health_check_type         = "ELB"
  health_check_grace_period = module.policy.instance_refresh.instance_warmup
  wait_for_elb_capacity     = var.replicas

  # A number, not $Latest: with that, a refresh cannot be rolled back.
  launch_template {
    id      = aws_launch_template.gateway[0].id
    version = aws_launch_template.gateway[0].latest_version
  }

  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = module.policy.instance_refresh.min_healthy_percentage
      max_healthy_percentage = module.policy.instance_refresh.max_healthy_percentage
      instance_warmup        = module.policy.instance_refresh.instance_warmup
      auto_rollback          = module.policy.instance_refresh.auto_rollback
      skip_matching          = module.policy.instance_refresh.skip_matching

      dynamic "alarm_specification" {
        for_each = length(var.alarms) > 0 ? [var.alarms] : []
        content {
          alarms = alarm_specification.value
        }
      }
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}
