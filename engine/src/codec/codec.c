/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/codec.h"

#include <stdio.h>
#include <string.h>

#include "base/jsonout.h"

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
    d->model[0] = '\0';
    d->json_left = UINT64_MAX;
    codec->begin(d);
}

void ifd_decode_json_size(struct ifd_decode *d, uint64_t bytes)
{
    d->json_left = bytes;
}

void ifd_answer_header(const struct ifd_answer *a, const char *fmt, ...)
{
    if (!a->head)
        return;
    const size_t used = strlen(a->head->headers);
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(a->head->headers + used, a->head->capacity - used, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= a->head->capacity - used)
        a->head->headers[used] = '\0';
}

void ifd_error_plain(const inferd_error *error, int http, const char *request_id,
                     struct ifd_buf *out)
{
    (void)http, (void)request_id;
    ifd_buf_add_str(out, "{\"error\":");
    ifd_jsonout_cstr(out, error->message[0] ? error->message : inferd_status_text(error->status));
    ifd_buf_add_str(out, "}\n");
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
