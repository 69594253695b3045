# SPDX-License-Identifier: Apache-2.0
# Who may do what. Bindings are single members: none of them takes away what others were given.

# The nodes: logs, metrics, and pulling the project's images. Workloads have identities of their own.
resource "google_service_account" "nodes" {
  project      = var.project_id
  account_id   = "${var.cluster_name}-nodes"
  display_name = "Nodes of ${var.cluster_name}"
}

resource "google_project_iam_member" "nodes" {
  project = var.project_id
  role    = "roles/container.defaultNodeServiceAccount"
  member  = google_service_account.nodes.member
}

resource "google_artifact_registry_repository_iam_member" "nodes" {
  project    = var.project_id
  location   = var.region
  repository = var.registry
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.nodes.member
}

# Flux decrypts the repository's secrets. GSA_EMAIL, for a Kustomization whose service account is annotated with it.
resource "google_service_account" "flux" {
  project      = var.project_id
  account_id   = "${var.cluster_name}-flux"
  display_name = "Flux in ${var.cluster_name}: decrypts with the key of SOPS"
}

resource "google_service_account_iam_member" "flux" {
  service_account_id = google_service_account.flux.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${google_container_cluster.main.workload_identity_config[0].workload_pool}[flux-system/kustomize-controller]"
}

module "flux_controller" {
  source = "../modules/workload-identity"

  project_id      = var.project_id
  project_number  = data.google_project.main.number
  namespace       = "flux-system"
  service_account = "kustomize-controller"

  depends_on = [google_container_cluster.main] # the pool of identities is made with the first cluster
}

# The controller as itself too: it can decrypt before anything annotates it, and whatever a bootstrap rewrites.
resource "google_kms_crypto_key_iam_member" "flux" {
  for_each = {
    account    = google_service_account.flux.member
    controller = module.flux_controller.principal
  }

  crypto_key_id = data.google_kms_crypto_key.sops.id
  role          = "roles/cloudkms.cryptoKeyDecrypter"
  member        = each.value

  depends_on = [google_container_cluster.main]
}

module "workload" {
  source   = "../modules/workload-identity"
  for_each = var.workloads

  project_id      = var.project_id
  project_number  = data.google_project.main.number
  namespace       = each.value.namespace
  service_account = each.value.service_account
  roles           = each.value.roles

  depends_on = [google_container_cluster.main]
}
