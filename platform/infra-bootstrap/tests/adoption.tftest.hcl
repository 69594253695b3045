# SPDX-License-Identifier: Apache-2.0
# What exists is taken over. A mock cannot import, so each target is overridden: these runs prove that the import blocks
# are well formed and that what is missing is still created, not what an import does: that is platform/tests/test_real_plan.py's.

mock_provider "google" {
  mock_data "google_storage_project_service_account" {
    defaults = { email_address = "service-123456789012@gs-project-accounts.iam.gserviceaccount.com" }
  }
}

override_resource {
  target = google_kms_key_ring.main
  values = { id = "projects/test-project-1/locations/europe-west4/keyRings/ring" }
}

override_resource {
  target = google_kms_crypto_key.key
  values = { id = "projects/test-project-1/locations/europe-west4/keyRings/ring/cryptoKeys/key" }
}

override_resource {
  target = google_storage_bucket.state
  values = {}
}

override_resource {
  target = google_artifact_registry_repository.images
  values = {}
}

variables {
  project_id     = "test-project-1"
  region         = "europe-west4"
  state_bucket   = "test-project-1-tfstate"
  kms_key_ring   = "ring"
  kms_crypto_key = "sops"
}

run "ring_alone" {
  command = plan
  variables {
    adopt = ["ring"]
  }

  assert {
    condition     = length(google_kms_crypto_key.key) == 3
    error_message = "keys that do not exist are created in an adopted ring"
  }
}

run "everything" {
  command = plan
  variables {
    adopt = ["ring", "sops", "cluster", "state", "bucket", "registry"]
  }

  assert {
    condition     = length(google_kms_crypto_key.key) == 3 && google_storage_bucket.state.versioning[0].enabled
    error_message = "an adopted bucket is brought to what ours must be"
  }
}
