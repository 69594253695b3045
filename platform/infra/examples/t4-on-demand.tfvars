# Two T4s that nobody takes away: room for blue/green upgrades.
gpu_quota    = 2
gpu_capacity = "on-demand"
