# SPDX-License-Identifier: Apache-2.0
# Zones with T4 GPUs, as published in November 2026. `gcloud compute accelerator-types list --filter=name=nvidia-tesla-t4`
# tells today's.

locals {
  t4_zone_letters = {
    asia-east1              = "ac"
    asia-east2              = "ac"
    asia-northeast1         = "ac"
    asia-northeast3         = "bc"
    asia-south1             = "ab"
    asia-southeast1         = "abc"
    asia-southeast2         = "ab"
    australia-southeast1    = "ac"
    europe-central2         = "bc"
    europe-west1            = "bcd"
    europe-west2            = "ab"
    europe-west3            = "b"
    europe-west4            = "abc"
    me-west1                = "bc"
    northamerica-northeast1 = "c"
    southamerica-east1      = "abc"
    us-central1             = "abcf"
    us-east1                = "bcd"
    us-east4                = "abc"
    us-west1                = "ab"
    us-west2                = "bc"
    us-west3                = "b"
    us-west4                = "ab"
  }
  t4_zones = { for region, letters in local.t4_zone_letters : region => [for l in split("", letters) : "${region}-${l}" if l != ""] }
}
