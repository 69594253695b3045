ifd_fuzz(config base text kernels model)
