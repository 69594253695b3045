# SPDX-License-Identifier: Apache-2.0
output "network" {
  description = "Resource path of the network."
  value       = google_compute_network.main.id
}

output "subnetwork" {
  description = "Resource path of the nodes' subnetwork, with the secondary ranges `pods` and `services`."
  value       = google_compute_subnetwork.nodes.id
}

output "nat" {
  description = "Name of the NAT: nodes need it before they can pull an image from outside Google."
  value       = google_compute_router_nat.main.name
}
