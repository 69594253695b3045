# SPDX-License-Identifier: Apache-2.0
variable "project_id" {
  description = "Google Cloud project that everything is created in; it exists and has billing enabled. PROJECT_ID in .env."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be a project's id (6 to 30 lower-case letters, digits and hyphens), not its name or number."
  }
}

variable "region" {
  description = "Region of keys, state bucket, registry and cluster, e.g. europe-west4. REGION in .env."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region must be a region such as europe-west4, without a zone's letter."
  }
}

variable "state_bucket" {
  description = "Bucket of Terraform's state, unique in all of Cloud Storage. TF_BACKEND_BUCKET in .env."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$", var.state_bucket)) && !startswith(var.state_bucket, "goog")
    error_message = "state_bucket must be a bucket's name (3 to 63 lower-case letters, digits, hyphens and underscores, not starting with goog), without gs://."
  }
}

variable "kms_key_ring" {
  description = "Key ring of all keys. KMS_KEY_RING in .env. A ring can never be deleted: an existing one is adopted."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,63}$", var.kms_key_ring))
    error_message = "kms_key_ring must be 1 to 63 letters, digits, hyphens and underscores: the ring's own name, not its resource path."
  }
}

variable "kms_crypto_key" {
  description = "Key that SOPS encrypts the repository's secrets with. KMS_CRYPTO_KEY in .env. Existing ones are adopted."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,63}$", var.kms_crypto_key))
    error_message = "kms_crypto_key must be 1 to 63 letters, digits, hyphens and underscores: the key's own name, not its resource path."
  }
}

variable "cluster_secrets_key" {
  description = "Key that the cluster encrypts its Secrets with (envelope encryption of etcd)."
  type        = string
  default     = "gke-secrets"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,63}$", var.cluster_secrets_key)) && var.cluster_secrets_key != var.kms_crypto_key
    error_message = "cluster_secrets_key must be a key's name other than kms_crypto_key: who may read Git's secrets must not be able to read the cluster's."
  }
}

variable "state_key" {
  description = "Key that the state bucket encrypts its objects with."
  type        = string
  default     = "terraform-state"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,63}$", var.state_key)) && !contains([var.kms_crypto_key, var.cluster_secrets_key], var.state_key)
    error_message = "state_key must be a key's name other than those of the other keys."
  }
}

variable "key_rotation_days" {
  description = "Days between a key's rotations. New data uses the new version; old versions stay until destroyed by hand (docs/runbooks/rotate-keys.md)."
  type        = number
  default     = 90

  validation {
    condition     = var.key_rotation_days >= 7 && var.key_rotation_days <= 365 && floor(var.key_rotation_days) == var.key_rotation_days
    error_message = "key_rotation_days must be a whole number from 7 to 365."
  }
}

variable "key_protection_level" {
  description = "SOFTWARE, or HSM for keys in hardware. Only of keys that are created: it cannot change later."
  type        = string
  default     = "SOFTWARE"

  validation {
    condition     = contains(["SOFTWARE", "HSM"], var.key_protection_level)
    error_message = "key_protection_level must be SOFTWARE or HSM."
  }
}

variable "registry" {
  description = "Artifact Registry repository of the container images."
  type        = string
  default     = "inferd"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.registry))
    error_message = "registry must be 1 to 63 lower-case letters, digits and hyphens, starting with a letter."
  }
}

variable "github_repository" {
  description = "OWNER/NAME of the GitHub repository whose release workflow may push images; empty: none may. GITHUB_OWNER and GITHUB_REPO in .env."
  type        = string
  default     = ""

  validation {
    condition     = var.github_repository == "" || can(regex("^[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?/[A-Za-z0-9._-]{1,100}$", var.github_repository))
    error_message = "github_repository must be OWNER/NAME, without a URL around it."
  }
}

variable "labels" {
  description = "Labels of everything that carries labels."
  type        = map(string)
  default     = { managed-by = "terraform", app = "inferd" }

  validation {
    condition     = alltrue([for k, v in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", k)) && can(regex("^[a-z0-9_-]{0,63}$", v))])
    error_message = "labels must have keys and values of at most 63 lower-case letters, digits, hyphens and underscores; a key starts with a letter."
  }
}

variable "adopt" {
  description = <<-EOT
    What exists already and is taken over instead of created: any of ring, sops, cluster, state (the keys), bucket,
    registry. `make bootstrap-plan` looks and fills it in; what the state holds already may stay listed.
  EOT
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.adopt, ["ring", "sops", "cluster", "state", "bucket", "registry"])) == 0
    error_message = "adopt may list ring, sops, cluster, state, bucket and registry."
  }

  validation {
    condition     = contains(var.adopt, "ring") || length(setintersection(var.adopt, ["sops", "cluster", "state"])) == 0
    error_message = "adopt lists a key without its ring: a key cannot exist without one."
  }
}
