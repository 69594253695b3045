# SPDX-License-Identifier: Apache-2.0
# The node pool's module by itself: totals, taints, what may surge.

mock_provider "google" {}

variables {
  project_id      = "test-project-1"
  region          = "europe-west4"
  cluster         = "ray-serve-gke"
  name            = "pool"
  pool            = "gpu"
  zones           = ["europe-west4-a", "europe-west4-b"]
  nodes_min       = 0
  nodes_max       = 1
  may_surge       = false
  machine_type    = "n1-standard-4"
  spot            = true
  service_account = "account@test-project-1.iam.gserviceaccount.com"
  labels          = { app = "inferd" }
  gpu             = { type = "nvidia-tesla-t4", driver = "DEFAULT" }
}

run "gpu_pool" {
  command = plan
  module {
    source = "../modules/node-pool"
  }

  assert {
    condition     = google_container_node_pool.main.autoscaling[0].total_max_node_count == 1 && google_container_node_pool.main.autoscaling[0].max_node_count == null
    error_message = "counts are totals: one GPU in two zones is one GPU"
  }
  assert {
    condition     = google_container_node_pool.main.node_config[0].labels == tomap({ pool = "gpu" }) && google_container_node_pool.main.node_config[0].taint[0].key == "nvidia.com/gpu" && google_container_node_pool.main.node_config[0].taint[0].effect == "NO_SCHEDULE"
    error_message = "GPU nodes carry pool=gpu and keep others away"
  }
  assert {
    condition     = google_container_node_pool.main.node_config[0].guest_accelerator[0].count == 1 && google_container_node_pool.main.node_config[0].guest_accelerator[0].gpu_driver_installation_config[0].gpu_driver_version == "DEFAULT"
    error_message = "one GPU a node, its driver installed by GKE"
  }
  assert {
    condition     = google_container_node_pool.main.upgrade_settings[0].max_surge == 0 && google_container_node_pool.main.upgrade_settings[0].max_unavailable == 1
    error_message = "a pool at its quota must not ask for one more GPU to upgrade"
  }
  assert {
    condition     = google_container_node_pool.main.autoscaling[0].location_policy == "ANY" && google_container_node_pool.main.node_config[0].spot
    error_message = "spot capacity is taken in any zone that has it"
  }
}

run "cpu_pool" {
  command = plan
  module {
    source = "../modules/node-pool"
  }
  variables {
    pool             = "cpu"
    gpu              = null
    nodes_min        = 2
    nodes_max        = 6
    may_surge        = true
    spot             = false
    machine_type     = "n2-standard-4"
    min_cpu_platform = "Intel Ice Lake"
  }

  assert {
    condition     = length(google_container_node_pool.main.node_config[0].taint) == 0 && length(google_container_node_pool.main.node_config[0].guest_accelerator) == 0
    error_message = "CPU nodes take anything and have no GPU"
  }
  assert {
    condition     = google_container_node_pool.main.autoscaling[0].total_min_node_count == 2 && google_container_node_pool.main.autoscaling[0].location_policy == "BALANCED"
    error_message = "CPU nodes never go to none, and spread over the zones"
  }
  assert {
    condition     = google_container_node_pool.main.upgrade_settings[0].max_surge == 1 && google_container_node_pool.main.upgrade_settings[0].max_unavailable == 0
    error_message = "an upgrade of the CPU nodes takes none away first"
  }
  assert {
    condition     = google_container_node_pool.main.node_config[0].min_cpu_platform == "Intel Ice Lake"
    error_message = "every node has the instructions that int8 needs"
  }
}

run "every_node" {
  command = plan
  module {
    source = "../modules/node-pool"
  }

  assert {
    condition     = google_container_node_pool.main.node_config[0].shielded_instance_config[0].enable_secure_boot && google_container_node_pool.main.node_config[0].workload_metadata_config[0].mode == "GKE_METADATA" && google_container_node_pool.main.node_config[0].kubelet_config[0].insecure_kubelet_readonly_port_enabled == "FALSE"
    error_message = "nodes boot verified, and hide their own identity from pods"
  }
  assert {
    condition     = google_container_node_pool.main.management[0].auto_repair && google_container_node_pool.main.management[0].auto_upgrade
    error_message = "nodes are repaired and upgraded"
  }
}

run "network" {
  command = plan
  module {
    source = "../modules/network"
  }
  variables {
    name   = "net"
    ranges = { nodes = "10.10.0.0/20", pods = "10.20.0.0/16", services = "10.30.0.0/20" }
  }

  assert {
    condition     = !google_compute_network.main.auto_create_subnetworks && google_compute_subnetwork.nodes.private_ip_google_access && { for r in google_compute_subnetwork.nodes.secondary_ip_range : r.range_name => r.ip_cidr_range } == { pods = "10.20.0.0/16", services = "10.30.0.0/20" }
    error_message = "a network of its own with ranges for pods and Services"
  }
  assert {
    condition     = google_compute_router_nat.main.source_subnetwork_ip_ranges_to_nat == "LIST_OF_SUBNETWORKS" && google_compute_router_nat.main.nat_ip_allocate_option == "AUTO_ONLY"
    error_message = "NAT is for the nodes' subnetwork alone"
  }
}
