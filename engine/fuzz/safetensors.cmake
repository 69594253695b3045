ifd_fuzz(safetensors base text kernels model)
