# SPDX-License-Identifier: Apache-2.0
# Where the cluster pulls its images from. Tags are immutable: an image is named by what it is.

resource "google_artifact_registry_repository" "images" {
  project       = var.project_id
  location      = var.region
  repository_id = var.registry
  description   = "Container images of the inference platform"
  format        = "DOCKER"
  labels        = var.labels

  docker_config {
    immutable_tags = true
  }

  # Untagged images older than 30 days go, but never the ten newest of a name.
  cleanup_policies {
    id     = "keep-ten"
    action = "KEEP"
    most_recent_versions {
      keep_count = 10
    }
  }

  cleanup_policies {
    id     = "delete-untagged"
    action = "DELETE"
    condition {
      tag_state  = "UNTAGGED"
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.api]

  lifecycle {
    prevent_destroy = true
  }
}

import {
  for_each = setintersection(var.adopt, ["registry"])
  to       = google_artifact_registry_repository.images
  id       = "projects/${var.project_id}/locations/${var.region}/repositories/${var.registry}"
}
