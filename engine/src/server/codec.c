/* SPDX-License-Identifier: Apache-2.0 */
#include "server/codec.h"

void ifd_decode_init(struct ifd_decode *d, size_t bytes_max, uint32_t max_inputs)
{
    *d = (struct ifd_decode){.max_inputs = max_inputs};
    ifd_texts_init(&d->texts, bytes_max);
}

void ifd_decode_fini(struct ifd_decode *d)
{
    ifd_texts_fini(&d->texts);
}

void ifd_decode_begin(struct ifd_decode *d, const struct ifd_codec *codec)
{
    ifd_texts_reset(&d->texts);
    d->codec = codec;
    d->state = 0;
    d->in_text = false;
    d->seen = 0;
    d->key_size = 0;
    codec->begin(d);
}

inferd_status ifd_decode_feed(struct ifd_decode *d, const char *bytes, size_t n, inferd_error *err)
{
    return d->codec->feed(d, bytes, n, err);
}

inferd_status ifd_decode_finish(struct ifd_decode *d, inferd_error *err)
{
    return d->codec->finish(d, err);
}
