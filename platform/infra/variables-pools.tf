# SPDX-License-Identifier: Apache-2.0
# The node pools. Every count is a total of the pool over all its zones, not a count for each zone.

variable "cpu_machine_type" {
  description = "Machine type of the CPU nodes. int8 wants a CPU with VNNI: n2 with cpu_min_platform Ice Lake, or c3."
  type        = string
  default     = "n2-standard-4"

  validation {
    condition     = can(regex("^(n2|n2d|n4|c3|c3d|c4|e2)-(standard|highcpu|highmem)-[0-9]+$", var.cpu_machine_type))
    error_message = "cpu_machine_type must be a type of the families n2, n2d, n4, c3, c3d, c4 or e2, e.g. n2-standard-4."
  }
}

variable "cpu_min_platform" {
  description = "Oldest CPU that a CPU node may have; empty leaves it to Google. Only n2, n2d and n1 have a choice."
  type        = string
  default     = "Intel Ice Lake"

  validation {
    condition     = var.cpu_min_platform == "" || can(regex("^n(1|2|2d)-", var.cpu_machine_type))
    error_message = "cpu_min_platform is for machine types of n2 and n2d; set it to \"\" for others."
  }
}

variable "cpu_nodes" {
  description = "Fewest and most CPU nodes. Two at least: the head of Ray, the ingress and the controllers survive one node's end."
  type = object({
    min = optional(number, 2)
    max = optional(number, 6)
  })
  default = {}

  validation {
    condition     = var.cpu_nodes.min >= 1 && var.cpu_nodes.min <= var.cpu_nodes.max && var.cpu_nodes.max <= 100
    error_message = "cpu_nodes needs 1 <= min <= max <= 100: with no CPU node nothing could run that starts the others."
  }
}

variable "cpu_spot" {
  description = "CPU nodes as spot capacity. For trials: Ray's head lives on them."
  type        = bool
  default     = false
}

variable "gpu_quota" {
  description = "T4 GPUs that the project may use (the lower of the quotas GPUS_ALL_REGIONS and NVIDIA_T4_GPUS). 0: no GPU pool. GPU_QUOTA in .env."
  type        = number
  default     = 0

  validation {
    condition     = var.gpu_quota >= 0 && var.gpu_quota <= 64 && floor(var.gpu_quota) == var.gpu_quota
    error_message = "gpu_quota must be a whole number from 0 to 64: the number of T4s that the project's quota allows."
  }
}

variable "gpu_capacity" {
  description = "Which GPU pools there are: spot, on-demand, or spot-then-on-demand (both; the autoscaler goes on to the next where one has no capacity). GPU_CAPACITY in .env."
  type        = string
  default     = "spot-then-on-demand"

  validation {
    condition     = contains(["spot", "on-demand", "spot-then-on-demand"], var.gpu_capacity)
    error_message = "gpu_capacity must be spot, on-demand or spot-then-on-demand."
  }
}

variable "gpu_machine_type" {
  description = "Machine type of the GPU nodes, each with one T4."
  type        = string
  default     = "n1-standard-4"

  validation {
    condition     = can(regex("^n1-(standard|highmem|highcpu)-(1|2|4|8|16)$", var.gpu_machine_type))
    error_message = "gpu_machine_type must be an n1 type of at most 16 vCPUs: a T4 attaches to no other."
  }
}

variable "gpu_zones" {
  description = "Zones of the GPU nodes; empty takes zone. Each must have T4s."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for z in var.gpu_zones : startswith(z, "${var.region}-")])
    error_message = "gpu_zones must be zones of region."
  }

  validation {
    condition = var.gpu_quota == 0 || alltrue([for z in(length(var.gpu_zones) > 0 ? var.gpu_zones : [var.zone]) :
    contains(lookup(local.t4_zones, var.region, []), z)])
    error_message = "A zone for GPU nodes has no T4s (or region has none at all): take ZONE or gpu_zones from the zones listed in platform/infra/t4.tf."
  }
}

variable "gpu_driver" {
  description = "GPU driver that GKE installs: DEFAULT or LATEST. A change replaces the GPU nodes."
  type        = string
  default     = "DEFAULT"

  validation {
    condition     = contains(["DEFAULT", "LATEST"], var.gpu_driver)
    error_message = "gpu_driver must be DEFAULT or LATEST."
  }
}
