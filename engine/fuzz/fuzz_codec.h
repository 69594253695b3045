/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_codec.h - what the fuzz targets of codecs share: properties that hold for any body of any
 * codec, however it is cut.
 */
#ifndef IFD_FUZZ_CODEC_H
#define IFD_FUZZ_CODEC_H

#include <stdlib.h>

#include "base/utf8.h"
#include "codec/decoding.h"

#define INPUTS_MAX 6u
#define BYTES_MAX ((size_t)1 << 20)

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "property broken: %s\n", what);
        abort();
    }
}

static inferd_status ignore(void *ctx, enum ifd_json_event event, const char *s, size_t n,
                            bool last, inferd_error *err)
{
    (void)ctx, (void)event, (void)s, (void)n, (void)last, (void)err;
    return INFERD_OK;
}

static void check_error(ifd_error_encoder *encode, const inferd_error *error)
{
    struct ifd_buf body;
    struct ifd_json json;
    inferd_error err;
    const int http = ifd_status_http(error->status);
    ifd_buf_init(&body, BYTES_MAX);
    encode(error, http, NULL, &body);
    ifd_json_init(&json, 4, ignore, NULL);
    require(ifd_json_feed(&json, body.data, body.size, &err) == INFERD_OK &&
                ifd_json_finish(&json, &err) == INFERD_OK,
            "the error is JSON");
    require(http >= 400 && http < 500, "a body's fault is the client's");
    require(error->message[0] != '\0', "an error says something");
    ifd_buf_fini(&body);
}

static size_t check_text(inferd_text t)
{
    require(t.size > 0, "no empty text");
    require(ifd_utf8_check(t.data, t.size) == t.size, "well-formed UTF-8");
    return t.size;
}

static void check_texts(const struct ifd_texts *texts, size_t size)
{
    size_t total = 0;
    require(texts->count >= 1 && texts->count <= INPUTS_MAX, "1..max texts");
    for (uint32_t i = 0; i < texts->count; i++) {
        total += check_text(ifd_texts_get(texts, i));
        if (ifd_texts_second(texts, i).data) {
            require(texts->has_pairs, "a pair is told");
            total += check_text(ifd_texts_second(texts, i));
        }
    }
    require(total <= size, "texts are no longer than the body");
}

/* Decode it whole, into *whole, then byte by byte and cut at random: the same each time. */
static inferd_status check_cuts(struct ifd_decode *whole, const struct body *in, inferd_error *err)
{
    static struct ifd_decode cut;
    inferd_error other;
    struct body again = *in;
    if (!cut.max_inputs)
        ifd_decode_init(&cut, BYTES_MAX, INPUTS_MAX);
    if (!whole->max_inputs)
        ifd_decode_init(whole, BYTES_MAX, INPUTS_MAX);
    const inferd_status st = decode_body(whole, in, err);
    again.seed = 2166136261u;
    for (size_t i = 0; i < in->n; i++)
        again.seed = (again.seed ^ (unsigned char)in->s[i]) * 16777619u;
    again.seed |= 1;
    for (unsigned i = 0; i < 2; i++) {
        again.step = i == 0;
        require(decode_body(&cut, &again, &other) == st, "one verdict");
        require(strcmp(err->message, other.message) == 0, "one message");
        require(st || (same_texts(&whole->texts, &cut.texts) &&
                       memcmp(&whole->options, &cut.options, sizeof(cut.options)) == 0),
                "one list of texts, one set of options");
    }
    return st;
}

#endif
