ifd_fuzz(http server sched model kernels text base)
