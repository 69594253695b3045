# Spot T4s while there are some, on demand where there are none.
gpu_quota    = 2
gpu_capacity = "spot-then-on-demand"
gpu_zones    = ["europe-west4-a", "europe-west4-b"]
