# SPDX-License-Identifier: Apache-2.0
# A fresh project, one that has everything already, and what must hold of both. The provider is a mock.

mock_provider "google" {
  override_during = plan # nothing here may be applied: it could not be destroyed again

  mock_resource "google_kms_key_ring" {
    defaults = { id = "projects/test-project-1/locations/europe-west4/keyRings/ring" }
  }
  mock_resource "google_kms_crypto_key" {
    defaults = { id = "projects/test-project-1/locations/europe-west4/keyRings/ring/cryptoKeys/key" }
  }
  mock_resource "google_iam_workload_identity_pool" {
    defaults = { name = "projects/123456789012/locations/global/workloadIdentityPools/github" }
  }
}

variables {
  project_id     = "test-project-1"
  region         = "europe-west4"
  state_bucket   = "test-project-1-tfstate"
  kms_key_ring   = "ring"
  kms_crypto_key = "sops"
}

run "fresh" {
  command = plan

  assert {
    condition     = toset([for k in google_kms_crypto_key.key : k.name]) == toset(["sops", "gke-secrets", "terraform-state"])
    error_message = "a key for each purpose: SOPS, the cluster's Secrets, Terraform's state"
  }
  assert {
    condition     = alltrue([for k in google_kms_crypto_key.key : k.rotation_period == "7776000s" && k.purpose == "ENCRYPT_DECRYPT" && k.destroy_scheduled_duration == "2592000s"])
    error_message = "keys rotate every 90 days, and a destroyed version can be restored for 30"
  }
  assert {
    condition     = google_storage_bucket.state.versioning[0].enabled && google_storage_bucket.state.uniform_bucket_level_access && google_storage_bucket.state.public_access_prevention == "enforced" && !google_storage_bucket.state.force_destroy
    error_message = "the state bucket keeps its versions, is private, and is never emptied"
  }
  assert {
    condition     = google_storage_bucket.state.encryption[0].default_kms_key_name == google_kms_crypto_key.key["state"].id && google_kms_crypto_key_iam_member.state.role == "roles/cloudkms.cryptoKeyEncrypterDecrypter"
    error_message = "state is encrypted with its own key, which Cloud Storage may use"
  }
  assert {
    condition     = length(setsubtract(["cloudkms.googleapis.com", "compute.googleapis.com", "container.googleapis.com", "artifactregistry.googleapis.com", "iamcredentials.googleapis.com"], keys(google_project_service.api))) == 0
    error_message = "every API of both roots is turned on here, before anything needs it"
  }
  assert {
    condition     = google_artifact_registry_repository.images.docker_config[0].immutable_tags && google_artifact_registry_repository.images.format == "DOCKER"
    error_message = "a tag names one image for ever"
  }
  assert {
    condition     = output.image_repository == "europe-west4-docker.pkg.dev/test-project-1/inferd"
    error_message = "images are named by region, project and repository"
  }
}

run "no_repository_no_way_in" {
  command = plan

  assert {
    condition     = length(google_iam_workload_identity_pool.github) + length(google_iam_workload_identity_pool_provider.github) + length(google_artifact_registry_repository_iam_member.github) == 0
    error_message = "without github_repository nobody outside the project may push"
  }
}

run "releases_of_one_repository_may_push" {
  command = plan
  variables {
    github_repository = "octo-org/inferd"
  }

  assert {
    condition = alltrue([for part in ["assertion.repository == 'octo-org/inferd'", "assertion.ref.startsWith('refs/tags/v')", "assertion.environment == 'release'"] :
    contains(split(" && ", google_iam_workload_identity_pool_provider.github[0].attribute_condition), part)])
    error_message = "a token counts only of this repository, for a release's tag, after the environment's review"
  }
  assert {
    condition     = google_artifact_registry_repository_iam_member.github[0].role == "roles/artifactregistry.writer" && endswith(google_artifact_registry_repository_iam_member.github[0].member, "workloadIdentityPools/github/attribute.repository/octo-org/inferd")
    error_message = "it may write into the registry, whose tags are immutable, and nothing else"
  }
}

run "keys_in_hardware_that_rotate_weekly" {
  command = plan
  variables {
    key_protection_level = "HSM"
    key_rotation_days    = 7
  }

  assert {
    condition     = alltrue([for k in google_kms_crypto_key.key : k.rotation_period == "604800s"])
    error_message = "key_rotation_days must reach every key"
  }
}
