# The showcase without a GPU: works in a new project, whose quota of GPUs is 0.
gpu_quota = 0
