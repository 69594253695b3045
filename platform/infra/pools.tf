# SPDX-License-Identifier: Apache-2.0
locals {
  gpu_pools = var.gpu_quota == 0 ? {} : {
    for name, spot in { gpu-spot = true, gpu-on-demand = false } : name => spot
    if var.gpu_capacity == "spot-then-on-demand" || var.gpu_capacity == (spot ? "spot" : "on-demand")
  }
}

module "cpu_pool" {
  source = "../modules/node-pool"

  project_id       = var.project_id
  region           = var.region
  cluster          = google_container_cluster.main.name
  name             = "cpu"
  pool             = "cpu"
  zones            = local.zones
  nodes_min        = var.cpu_nodes.min
  nodes_max        = var.cpu_nodes.max
  may_surge        = true
  machine_type     = var.cpu_machine_type
  min_cpu_platform = var.cpu_min_platform
  spot             = var.cpu_spot
  service_account  = google_service_account.nodes.email
  labels           = local.labels

  depends_on = [google_project_iam_member.nodes, google_artifact_registry_repository_iam_member.nodes]
}

# Each pool may grow to the quota, which counts the GPUs of both: where spot has none, the autoscaler takes the other.
module "gpu_pool" {
  source   = "../modules/node-pool"
  for_each = local.gpu_pools

  project_id      = var.project_id
  region          = var.region
  cluster         = google_container_cluster.main.name
  name            = each.key
  pool            = "gpu"
  zones           = local.gpu_zones
  nodes_min       = 0
  nodes_max       = var.gpu_quota
  may_surge       = false
  machine_type    = var.gpu_machine_type
  spot            = each.value
  service_account = google_service_account.nodes.email
  labels          = local.labels
  gpu             = { type = "nvidia-tesla-t4", driver = var.gpu_driver }

  depends_on = [module.cpu_pool, google_project_iam_member.nodes, google_artifact_registry_repository_iam_member.nodes]
}
