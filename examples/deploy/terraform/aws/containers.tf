# Containers on Fargate: a release is another digest, and every task is replaced.

resource "aws_ecs_cluster" "gateway" {
  count = var.run_on == "containers" ? 1 : 0
  name  = var.name
}

resource "aws_ecs_task_definition" "gateway" {
  count                    = var.run_on == "containers" ? 1 : 0
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 512
  memory                   = 1024
  task_role_arn            = var.task_role_arn
  execution_role_arn       = var.execution_role_arn
  # A rollback by hand goes to a revision of before: they are kept.
  skip_destroy = true

  volume {
    name = "run"
  }
  volume {
    name = "secrets"
  }

  container_definitions = jsonencode([
    {
      name        = "secrets"
      image       = var.secrets_image
      essential   = false
      entryPoint  = ["sh", "-c"]
      command     = [module.policy.fetch_secrets]
      mountPoints = [{ sourceVolume = "secrets", containerPath = "/run/secrets" }]
    },
    {
      name                   = "gateway"
      image                  = module.policy.image
      essential              = true
      user                   = "65532:65532"
      readonlyRootFilesystem = true
      stopTimeout            = module.policy.ecs.stop_timeout
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      dependsOn              = [{ containerName = "secrets", condition = "SUCCESS" }]
      portMappings           = [for port in [local.target_port, local.health_port] : { containerPort = port, protocol = "tcp" }]
      dockerLabels           = { "dev.sallyport.policy.digest" = module.policy.policy_digest }
      mountPoints = [
        { sourceVolume = "run", containerPath = "/run/caddy" },
        { sourceVolume = "secrets", containerPath = "/run/secrets", readOnly = true },
      ]
      logConfiguration = var.log_group == null ? null : {
        logDriver = "awslogs"
        options = {
          awslogs-group         = var.log_group
          awslogs-region        = data.aws_region.here.region
          awslogs-stream-prefix = "gateway"
        }
      }
    },
  ])

  lifecycle {
    precondition {
      condition     = var.image != null && var.secrets_image != null
      error_message = "Containers need an image and a secrets_image."
    }
  }
}

resource "aws_ecs_service" "gateway" {
  count                              = var.run_on == "containers" ? 1 : 0
  name                               = var.name
  cluster                            = aws_ecs_cluster.gateway[0].arn
  task_definition                    = aws_ecs_task_definition.gateway[0].arn
  launch_type                        = "FARGATE"
  desired_count                      = var.replicas
  deployment_minimum_healthy_percent = module.policy.ecs.deployment_minimum_healthy_percent
  deployment_maximum_percent         = module.policy.ecs.deployment_maximum_percent
  health_check_grace_period_seconds  = module.policy.ecs.health_check_grace_period_seconds
  wait_for_steady_state              = true

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  dynamic "alarms" {
    for_each = length(var.alarms) > 0 ? [var.alarms] : []
    content {
      enable      = true
      rollback    = true
      alarm_names = alarms.value
    }
  }

  load_balancer {
    target_group_arn = local.target_group
    container_name   = "gateway"
    container_port   = local.target_port
  }

  network_configuration {
    subnets          = var.gateway_subnet_ids
    security_groups  = [aws_security_group.gateway.id]
    assign_public_ip = false
  }

  # A target group without a listener takes no targets.
  depends_on = [aws_lb_listener.nlb, aws_lb_listener.alb]
}
