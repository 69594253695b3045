# SPDX-License-Identifier: Apache-2.0
# One ring, a key for each purpose. Neither can be deleted in Google Cloud, and destroying a key's versions makes all
# that it encrypted unreadable: nothing here is ever destroyed by Terraform.

locals {
  keys = {
    sops    = var.kms_crypto_key
    cluster = var.cluster_secrets_key
    state   = var.state_key
  }
  ring_id = "projects/${var.project_id}/locations/${var.region}/keyRings/${var.kms_key_ring}"
}

resource "google_kms_key_ring" "main" {
  project  = var.project_id
  name     = var.kms_key_ring
  location = var.region

  depends_on = [google_project_service.api]

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key" "key" {
  for_each = local.keys

  name            = each.value
  key_ring        = google_kms_key_ring.main.id
  purpose         = "ENCRYPT_DECRYPT"
  rotation_period = "${var.key_rotation_days * 86400}s"
  labels          = merge(var.labels, { purpose = each.key })

  # A destroyed version can be restored for 30 days.
  destroy_scheduled_duration = "2592000s"

  version_template {
    algorithm        = "GOOGLE_SYMMETRIC_ENCRYPTION"
    protection_level = var.key_protection_level
  }

  lifecycle {
    prevent_destroy = true
    # Fixed when a key is made: an adopted key keeps its own, and a change must not ask for a new key.
    ignore_changes = [destroy_scheduled_duration, version_template]
  }
}

import {
  for_each = setintersection(var.adopt, ["ring"])
  to       = google_kms_key_ring.main
  id       = local.ring_id
}

import {
  for_each = setintersection(var.adopt, keys(local.keys))
  to       = google_kms_crypto_key.key[each.key]
  id       = "${local.ring_id}/cryptoKeys/${local.keys[each.key]}"
}
