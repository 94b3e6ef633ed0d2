# Every promise of the module, and for each a number with which it is refused.

variables {
  balancer_cidrs = ["10.0.0.0/16"]
  policy_digest  = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
}

run "the_defaults_agree" {
  command = apply

  assert {
    condition     = output.detection == 14 && output.stop_timeout == 60
    error_message = "they are ${output.detection} and ${output.stop_timeout}"
  }
  assert {
    condition     = output.nlb.target_group.proxy_protocol_v2 && !output.nlb.target_group.preserve_client_ip
    error_message = "the client would not be established behind an NLB"
  }
  assert {
    condition     = !output.nlb.target_health_state.enable_unhealthy_connection_termination && output.nlb.target_health_state.unhealthy_draining_interval >= output.stop_timeout
    error_message = "an NLB would cut the connections of a gateway that leaves"
  }
  assert {
    condition     = output.alb.load_balancer.desync_mitigation_mode == "strictest" && output.alb.load_balancer.drop_invalid_header_fields
    error_message = "an ALB would pass ambiguous requests on"
  }
  assert {
    condition     = output.alb.load_balancer.xff_header_processing_mode == "append" && !output.alb.load_balancer.enable_xff_client_port
    error_message = "the last entry would not be the client"
  }
  assert {
    condition     = output.alb.health_check.path == "/readyz" && output.alb.health_check == output.nlb.health_check
    error_message = "the balancers would not probe readiness"
  }
  assert {
    condition     = output.policy_digest == var.policy_digest
    error_message = "the digest got lost"
  }
  assert {
    condition     = output.instance_refresh.auto_rollback && output.instance_refresh.min_healthy_percentage == 100 && output.ecs.deployment_minimum_healthy_percent == 100
    error_message = "a replacement would take gateways away before others serve"
  }
}

run "closing_before_the_balancer_has_noticed" {
  command = plan
  variables {
    shutdown_delay = 14
  }
  expect_failures = [terraform_data.agreement]
}

run "just_after_it_has_noticed" {
  command = plan
  variables {
    shutdown_delay = 15
  }
}

run "a_slower_probe" {
  command = plan
  variables {
    health_check = { interval = 10 }
  }
  expect_failures = [terraform_data.agreement]
}

run "longer_than_a_task_may_take_to_stop" {
  command = plan
  variables {
    grace_period         = 100
    deregistration_delay = 100
  }
  expect_failures = [terraform_data.agreement]
}

run "targets_taken_away_while_they_answer" {
  command = plan
  variables {
    deregistration_delay = 29
  }
  expect_failures = [terraform_data.agreement]
}

run "an_alb_that_keeps_connections_longer" {
  command = plan
  variables {
    alb_idle_timeout = 300
  }
  expect_failures = [terraform_data.agreement]
}

run "an_alb_that_keeps_connections_longer_and_a_policy_that_follows" {
  command = plan
  variables {
    alb_idle_timeout     = 400
    gateway_idle_timeout = 430
  }
}

run "an_nlb_that_keeps_connections_longer" {
  command = plan
  variables {
    nlb_idle_timeout = 600
  }
  expect_failures = [terraform_data.agreement]
}

run "a_gateway_that_closes_connections_earlier" {
  command = plan
  variables {
    gateway_idle_timeout = 350
  }
  expect_failures = [terraform_data.agreement]
}

run "headers_that_the_gateway_refuses" {
  command = plan
  variables {
    gateway_max_header = 81919
  }
  expect_failures = [terraform_data.agreement]
}

run "no_delay_at_all" {
  command = plan
  variables {
    shutdown_delay = 0
  }
  expect_failures = [var.shutdown_delay]
}

run "no_grace_at_all" {
  command = plan
  variables {
    grace_period = 0
  }
  expect_failures = [var.grace_period]
}

run "a_probe_that_waits_longer_than_its_interval" {
  command = plan
  variables {
    health_check = { interval = 5, timeout = 5 }
  }
  expect_failures = [var.health_check]
}

run "one_failed_probe" {
  command = plan
  variables {
    health_check = { unhealthy_threshold = 1 }
  }
  expect_failures = [var.health_check]
}

run "everybody_is_the_balancer" {
  command = plan
  variables {
    balancer_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.balancer_cidrs]
}

run "nobody_is_the_balancer" {
  command = plan
  variables {
    balancer_cidrs = []
  }
  expect_failures = [var.balancer_cidrs]
}

run "an_image_by_its_tag" {
  command = plan
  variables {
    image = "registry.example/sallyport:latest"
  }
  expect_failures = [var.image]
}

run "no_digest" {
  command = plan
  variables {
    policy_digest = "v2"
  }
  expect_failures = [var.policy_digest]
}

run "a_secret_that_is_one" {
  command = plan
  variables {
    secrets = { pepper = "hunter2" }
  }
  expect_failures = [var.secrets]
}

run "a_secret_outside_of_its_folder" {
  command = plan
  variables {
    secrets = { "../pepper" = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:gateway/pepper-AbCdEf" }
  }
  expect_failures = [var.secrets]
}

run "user_data_fetches_secrets_and_checks_the_policy" {
  command = apply
  variables {
    secrets = {
      "sallyport/pepper" = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:gateway/pepper-AbCdEf"
      "tls/tls.key"      = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:gateway/tls-AbCdEf"
    }
  }
  assert {
    condition     = strcontains(output.user_data, "--secret-id 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:gateway/pepper-AbCdEf'") && strcontains(output.user_data, ">'/run/secrets/tls/tls.key'")
    error_message = "it is ${output.user_data}"
  }
  assert {
    condition     = strcontains(output.fetch_secrets, "chown 65532:65532 '/run/secrets/tls/tls.key'") && !strcontains(output.fetch_secrets, "systemctl")
    error_message = "it is ${output.fetch_secrets}"
  }
  assert {
    condition     = strcontains(output.user_data, "DIGEST)\" = '${var.policy_digest}'")
    error_message = "it is ${output.user_data}"
  }
}
