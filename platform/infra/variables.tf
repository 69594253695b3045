# SPDX-License-Identifier: Apache-2.0
# Where, what it is called, who may reach it. The pools' variables are in variables-pools.tf.

variable "project_id" {
  description = "Google Cloud project that everything is created in. PROJECT_ID in .env."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be a project's id (6 to 30 lower-case letters, digits and hyphens), not its name or number."
  }
}

variable "region" {
  description = "Region of the cluster and its network, e.g. europe-west4. REGION in .env."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region must be a region such as europe-west4, without a zone's letter."
  }
}

variable "zone" {
  description = "First zone of the nodes and, unless gpu_zones says otherwise, the zone of the GPU nodes. ZONE in .env."
  type        = string

  validation {
    condition     = can(regex("^${var.region}-[a-z]$", var.zone))
    error_message = "zone must be a zone of region, e.g. europe-west4-b in europe-west4."
  }
}

variable "zones" {
  description = "Zones of the CPU nodes; empty takes zone and up to two others of the region."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for z in var.zones : can(regex("^${var.region}-[a-z]$", z))]) && length(distinct(var.zones)) == length(var.zones)
    error_message = "zones must be different zones of region."
  }

  validation {
    condition     = length(var.zones) == 0 || contains(var.zones, var.zone)
    error_message = "zones must include zone."
  }
}

variable "cluster_name" {
  description = "Name of the cluster; network and service accounts are named after it. CLUSTER in .env."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{3,22}[a-z0-9]$", var.cluster_name))
    error_message = "cluster_name must be 5 to 24 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen: names of service accounts are made from it."
  }
}

variable "kms_key_ring" {
  description = "Key ring that infra-bootstrap made or adopted. KMS_KEY_RING in .env."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,63}$", var.kms_key_ring))
    error_message = "kms_key_ring must be 1 to 63 letters, digits, hyphens and underscores: the ring's own name, not its resource path."
  }
}

variable "kms_crypto_key" {
  description = "Key of SOPS, which Flux may decrypt with. KMS_CRYPTO_KEY in .env."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,63}$", var.kms_crypto_key))
    error_message = "kms_crypto_key must be 1 to 63 letters, digits, hyphens and underscores: the key's own name, not its resource path."
  }
}

variable "cluster_secrets_key" {
  description = "Key that the cluster encrypts its Secrets with, made by infra-bootstrap."
  type        = string
  default     = "gke-secrets"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,63}$", var.cluster_secrets_key)) && var.cluster_secrets_key != var.kms_crypto_key
    error_message = "cluster_secrets_key must be a key's name other than kms_crypto_key: who may read Git's secrets must not be able to read the cluster's."
  }
}

variable "registry" {
  description = "Artifact Registry repository that the nodes pull from, made by infra-bootstrap."
  type        = string
  default     = "inferd"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.registry))
    error_message = "registry must be 1 to 63 lower-case letters, digits and hyphens, starting with a letter."
  }
}

variable "ranges" {
  description = "IPv4 ranges of nodes, pods and Services. Pods: a /24 for each node; they bound how many nodes there can be."
  type = object({
    nodes    = optional(string, "10.10.0.0/20")
    pods     = optional(string, "10.20.0.0/16")
    services = optional(string, "10.30.0.0/20")
  })
  default = {}

  validation {
    condition     = alltrue([for r in values(var.ranges) : can(cidrhost(r, 0)) && can(regex("^(10|172\\.(1[6-9]|2[0-9]|3[01])|192\\.168)\\.", r))])
    error_message = "ranges must be private IPv4 ranges in CIDR form, e.g. 10.20.0.0/16."
  }

  validation {
    condition = alltrue([for pair in setproduct(keys(var.ranges), keys(var.ranges)) : pair[0] == pair[1] || try(
      # Two ranges overlap exactly when the wider one, laid over the other's first address, is itself.
      cidrhost("${cidrhost(var.ranges[pair[0]], 0)}/${min([for k in pair : tonumber(split("/", var.ranges[k])[1])]...)}", 0) !=
    cidrhost("${cidrhost(var.ranges[pair[1]], 0)}/${min([for k in pair : tonumber(split("/", var.ranges[k])[1])]...)}", 0), true)])
    error_message = "ranges overlap: nodes, pods and services need ranges of their own."
  }
}

