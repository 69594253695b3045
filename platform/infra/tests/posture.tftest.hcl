# SPDX-License-Identifier: Apache-2.0
# What must hold of every plan: private nodes, encrypted Secrets, identities with few rights, things that stay.

mock_provider "google" {
  mock_data "google_compute_zones" {
    defaults = { names = ["europe-west4-a", "europe-west4-b", "europe-west4-c"] }
  }
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  mock_data "google_kms_key_ring" {
    defaults = { id = "projects/test-project-1/locations/europe-west4/keyRings/ring" }
  }
  mock_data "google_kms_crypto_key" {
    defaults = { id = "projects/test-project-1/locations/europe-west4/keyRings/ring/cryptoKeys/key" }
  }
  mock_resource "google_service_account" {
    defaults = {
      name   = "projects/test-project-1/serviceAccounts/account@test-project-1.iam.gserviceaccount.com"
      email  = "account@test-project-1.iam.gserviceaccount.com"
      member = "serviceAccount:account@test-project-1.iam.gserviceaccount.com"
    }
  }
}

variables {
  project_id     = "test-project-1"
  region         = "europe-west4"
  zone           = "europe-west4-b"
  cluster_name   = "ray-serve-gke"
  kms_key_ring   = "ring"
  kms_crypto_key = "sops"
  gpu_quota      = 2
}

run "cluster" {
  command = plan

  assert {
    condition     = google_container_cluster.main.private_cluster_config[0].enable_private_nodes
    error_message = "nodes must have no public address"
  }
  assert {
    condition     = google_container_cluster.main.database_encryption[0].state == "ENCRYPTED" && endswith(google_container_cluster.main.database_encryption[0].key_name, "/cryptoKeys/key")
    error_message = "Secrets must be encrypted with the cluster's key"
  }
  assert {
    condition     = google_container_cluster.main.deletion_protection && google_container_cluster.main.remove_default_node_pool
    error_message = "the cluster must be protected, and have no default pool"
  }
  assert {
    condition     = google_container_cluster.main.datapath_provider == "ADVANCED_DATAPATH" && google_container_cluster.main.workload_identity_config[0].workload_pool == "test-project-1.svc.id.goog"
    error_message = "NetworkPolicy must be enforced and pods must have identities"
  }
  assert {
    condition     = google_container_cluster.main.anonymous_authentication_config[0].mode == "LIMITED" && !google_container_cluster.main.rbac_binding_config[0].enable_insecure_binding_system_authenticated && !google_container_cluster.main.rbac_binding_config[0].enable_insecure_binding_system_unauthenticated
    error_message = "the anonymous may do nothing"
  }
  assert {
    condition     = google_container_cluster.main.gateway_api_config[0].channel == "CHANNEL_STANDARD"
    error_message = "Gateway API must be on"
  }
}

run "least_rights" {
  command = apply

  assert {
    condition     = google_project_iam_member.nodes.role == "roles/container.defaultNodeServiceAccount" && google_artifact_registry_repository_iam_member.nodes.role == "roles/artifactregistry.reader"
    error_message = "nodes may log, report and pull, no more"
  }
  assert {
    condition     = google_container_cluster.main.node_config[0].service_account == google_service_account.nodes.email
    error_message = "the short-lived default pool must not use the default account either"
  }
  assert {
    condition     = alltrue([for m in google_kms_crypto_key_iam_member.flux : m.role == "roles/cloudkms.cryptoKeyDecrypter"]) && length(google_kms_crypto_key_iam_member.flux) == 2
    error_message = "Flux decrypts and never encrypts"
  }
  assert {
    condition     = google_service_account_iam_member.flux.member == "serviceAccount:test-project-1.svc.id.goog[flux-system/kustomize-controller]"
    error_message = "only Flux's controller may act as its account"
  }
  assert {
    condition     = google_kms_crypto_key_iam_member.flux["controller"].member == "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/test-project-1.svc.id.goog/subject/ns/flux-system/sa/kustomize-controller"
    error_message = "Flux's controller must be able to decrypt as itself"
  }
}
