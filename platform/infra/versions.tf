# SPDX-License-Identifier: Apache-2.0
terraform {
  required_version = ">= 1.9, < 2.0" # 1.9: a validation may look at other variables

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.0"
    }
  }

  # Which bucket: `make init` passes TF_BACKEND_BUCKET of .env.
  backend "gcs" {}
}

provider "google" {
  project = var.project_id
  region  = var.region
}
