# SPDX-License-Identifier: Apache-2.0
variable "project_id" {
  description = "Project of the cluster."
  type        = string
}

variable "region" {
  description = "Location of the (regional) cluster."
  type        = string
}

variable "cluster" {
  description = "Name of the cluster."
  type        = string
}

variable "name" {
  description = "Name of the pool."
  type        = string
}

variable "pool" {
  description = "Value of the nodes' label `pool`, which workloads select by."
  type        = string

  validation {
    condition     = contains(["cpu", "gpu"], var.pool)
    error_message = "pool must be cpu or gpu."
  }
}

variable "zones" {
  description = "Zones of the nodes."
  type        = list(string)

  validation {
    condition     = length(var.zones) > 0
    error_message = "zones must not be empty: an empty list would put the pool into every zone of the cluster, also into those without its hardware."
  }
}

variable "nodes_min" {
  description = "Fewest nodes, in all zones together."
  type        = number
}

variable "nodes_max" {
  description = "Most nodes, in all zones together."
  type        = number

  validation {
    condition     = var.nodes_max >= 1 && var.nodes_max >= var.nodes_min
    error_message = "nodes_max must be at least 1 and at least nodes_min."
  }
}

variable "may_surge" {
  description = "Whether an upgrade may take one node more than nodes_max for a while. False where quota ends at nodes_max."
  type        = bool
}

variable "machine_type" {
  description = "Machine type of the nodes."
  type        = string
}

variable "min_cpu_platform" {
  description = "Oldest CPU platform; empty for Google's choice."
  type        = string
  default     = ""
}

variable "spot" {
  description = "Spot capacity: cheaper, and taken away with 30 seconds' notice."
  type        = bool
}

variable "disk_gb" {
  description = "Size of the boot disk in GB."
  type        = number
  default     = 100
}

variable "service_account" {
  description = "E-mail address of the nodes' service account."
  type        = string
}

variable "labels" {
  description = "Labels of the virtual machines, for billing."
  type        = map(string)
}

variable "gpu" {
  description = "One GPU a node of this type, with this driver (DEFAULT or LATEST); null for none. Brings the taint nvidia.com/gpu=present:NoSchedule."
  type        = object({ type = string, driver = string })
  default     = null

  validation {
    condition     = (var.gpu == null) == (var.pool == "cpu")
    error_message = "gpu belongs to a pool labelled gpu, and only to one."
  }
}
