/* SPDX-License-Identifier: Apache-2.0
 *
 * normalize.h - BertNormalizer as a stream: raw UTF-8 in, normalised UTF-8 out, a block at a time.
 *
 * In the reference's order: clean-up, spaces around CJK, accent stripping (canonical decomposition,
 * reordering, marks removed), lower-casing scalar by scalar. Memory is constant but for runs of
 * combining scalars that are no Mn marks, which wait until the run ends to be sorted by class: that
 * queue grows with the longest run seen, and the sort is stable and linear.
 *
 * One owner at a time.
 */
#ifndef IFD_TEXT_NORMALIZE_H
#define IFD_TEXT_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ifd_normalize_options {
    bool clean_text;
    bool handle_chinese_chars;
    bool strip_accents;
    bool lowercase;
};

/* Output blocks must have at least this room. */
#define IFD_NORMALIZE_ROOM 32u

struct ifd_normalizer {
    /* private */
    struct ifd_normalize_options options;
    const char *text;
    size_t size, at;
    /* queue[head..ready) is in final order, queue[ready..count) is an open run of non-starters */
    struct ifd_normalize_item {
        uint32_t c;
        uint32_t ccc;
    } * queue, *sorted;
    size_t head, ready, count, capacity;
    bool has_ascii;
    uint8_t ascii[128]; /* what a plain byte becomes; 0xFF: dropped */
};

void ifd_normalizer_init(struct ifd_normalizer *n); /* zeroes */
void ifd_normalizer_fini(struct ifd_normalizer *n);

/* Begin a text (valid UTF-8, borrowed until its last block). */
void ifd_normalizer_start(struct ifd_normalizer *n, const struct ifd_normalize_options *options,
                          const char *text, size_t size);
/* Next block of whole scalars, *used bytes of out[room]; *used is 0 at the end of the text. The
 * stream does not depend on the rooms given. Fails only with INFERD_NO_MEMORY. */
IFD_MUST_CHECK inferd_status ifd_normalizer_next(struct ifd_normalizer *n, char *out, size_t room,
                                                 size_t *used, inferd_error *err);

#endif
