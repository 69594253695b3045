/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/codec.h"

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
    d->options = (struct ifd_codec_options){.top_k = 1, .truncation = IFD_TRUNCATION_UNSAID};
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

bool ifd_codec_number(const char *digits, size_t n, uint32_t most, uint32_t *out)
{
    uint32_t value = 0;
    if (n < 1 || n > 8)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(digits[i] - '0');
    }
    if (value > most)
        return false;
    *out = value;
    return true;
}

bool ifd_codec_timeout(const char *digits, size_t n, uint32_t *ms)
{
    uint32_t value = 0;
    if (!ifd_codec_number(digits, n, 86400000, &value) || value < 1)
        return false;
    *ms = value;
    return true;
}
