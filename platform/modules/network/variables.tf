# SPDX-License-Identifier: Apache-2.0
variable "project_id" {
  description = "Project of the network."
  type        = string
}

variable "name" {
  description = "Name of network, router and NAT; the subnetwork is NAME-nodes."
  type        = string
}

variable "region" {
  description = "Region of the subnetwork and its NAT."
  type        = string
}

variable "ranges" {
  description = "IPv4 ranges of nodes, pods and Services."
  type        = object({ nodes = string, pods = string, services = string })
}

variable "flow_log_sampling" {
  description = "Share of flows that are logged, 0 to 1 (charged by volume)."
  type        = number
  default     = 0.1

  validation {
    condition     = var.flow_log_sampling > 0 && var.flow_log_sampling <= 1
    error_message = "flow_log_sampling must be above 0 and at most 1."
  }
}
