ifd_fuzz(text base text)
