# One T4 as spot capacity. A quota of 1 cannot hold two of a RayService: upgrades are in place.
gpu_quota    = 1
gpu_capacity = "spot"
