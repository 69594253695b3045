ifd_fuzz(protocols codec base)
