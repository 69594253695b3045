# SPDX-License-Identifier: Apache-2.0
# What is planned for each choice. Nothing here asks Google: the provider is a mock, so these runs prove our logic, not
# the API's.

mock_provider "google" {
  mock_data "google_compute_zones" {
    defaults = { names = ["europe-west4-c", "europe-west4-a", "europe-west4-b"] }
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
}

run "cpu_only" {
  command = plan

  assert {
    condition     = length(module.gpu_pool) == 0 && length(module.cpu_pool) > 0
    error_message = "a quota of 0 must give no GPU pool"
  }
  assert {
    condition     = output.rollout == "new-cluster"
    error_message = "without GPUs there is room for blue/green"
  }
}

run "quota_0_whatever_the_capacity" {
  command = plan
  variables {
    gpu_quota    = 0
    gpu_capacity = "on-demand"
    zone         = "europe-west4-b"
  }

  assert {
    condition     = length(module.gpu_pool) == 0
    error_message = "a quota of 0 must give no GPU pool, whatever the capacity"
  }
}

run "quota_1_spot" {
  command = plan
  variables {
    gpu_quota    = 1
    gpu_capacity = "spot"
  }

  assert {
    condition     = keys(module.gpu_pool) == ["gpu-spot"]
    error_message = "spot must give the spot pool alone"
  }
  assert {
    condition     = output.rollout == "in-place"
    error_message = "one GPU has no room for two of a RayService"
  }
}

run "quota_1_on_demand" {
  command = plan
  variables {
    gpu_quota    = 1
    gpu_capacity = "on-demand"
  }

  assert {
    condition     = keys(module.gpu_pool) == ["gpu-on-demand"]
    error_message = "on-demand must give the on-demand pool alone"
  }
}

run "quota_2_with_fallback" {
  command = plan
  variables {
    gpu_quota = 2
  }

  assert {
    condition     = keys(module.gpu_pool) == ["gpu-on-demand", "gpu-spot"]
    error_message = "the default capacity must give both pools"
  }
  assert {
    condition     = output.rollout == "new-cluster" && output.gpu_quota == 2
    error_message = "two GPUs have room for blue/green"
  }
}

run "zones_are_the_same_at_every_run" {
  command = plan

  assert {
    condition     = google_container_cluster.main.node_locations == toset(["europe-west4-a", "europe-west4-b", "europe-west4-c"])
    error_message = "by default the nodes are in ZONE and two others"
  }
}

run "zones_chosen" {
  command = plan
  variables {
    zones     = ["europe-west4-b", "europe-west4-c"]
    gpu_quota = 1
    gpu_zones = ["europe-west4-a"]
  }

  assert {
    condition     = google_container_cluster.main.node_locations == toset(["europe-west4-a", "europe-west4-b", "europe-west4-c"])
    error_message = "the cluster must span the zones of all its pools"
  }
}

run "names_follow_the_cluster" {
  command = plan
  variables {
    cluster_name = "other-cluster"
  }

  assert {
    condition     = google_container_cluster.main.name == "other-cluster" && google_service_account.nodes.account_id == "other-cluster-nodes" && google_service_account.flux.account_id == "other-cluster-flux"
    error_message = "CLUSTER must reach the cluster and the accounts named after it"
  }
}

run "longest_and_shortest_names" {
  command = plan
  variables {
    cluster_name = "a23456789012345678901234"
    project_id   = "p12345"
  }

  assert {
    condition     = length(google_service_account.nodes.account_id) == 30
    error_message = "a service account's id has at most 30 characters"
  }
}

run "control_plane_by_name_only" {
  command = plan

  assert {
    condition     = google_container_cluster.main.control_plane_endpoints_config[0].ip_endpoints_config[0].enabled == false && length(google_container_cluster.main.master_authorized_networks_config) == 0
    error_message = "without authorized networks the IP endpoints must be off"
  }
}

run "control_plane_by_address" {
  command = plan
  variables {
    authorized_networks = { office = "203.0.113.0/24" }
  }

  assert {
    condition     = google_container_cluster.main.control_plane_endpoints_config[0].ip_endpoints_config[0].enabled && one(google_container_cluster.main.master_authorized_networks_config[0].cidr_blocks).cidr_block == "203.0.113.0/24"
    error_message = "an authorized network must turn the IP endpoints on, for itself alone"
  }
}

run "maintenance_crosses_midnight" {
  command = plan
  variables {
    maintenance = { start = "22:30", hours = 6, days = ["SA", "SU"] }
  }

  assert {
    condition     = google_container_cluster.main.maintenance_policy[0].recurring_window[0].end_time == "2025-01-08T04:30:00Z" && google_container_cluster.main.maintenance_policy[0].recurring_window[0].recurrence == "FREQ=WEEKLY;BYDAY=SA,SU"
    error_message = "the window must be six hours long on the days asked for"
  }
}

run "workloads_get_their_roles_and_no_others" {
  command = apply
  variables {
    workloads = {
      serve = { namespace = "ray", service_account = "ray-serve", roles = ["roles/storage.objectViewer"] }
    }
  }

  assert {
    condition     = output.workload_principals == { serve = "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/test-project-1.svc.id.goog/subject/ns/ray/sa/ray-serve" }
    error_message = "a workload's principal is its namespace and service account in the project's pool"
  }
}
