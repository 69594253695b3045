ifd_fuzz(json base)
