# SPDX-License-Identifier: Apache-2.0
# One autoscaled node pool. Counts are totals over its zones.

resource "google_container_node_pool" "main" {
  project        = var.project_id
  name           = var.name
  cluster        = var.cluster
  location       = var.region
  node_locations = var.zones

  autoscaling {
    total_min_node_count = var.nodes_min
    total_max_node_count = var.nodes_max
    location_policy      = var.spot ? "ANY" : "BALANCED" # spot: wherever there is capacity
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  # A pool at its quota cannot surge: it gives up a node first.
  upgrade_settings {
    strategy        = "SURGE"
    max_surge       = var.may_surge ? 1 : 0
    max_unavailable = var.may_surge ? 0 : 1
  }

  node_config {
    machine_type     = var.machine_type
    min_cpu_platform = var.min_cpu_platform == "" ? null : var.min_cpu_platform
    spot             = var.spot
    service_account  = var.service_account
    image_type       = "COS_CONTAINERD"
    disk_type        = "pd-balanced"
    disk_size_gb     = var.disk_gb
    labels           = { pool = var.pool }
    resource_labels  = var.labels

    # What a node may do is its service account's roles; scopes are not where to limit it.
    oauth_scopes = ["https://www.googleapis.com/auth/cloud-platform"]

    metadata = { disable-legacy-endpoints = "true" }

    # Image streaming: a pod starts before its image is there whole.
    gcfs_config {
      enabled = true
    }

    kubelet_config {
      insecure_kubelet_readonly_port_enabled = "FALSE"
      pod_pids_limit                         = 4096
    }

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }

    dynamic "guest_accelerator" {
      for_each = var.gpu == null ? [] : [var.gpu]
      content {
        type  = guest_accelerator.value.type
        count = 1
        gpu_driver_installation_config {
          gpu_driver_version = guest_accelerator.value.driver
        }
      }
    }

    # GKE adds this taint by itself only where another pool exists already.
    dynamic "taint" {
      for_each = var.gpu == null ? [] : [var.gpu]
      content {
        key    = "nvidia.com/gpu"
        value  = "present"
        effect = "NO_SCHEDULE"
      }
    }
  }

  lifecycle {
    # The autoscaler's, from the first minute on.
    ignore_changes = [initial_node_count, node_count]
  }
}
