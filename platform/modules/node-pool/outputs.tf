# SPDX-License-Identifier: Apache-2.0
output "name" {
  description = "Name of the pool."
  value       = google_container_node_pool.main.name
}
