# SPDX-License-Identifier: Apache-2.0
# `make flux-vars` hands most of these to the cluster.

output "cluster_name" {
  description = "Name of the cluster."
  value       = google_container_cluster.main.name
}

output "region" {
  description = "Region of the cluster."
  value       = google_container_cluster.main.location
}

output "dns_endpoint" {
  description = "Name by which the control plane is reached."
  value       = google_container_cluster.main.control_plane_endpoints_config[0].dns_endpoint_config[0].endpoint
}

output "gsa_email" {
  description = "Service account that Flux may act as to decrypt: GSA_EMAIL."
  value       = google_service_account.flux.email
}

output "node_service_account" {
  description = "Service account of the nodes."
  value       = google_service_account.nodes.email
}

output "image_repository" {
  description = "Prefix of the images' names."
  value       = "${var.region}-docker.pkg.dev/${var.project_id}/${var.registry}"
}

output "gpu_quota" {
  description = "T4s that the GPU pools may have together."
  value       = var.gpu_quota
}

output "rollout" {
  description = "Upgrade of the RayService that fits the quota: new-cluster needs room for two of it, in-place for one GPU."
  value       = var.gpu_quota == 1 ? "in-place" : "new-cluster"
}

output "pools" {
  description = "Names of the node pools."
  value       = concat([module.cpu_pool.name], [for p in module.gpu_pool : p.name])
}

output "workload_principals" {
  description = "The workloads' identities as members of IAM policies."
  value       = { for name, w in module.workload : name => w.principal }
}
