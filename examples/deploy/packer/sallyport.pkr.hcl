# The snapshot: a machine image with one release of the gateway in it, which machines only start.
#
#   xcaddy/build.sh && packer init . && packer build -var release=… -var policy_digest=… .

packer {
  required_version = ">= 1.9.0"
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3.0, < 2.0.0"
    }
  }
}

variable "release" {
  description = "The release's name: the commit."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-z][0-9a-z.-]{0,63}$", var.release))
    error_message = "A release is named with digits, small letters, dots and dashes."
  }
}

variable "policy_digest" {
  description = "What `caddy sallyport digest` says; the build checks it."
  type        = string
}

variable "binary_sha256" {
  description = "What xcaddy/build.sh printed; the build checks it."
  type        = string
}

variable "binary" {
  type    = string
  default = "../../../build/caddy"
}

variable "policy" {
  description = "The folder with the Caddyfile and the files that it names."
  type        = string
  default     = "../image/policy/"
}

variable "region" {
  type    = string
  default = "eu-central-1"
}

locals {
  release_dir = "/opt/sallyport/releases/${var.release}"
}

# Amazon Linux: it has the aws command, curl and SELinux.
source "amazon-ebs" "gateway" {
  region          = var.region
  instance_type   = "c7g.large"
  ssh_username    = "ec2-user"
  ami_name        = "sallyport-${var.release}"
  ami_description = "Sallyport gateway, policy ${var.policy_digest}"
  encrypt_boot    = true
  imds_support    = "v2.0"

  source_ami_filter {
    owners      = ["amazon"]
    most_recent = true
    filters = {
      name                = "al2023-ami-2023.*-arm64"
      architecture        = "arm64"
      virtualization-type = "hvm"
    }
  }

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }

  tags = {
    Release      = var.release
    PolicyDigest = var.policy_digest
  }
}

build {
  sources = ["source.amazon-ebs.gateway"]

  provisioner "file" {
    source      = var.binary
    destination = "/tmp/caddy"
  }

  provisioner "shell" {
    inline = ["mkdir /tmp/policy"]
  }

  provisioner "file" {
    source      = var.policy
    destination = "/tmp/policy"
  }

  provisioner "file" {
    source      = "../systemd/sallyport.service"
    destination = "/tmp/sallyport.service"
  }

  provisioner "shell" {
    execute_command = "chmod +x {{ .Path }}; sudo env {{ .Vars }} {{ .Path }}"
    script          = "install.sh"
    environment_vars = [
      "RELEASE_DIR=${local.release_dir}",
      "POLICY_DIGEST=${var.policy_digest}",
      "BINARY_SHA256=${var.binary_sha256}",
    ]
  }

  # Which image it was, for the pipeline that rolls it out.
  post-processor "manifest" {
    output     = "manifest.json"
    strip_path = true
  }
}
