/* SPDX-License-Identifier: Apache-2.0
 *
 * decoding.h - what tests and fuzz targets of codecs share: a body fed whole or in pieces, its
 * texts shown and compared.
 */
#ifndef IFD_TESTS_CODEC_DECODING_H
#define IFD_TESTS_CODEC_DECODING_H

#include <stdio.h>
#include <string.h>

#include "codec/codec.h"

/* A body, and how it is cut: all zero, not at all. */
struct body {
    const struct ifd_codec *codec;
    const char *s;
    size_t n;
    size_t json;   /* where the JSON of a body with a binary part ends; 0: it has none */
    size_t first;  /* bytes of the first piece */
    size_t step;   /* bytes of every piece */
    uint32_t seed; /* of pieces of 1 to 13 bytes */
};

static inline size_t next_piece(const struct body *b, size_t at, uint32_t *seed)
{
    size_t piece = b->n - at;
    if (b->step) {
        piece = b->step;
    } else if (*seed) {
        *seed = *seed * 1664525u + 1013904223u;
        piece = 1 + (*seed >> 8) % 13;
    } else if (b->first && at == 0) {
        piece = b->first;
    }
    return piece < b->n - at ? piece : b->n - at;
}

static inline inferd_status decode_body(struct ifd_decode *d, const struct body *b,
                                        inferd_error *err)
{
    inferd_status st = INFERD_OK;
    uint32_t seed = b->seed;
    memset(err, 0, sizeof(*err));
    ifd_decode_begin(d, b->codec);
    if (b->json)
        ifd_decode_json_size(d, b->json);
    for (size_t at = 0, piece; at < b->n && !st; at += piece) {
        piece = next_piece(b, at, &seed);
        st = ifd_decode_feed(d, b->s + at, piece, err);
    }
    return st ? st : ifd_decode_finish(d, err);
}

/* "a|b|", and "a/b|" for a pair. */
static inline void show_texts(const struct ifd_texts *texts, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < texts->count; i++) {
        const inferd_text t = ifd_texts_get(texts, i), second = ifd_texts_second(texts, i);
        at += (size_t)snprintf(out + at, size - at, "%.*s%s%.*s|", (int)t.size, t.data,
                               second.data ? "/" : "", (int)second.size,
                               second.data ? second.data : "");
    }
}

static inline bool same_text(inferd_text a, inferd_text b)
{
    return !a.data == !b.data && a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool same_texts(const struct ifd_texts *a, const struct ifd_texts *b)
{
    if (a->count != b->count || a->has_pairs != b->has_pairs)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!same_text(ifd_texts_get(a, i), ifd_texts_get(b, i)) ||
            !same_text(ifd_texts_second(a, i), ifd_texts_second(b, i)))
            return false;
    return true;
}

#endif
