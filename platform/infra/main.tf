# SPDX-License-Identifier: Apache-2.0
# The project's facts and the network. infra-bootstrap has turned the APIs on.

locals {
  labels = { managed-by = "terraform", app = "inferd", cluster = var.cluster_name }

  # ZONE first, then others of the region, three at most: the same list at every run.
  zones     = length(var.zones) > 0 ? var.zones : slice(local.all_zones, 0, min(3, length(local.all_zones)))
  all_zones = distinct(concat([var.zone], sort(data.google_compute_zones.region.names)))
  gpu_zones = length(var.gpu_zones) > 0 ? var.gpu_zones : [var.zone]
}

data "google_project" "main" {
  project_id = var.project_id
}

data "google_compute_zones" "region" {
  project = var.project_id
  region  = var.region

  lifecycle {
    postcondition {
      condition     = contains(self.names, var.zone)
      error_message = "ZONE is not a zone that this project sees in REGION: see `gcloud compute zones list`."
    }
  }
}

data "google_kms_key_ring" "main" {
  project  = var.project_id
  name     = var.kms_key_ring
  location = var.region
}

data "google_kms_crypto_key" "sops" {
  name     = var.kms_crypto_key
  key_ring = data.google_kms_key_ring.main.id
}

data "google_kms_crypto_key" "cluster" {
  name     = var.cluster_secrets_key
  key_ring = data.google_kms_key_ring.main.id
}

module "network" {
  source = "../modules/network"

  project_id = var.project_id
  name       = var.cluster_name
  region     = var.region
  ranges     = var.ranges
}
