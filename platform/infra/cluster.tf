# SPDX-License-Identifier: Apache-2.0
# A regional cluster whose nodes have no public address and whose control plane answers to IAM.

locals {
  # GKE's own account in this project; it exists once the API is on.
  gke_agent = "serviceAccount:service-${data.google_project.main.number}@container-engine-robot.iam.gserviceaccount.com"

  # A window is given by its first occurrence. The day is long past: only time of day and recurrence matter.
  window_start = "2025-01-07T${var.maintenance.start}:00Z"
  window_end   = timeadd(local.window_start, "${var.maintenance.hours}h")
}

resource "google_kms_crypto_key_iam_member" "gke" {
  crypto_key_id = data.google_kms_crypto_key.cluster.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = local.gke_agent
}

resource "google_container_cluster" "main" {
  project             = var.project_id
  name                = var.cluster_name
  location            = var.region
  node_locations      = distinct(concat(local.zones, var.gpu_quota > 0 ? local.gpu_zones : []))
  network             = module.network.network
  subnetwork          = module.network.subnetwork
  deletion_protection = var.deletion_protection
  resource_labels     = local.labels

  # The pools are resources of their own; the default one lives for minutes, without the default account's rights.
  remove_default_node_pool = true
  initial_node_count       = 1
  node_config {
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }

  release_channel {
    channel = var.release_channel
  }

  maintenance_policy {
    recurring_window {
      start_time = local.window_start
      end_time   = local.window_end
      recurrence = "FREQ=WEEKLY;BYDAY=${join(",", var.maintenance.days)}"
    }
  }

  networking_mode             = "VPC_NATIVE"
  datapath_provider           = "ADVANCED_DATAPATH" # Dataplane V2: NetworkPolicy is enforced
  enable_intranode_visibility = true
  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }

  private_cluster_config {
    enable_private_nodes = true
  }

  control_plane_endpoints_config {
    dns_endpoint_config {
      allow_external_traffic = true # reachable from outside; whoever comes needs container.clusters.connect
    }
    ip_endpoints_config {
      enabled = length(var.authorized_networks) > 0
    }
  }

  dynamic "master_authorized_networks_config" {
    for_each = length(var.authorized_networks) > 0 ? [var.authorized_networks] : []
    content {
      gcp_public_cidrs_access_enabled = false
      dynamic "cidr_blocks" {
        for_each = master_authorized_networks_config.value
        content {
          display_name = cidr_blocks.key
          cidr_block   = cidr_blocks.value
        }
      }
    }
  }

  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }

  anonymous_authentication_config {
    mode = "LIMITED" # health checks only
  }

  rbac_binding_config {
    enable_insecure_binding_system_unauthenticated = false
    enable_insecure_binding_system_authenticated   = false
  }

  workload_identity_config {
    workload_pool = "${var.project_id}.svc.id.goog"
  }

  database_encryption {
    state    = "ENCRYPTED"
    key_name = data.google_kms_crypto_key.cluster.id
  }

  enable_shielded_nodes = true

  security_posture_config {
    mode               = "BASIC"
    vulnerability_mode = "VULNERABILITY_DISABLED"
  }

  node_pool_defaults {
    node_config_defaults {
      insecure_kubelet_readonly_port_enabled = "FALSE"
      gcfs_config {
        enabled = true
      }
    }
  }

  gateway_api_config {
    channel = "CHANNEL_STANDARD"
  }

  addons_config {
    http_load_balancing {
      disabled = false # GKE's Gateway controller needs it
    }
    horizontal_pod_autoscaling {
      disabled = false
    }
    gce_persistent_disk_csi_driver_config {
      enabled = true
    }
    dns_cache_config {
      enabled = true
    }
  }

  logging_config {
    enable_components = concat(["SYSTEM_COMPONENTS"], var.workload_logs ? ["WORKLOADS"] : [])
  }

  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS"]
    managed_prometheus {
      enabled = var.managed_prometheus
    }
  }

  cost_management_config {
    enabled = true
  }

  # The cluster cannot encrypt before it may use the key, and its nodes cannot pull before they have a way out.
  depends_on = [google_kms_crypto_key_iam_member.gke, module.network]

  lifecycle {
    ignore_changes = [node_config, initial_node_count] # of the default pool, which is gone
  }
}