variable "authorized_networks" {
  description = <<-EOT
    Public ranges that may reach the control plane by its IP address. Empty, the default, turns the IP endpoints off: the
    control plane is then reached by its DNS name, where IAM decides (`make creds` uses that name either way).
  EOT
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for r in values(var.authorized_networks) : can(cidrhost(r, 0)) && can(tonumber(split("/", r)[1])) && try(tonumber(split("/", r)[1]) >= 16, false)])
    error_message = "authorized_networks must map a name to an IPv4 range of at most a /16: 0.0.0.0/0 would open the control plane to everyone."
  }
}

variable "release_channel" {
  description = "GKE release channel: who decides on Kubernetes' version. REGULAR or STABLE; RAPID has no availability promise."
  type        = string
  default     = "REGULAR"

  validation {
    condition     = contains(["RAPID", "REGULAR", "STABLE"], var.release_channel)
    error_message = "release_channel must be RAPID, REGULAR or STABLE."
  }
}

variable "maintenance" {
  description = "Weekly window in which GKE may upgrade, in UTC: days as in iCalendar (MO,TU,...), start as HH:MM, hours of length."
  type = object({
    days  = optional(list(string), ["TU", "WE", "TH", "SA"])
    start = optional(string, "02:00")
    hours = optional(number, 6)
  })
  default = {}

  validation {
    condition     = length(setsubtract(var.maintenance.days, ["MO", "TU", "WE", "TH", "FR", "SA", "SU"])) == 0
    error_message = "maintenance.days must be of MO, TU, WE, TH, FR, SA and SU."
  }

  validation {
    condition     = can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]$", var.maintenance.start)) && var.maintenance.hours >= 4 && var.maintenance.hours <= 24
    error_message = "maintenance.start must be HH:MM in UTC and maintenance.hours from 4 to 24: GKE counts no shorter window."
  }

  validation {
    condition     = length(var.maintenance.days) * var.maintenance.hours >= 12
    error_message = "maintenance has under 12 hours a week; GKE asks for 48 hours in 32 days."
  }
}

variable "workload_logs" {
  description = "Send the containers' output to Cloud Logging too (charged by volume), not only that of the system."
  type        = bool
  default     = true
}

variable "managed_prometheus" {
  description = "Google's managed Prometheus collection. Off: Flux installs kube-prometheus-stack, and metrics would be paid for twice."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Refuse to destroy the cluster. `make terraform-destroy` turns it off first, after asking."
  type        = bool
  default     = true
}

variable "workloads" {
  description = <<-EOT
    Kubernetes service accounts that get roles in the project without keys (Workload Identity Federation), by a name of
    yours. Basic roles and roles that administer are refused.
  EOT
  type = map(object({
    namespace       = string
    service_account = string
    roles           = list(string)
  }))
  default = {}

  validation {
    condition = alltrue(flatten([for w in values(var.workloads) : [for r in w.roles :
    can(regex("^(roles/|projects/[a-z0-9-]+/roles/)[A-Za-z.]+$", r)) && !can(regex("(?i)roles/(owner|editor|viewer)$|admin", r))]]))
    error_message = "workloads may have predefined or custom roles, but no basic role (owner, editor, viewer) and none that administers."
  }

  validation {
    condition     = alltrue([for w in values(var.workloads) : w.namespace != "flux-system" && w.namespace != "kube-system"])
    error_message = "workloads must not be in flux-system or kube-system: their identities are not for applications."
  }
}
