/* SPDX-License-Identifier: Apache-2.0
 *
 * texts.h - the texts of one request, decoded, end to end in one bounded buffer that is reused from
 * request to request. What every request codec produces. One owner at a time.
 */
#ifndef IFD_CODEC_TEXTS_H
#define IFD_CODEC_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct ifd_texts {
    uint32_t count; /* a pair of texts counts as one */
    bool has_pairs;
    /* private */
    struct ifd_buf bytes;
    /* [count]: text i is bytes[ends[i - 1].all] .. bytes[ends[i].all - 1]; a pair's first text ends
     * at ends[i].first, which is SIZE_MAX for a single text */
    struct ifd_text_end {
        size_t first, all;
    } * ends;
    size_t capacity;
    bool in_second;
};

void ifd_texts_init(struct ifd_texts *t, size_t bytes_max);
void ifd_texts_fini(struct ifd_texts *t);
void ifd_texts_reset(struct ifd_texts *t);
/* More bytes of the text that is being written (which begins where the last one ended). */
IFD_MUST_CHECK inferd_status ifd_texts_add(struct ifd_texts *t, const char *s, size_t n,
                                           inferd_error *err);
/* The text that is being written is complete; *size gets its bytes (of a pair: the second's). */
IFD_MUST_CHECK inferd_status ifd_texts_end(struct ifd_texts *t, size_t *size, inferd_error *err);
/* What is written next is the second text of the one that has just been completed: the two are a
 * pair from its end on. Between texts, with count > 0, and the last one single. */
void ifd_texts_begin_second(struct ifd_texts *t);
/* Of a pair: its first text. */
inferd_text ifd_texts_get(const struct ifd_texts *t, uint32_t i);
/* Of a pair; else `data` is NULL. */
inferd_text ifd_texts_second(const struct ifd_texts *t, uint32_t i);
/* Heap bytes held. */
size_t ifd_texts_memory(const struct ifd_texts *t);

#endif
