# SPDX-License-Identifier: Apache-2.0
output "principal" {
  description = "The service account as a member of IAM policies."
  value       = local.principal
}
