/* SPDX-License-Identifier: Apache-2.0
 *
 * wordpiece.h - one word to ids: greedy, the longest known piece first, or [UNK] for the whole
 * word.
 *
 * The model is part of a tokenizer and read-only; the scratch belongs to the encoding thread.
 */
#ifndef IFD_TEXT_WORDPIECE_H
#define IFD_TEXT_WORDPIECE_H

#include <stddef.h>
#include <stdint.h>

#include "text/vocab.h"

struct ifd_wordpiece {
    struct ifd_vocab vocab; /* sealed */
    uint32_t unk;
    size_t chars_max; /* longer words are [UNK] */
};

/* Where ids go: the first `capacity` are kept, all are counted. */
struct ifd_ids {
    int32_t *id;
    size_t capacity;
    size_t count;
};

static inline void ifd_ids_push(struct ifd_ids *out, uint32_t id)
{
    if (out->count < out->capacity)
        out->id[out->count] = (int32_t)id;
    out->count++;
}

/* Hashes of the prefixes of a word's rest: ifd_wordpiece_span(model) elements. */
size_t ifd_wordpiece_span(const struct ifd_wordpiece *model);

/* Ids of `word` (valid UTF-8, not empty, at most chars_max scalars). Time is at most size times the
 * longest token; the [UNK] of a longer word is the caller's. */
void ifd_wordpiece_encode(const struct ifd_wordpiece *model, uint32_t *hashes, const char *word,
                          size_t size, struct ifd_ids *out);

#endif
