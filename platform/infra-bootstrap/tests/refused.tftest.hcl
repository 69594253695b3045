# SPDX-License-Identifier: Apache-2.0
# Values that must be refused, one a run. platform/tests/test_terraform.py takes each run's expect_failures away and
# checks that what is then said is the validation's own message, and that no validation is without a run.

mock_provider "google" {}

variables {
  project_id     = "test-project-1"
  region         = "europe-west4"
  state_bucket   = "test-project-1-tfstate"
  kms_key_ring   = "ring"
  kms_crypto_key = "sops"
}

run "project_number" {
  command = plan
  variables {
    project_id = "123456789012"
  }
  expect_failures = [var.project_id]
}

run "project_name" {
  command = plan
  variables {
    project_id = "My Project"
  }
  expect_failures = [var.project_id]
}

run "zone_as_region" {
  command = plan
  variables {
    region = "europe-west4-b"
  }
  expect_failures = [var.region]
}

run "bucket_with_scheme" {
  command = plan
  variables {
    state_bucket = "gs://bucket"
  }
  expect_failures = [var.state_bucket]
}

run "bucket_of_google" {
  command = plan
  variables {
    state_bucket = "google-state"
  }
  expect_failures = [var.state_bucket]
}

run "bucket_too_short" {
  command = plan
  variables {
    state_bucket = "ab"
  }
  expect_failures = [var.state_bucket]
}

run "ring_as_path" {
  command = plan
  variables {
    kms_key_ring = "projects/p/locations/l/keyRings/r"
  }
  expect_failures = [var.kms_key_ring]
}

run "key_with_space" {
  command = plan
  variables {
    kms_crypto_key = "my key"
  }
  expect_failures = [var.kms_crypto_key]
}

run "cluster_key_is_sops_key" {
  command = plan
  variables {
    cluster_secrets_key = "sops"
  }
  expect_failures = [var.cluster_secrets_key]
}

run "state_key_is_cluster_key" {
  command = plan
  variables {
    state_key = "gke-secrets"
  }
  expect_failures = [var.state_key]
}

run "rotation_too_short" {
  command = plan
  variables {
    key_rotation_days = 6
  }
  expect_failures = [var.key_rotation_days]
}

run "rotation_too_long" {
  command = plan
  variables {
    key_rotation_days = 366
  }
  expect_failures = [var.key_rotation_days]
}

run "rotation_in_halves" {
  command = plan
  variables {
    key_rotation_days = 30.5
  }
  expect_failures = [var.key_rotation_days]
}

run "protection_unknown" {
  command = plan
  variables {
    key_protection_level = "EXTERNAL"
  }
  expect_failures = [var.key_protection_level]
}

run "registry_in_capitals" {
  command = plan
  variables {
    registry = "Images"
  }
  expect_failures = [var.registry]
}

run "label_in_capitals" {
  command = plan
  variables {
    labels = { Team = "x" }
  }
  expect_failures = [var.labels]
}

run "adopt_unknown" {
  command = plan
  variables {
    adopt = ["ring", "bucket", "cluster-state"]
  }
  expect_failures = [var.adopt]
}

run "adopt_key_without_ring" {
  command = plan
  variables {
    adopt = ["sops"]
  }
  expect_failures = [var.adopt]
}

run "repository_as_url" {
  command = plan
  variables {
    github_repository = "https://github.com/octo-org/inferd"
  }
  expect_failures = [var.github_repository]
}
