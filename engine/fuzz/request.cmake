ifd_fuzz(request server codec sched model kernels text base)
