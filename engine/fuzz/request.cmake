ifd_fuzz(request server sched model kernels text base)
