# SPDX-License-Identifier: Apache-2.0
variable "project_id" {
  description = "Project of the cluster and of the roles."
  type        = string
}

variable "project_number" {
  description = "The project's number: principals are named by it."
  type        = string
}

variable "namespace" {
  description = "Namespace of the Kubernetes service account."
  type        = string
}

variable "service_account" {
  description = "Name of the Kubernetes service account."
  type        = string
}

variable "roles" {
  description = "Roles in the project."
  type        = list(string)
  default     = []
}
