ifd_fuzz(tokenizer_json base text)
