# SPDX-License-Identifier: Apache-2.0
terraform {
  required_version = ">= 1.9, < 2.0" # 1.9: a validation may look at other variables

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.0"
    }
  }

  # The bucket is this root's own: `make bootstrap-init` starts on local state where the bucket does not exist yet,
  # and `make bootstrap-apply` moves the state into it.
  backend "gcs" {}
}

provider "google" {
  project = var.project_id
  region  = var.region
}
