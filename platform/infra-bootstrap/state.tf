# SPDX-License-Identifier: Apache-2.0
# The bucket of both roots' state: versioned, private, encrypted with its own key. Terraform's state holds secrets in
# clear text, so who may read it is who may run Terraform.

data "google_storage_project_service_account" "gcs" {
  project = var.project_id

  depends_on = [google_project_service.api]
}

resource "google_kms_crypto_key_iam_member" "state" {
  crypto_key_id = google_kms_crypto_key.key["state"].id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${data.google_storage_project_service_account.gcs.email_address}"
}

resource "google_storage_bucket" "state" {
  project                     = var.project_id
  name                        = var.state_bucket
  location                    = upper(var.region)
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = var.labels

  versioning {
    enabled = true
  }

  encryption {
    default_kms_key_name = google_kms_crypto_key.key["state"].id
  }

  soft_delete_policy {
    retention_duration_seconds = 7 * 86400
  }

  # Fifty older states are kept for at least 90 days each.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions         = 50
      days_since_noncurrent_time = 90
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.state]

  lifecycle {
    prevent_destroy = true
  }
}

import {
  for_each = setintersection(var.adopt, ["bucket"])
  to       = google_storage_bucket.state
  id       = "${var.project_id}/${var.state_bucket}"
}
