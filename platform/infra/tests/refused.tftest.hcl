# SPDX-License-Identifier: Apache-2.0
# Values that must be refused, one a run. platform/tests/test_terraform.py takes each run's expect_failures away and
# checks that what is then said is the validation's own message, and that no validation is without a run.

mock_provider "google" {
  mock_data "google_compute_zones" {
    defaults = { names = ["europe-west4-a", "europe-west4-b", "europe-west4-c", "europe-west1-b", "europe-west3-a", "europe-west9-a"] }
  }
  mock_data "google_kms_crypto_key" {
    defaults = { id = "projects/test-project-1/locations/europe-west4/keyRings/ring/cryptoKeys/key" }
  }
  mock_data "google_kms_key_ring" {
    defaults = { id = "projects/test-project-1/locations/europe-west4/keyRings/ring" }
  }
  mock_data "google_project" {
    defaults = { number = "123456789012" }
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

run "project_number" {
  command = plan
  variables {
    project_id = "123456789012"
  }
  expect_failures = [var.project_id]
}

run "project_name" {
  command = plan
  variables {
    project_id = "My Project"
  }
  expect_failures = [var.project_id]
}

run "zone_as_region" {
  command = plan
  variables {
    region = "europe-west4-b"
    zone   = "europe-west4-b-b"
  }
  expect_failures = [var.region]
}

run "zone_of_another_region" {
  command = plan
  variables {
    zone = "us-central1-a"
  }
  expect_failures = [var.zone]
}

run "zones_of_another_region" {
  command = plan
  variables {
    zones = ["europe-west4-b", "us-central1-a"]
  }
  expect_failures = [var.zones]
}

run "zones_twice" {
  command = plan
  variables {
    zones = ["europe-west4-b", "europe-west4-b"]
  }
  expect_failures = [var.zones]
}

run "zones_without_zone" {
  command = plan
  variables {
    zones = ["europe-west4-a"]
  }
  expect_failures = [var.zones]
}

run "cluster_too_long" {
  command = plan
  variables {
    cluster_name = "a234567890123456789012345"
  }
  expect_failures = [var.cluster_name]
}

run "cluster_too_short" {
  command = plan
  variables {
    cluster_name = "abcd"
  }
  expect_failures = [var.cluster_name]
}

run "cluster_ends_with_hyphen" {
  command = plan
  variables {
    cluster_name = "cluster-"
  }
  expect_failures = [var.cluster_name]
}

run "ring_as_path" {
  command = plan
  variables {
    kms_key_ring = "projects/p/locations/l/keyRings/r"
  }
  expect_failures = [var.kms_key_ring]
}

run "key_as_path" {
  command = plan
  variables {
    kms_crypto_key = "ring/key"
  }
  expect_failures = [var.kms_crypto_key]
}

run "cluster_key_is_sops_key" {
  command = plan
  variables {
    cluster_secrets_key = "sops"
  }
  expect_failures = [var.cluster_secrets_key]
}

run "registry_in_capitals" {
  command = plan
  variables {
    registry = "Images"
  }
  expect_failures = [var.registry]
}

run "ranges_public" {
  command = plan
  variables {
    ranges = { pods = "8.8.0.0/16" }
  }
  expect_failures = [var.ranges]
}

run "ranges_not_cidr" {
  command = plan
  variables {
    ranges = { pods = "10.20.0.0" }
  }
  expect_failures = [var.ranges]
}

run "ranges_overlap" {
  command = plan
  variables {
    ranges = { pods = "10.20.0.0/16", services = "10.20.128.0/20" }
  }
  expect_failures = [var.ranges]
}

run "networks_everyone" {
  command = plan
  variables {
    authorized_networks = { all = "0.0.0.0/0" }
  }
  expect_failures = [var.authorized_networks]
}

run "networks_too_wide" {
  command = plan
  variables {
    authorized_networks = { wide = "203.0.0.0/15" }
  }
  expect_failures = [var.authorized_networks]
}

run "channel_none" {
  command = plan
  variables {
    release_channel = "UNSPECIFIED"
  }
  expect_failures = [var.release_channel]
}

run "maintenance_day" {
  command = plan
  variables {
    maintenance = { days = ["Monday"], hours = 12 }
  }
  expect_failures = [var.maintenance]
}

run "maintenance_start" {
  command = plan
  variables {
    maintenance = { start = "24:00" }
  }
  expect_failures = [var.maintenance]
}

run "maintenance_too_short" {
  command = plan
  variables {
    maintenance = { hours = 3 }
  }
  expect_failures = [var.maintenance]
}

run "maintenance_too_little" {
  command = plan
  variables {
    maintenance = { days = ["SU"], hours = 6 }
  }
  expect_failures = [var.maintenance]
}

run "workload_as_owner" {
  command = plan
  variables {
    workloads = { w = { namespace = "ray", service_account = "s", roles = ["roles/owner"] } }
  }
  expect_failures = [var.workloads]
}

run "workload_as_admin" {
  command = plan
  variables {
    workloads = { w = { namespace = "ray", service_account = "s", roles = ["roles/storage.admin"] } }
  }
  expect_failures = [var.workloads]
}

run "workload_in_flux_system" {
  command = plan
  variables {
    workloads = { w = { namespace = "flux-system", service_account = "s", roles = [] } }
  }
  expect_failures = [var.workloads]
}

run "cpu_family" {
  command = plan
  variables {
    cpu_machine_type = "m1-ultramem-40"
    cpu_min_platform = ""
  }
  expect_failures = [var.cpu_machine_type]
}

run "cpu_platform_of_c3" {
  command = plan
  variables {
    cpu_machine_type = "c3-standard-4"
  }
  expect_failures = [var.cpu_min_platform]
}

run "cpu_nodes_none" {
  command = plan
  variables {
    cpu_nodes = { min = 0 }
  }
  expect_failures = [var.cpu_nodes]
}

run "cpu_nodes_min_over_max" {
  command = plan
  variables {
    cpu_nodes = { min = 3, max = 2 }
  }
  expect_failures = [var.cpu_nodes]
}

run "cpu_nodes_too_many" {
  command = plan
  variables {
    cpu_nodes = { max = 101 }
  }
  expect_failures = [var.cpu_nodes]
}

run "quota_negative" {
  command = plan
  variables {
    gpu_quota = -1
  }
  expect_failures = [var.gpu_quota]
}

run "quota_in_halves" {
  command = plan
  variables {
    gpu_quota = 1.5
  }
  expect_failures = [var.gpu_quota]
}

run "quota_too_high" {
  command = plan
  variables {
    gpu_quota = 65
  }
  expect_failures = [var.gpu_quota]
}

run "capacity_preemptible" {
  command = plan
  variables {
    gpu_capacity = "preemptible"
  }
  expect_failures = [var.gpu_capacity]
}

run "gpu_on_n2" {
  command = plan
  variables {
    gpu_machine_type = "n2-standard-4"
  }
  expect_failures = [var.gpu_machine_type]
}

run "gpu_zones_of_another_region" {
  command = plan
  variables {
    gpu_zones = ["us-central1-a"]
  }
  expect_failures = [var.gpu_zones]
}

run "gpu_zone_without_t4" {
  command = plan
  variables {
    region    = "europe-west1"
    zone      = "europe-west1-b"
    gpu_quota = 1
    gpu_zones = ["europe-west1-a"]
  }
  expect_failures = [var.gpu_zones]
}

run "zone_without_t4" {
  command = plan
  variables {
    region    = "europe-west3"
    zone      = "europe-west3-a"
    gpu_quota = 1
  }
  expect_failures = [var.gpu_zones]
}

run "region_without_t4" {
  command = plan
  variables {
    region    = "europe-west9"
    zone      = "europe-west9-a"
    gpu_quota = 1
  }
  expect_failures = [var.gpu_zones]
}

run "driver_pinned" {
  command = plan
  variables {
    gpu_driver = "550.90"
  }
  expect_failures = [var.gpu_driver]
}

run "zone_that_the_project_lacks" {
  command = plan
  variables {
    zone = "europe-west4-z"
  }
  expect_failures = [data.google_compute_zones.region]
}

run "pool_of_another_kind" {
  command = plan
  module {
    source = "../modules/node-pool"
  }
  variables {
    cluster         = "ray-serve-gke"
    name            = "pool"
    zones           = ["europe-west4-a"]
    nodes_min       = 1
    nodes_max       = 1
    may_surge       = true
    machine_type    = "n2-standard-4"
    spot            = false
    service_account = "account@test-project-1.iam.gserviceaccount.com"
    labels          = {}
    pool            = "tpu"
    gpu             = { type = "nvidia-tesla-t4", driver = "DEFAULT" }
  }
  expect_failures = [var.pool]
}

run "pool_in_no_zone" {
  command = plan
  module {
    source = "../modules/node-pool"
  }
  variables {
    cluster         = "ray-serve-gke"
    name            = "pool"
    pool            = "cpu"
    zones           = []
    nodes_min       = 1
    nodes_max       = 1
    may_surge       = true
    machine_type    = "n2-standard-4"
    spot            = false
    service_account = "account@test-project-1.iam.gserviceaccount.com"
    labels          = {}
  }
  expect_failures = [var.zones]
}

run "pool_of_none" {
  command = plan
  module {
    source = "../modules/node-pool"
  }
  variables {
    cluster         = "ray-serve-gke"
    name            = "pool"
    pool            = "cpu"
    zones           = ["europe-west4-a"]
    nodes_min       = 0
    nodes_max       = 0
    may_surge       = true
    machine_type    = "n2-standard-4"
    spot            = false
    service_account = "account@test-project-1.iam.gserviceaccount.com"
    labels          = {}
  }
  expect_failures = [var.nodes_max]
}

run "gpu_pool_without_gpu" {
  command = plan
  module {
    source = "../modules/node-pool"
  }
  variables {
    cluster         = "ray-serve-gke"
    name            = "pool"
    pool            = "gpu"
    zones           = ["europe-west4-a"]
    nodes_min       = 0
    nodes_max       = 1
    may_surge       = false
    machine_type    = "n1-standard-4"
    spot            = false
    service_account = "account@test-project-1.iam.gserviceaccount.com"
    labels          = {}
  }
  expect_failures = [var.gpu]
}

run "flow_logs_of_nothing" {
  command = plan
  module {
    source = "../modules/network"
  }
  variables {
    name              = "net"
    ranges            = { nodes = "10.10.0.0/20", pods = "10.20.0.0/16", services = "10.30.0.0/20" }
    flow_log_sampling = 0
  }
  expect_failures = [var.flow_log_sampling]
}
