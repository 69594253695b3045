# SPDX-License-Identifier: Apache-2.0
# Roles in the project for one Kubernetes service account, without a key and without a Google service account in between
# (Workload Identity Federation for GKE).

locals {
  principal = "principal://iam.googleapis.com/projects/${var.project_number}/locations/global/workloadIdentityPools/${var.project_id}.svc.id.goog/subject/ns/${var.namespace}/sa/${var.service_account}"
}

resource "google_project_iam_member" "role" {
  for_each = toset(var.roles)

  project = var.project_id
  role    = each.value
  member  = local.principal
}
