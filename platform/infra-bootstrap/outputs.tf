# SPDX-License-Identifier: Apache-2.0
output "sops_key" {
  description = "Resource path of the key of SOPS, as in .sops.yaml."
  value       = google_kms_crypto_key.key["sops"].id
}

output "cluster_secrets_key" {
  description = "Resource path of the key that the cluster encrypts its Secrets with."
  value       = google_kms_crypto_key.key["cluster"].id
}

output "state_bucket" {
  description = "Bucket that holds the state of this root and of infra."
  value       = google_storage_bucket.state.name
}

output "image_repository" {
  description = "Prefix of the images' names."
  value       = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.images.repository_id}"
}

output "github_provider" {
  description = "What the release workflow exchanges its token with: the repository variable GCP_WORKLOAD_IDENTITY_PROVIDER. Empty without github_repository."
  value       = one(google_iam_workload_identity_pool_provider.github[*].name) == null ? "" : one(google_iam_workload_identity_pool_provider.github[*].name)
}
