ifd_fuzz(http server codec sched model kernels text base)
