/* SPDX-License-Identifier: Apache-2.0
 *
 * ranking.h - a text's labels in the order of their scores. Scratch that is used again; one owner
 * at a time.
 */
#ifndef IFD_CODEC_RANKING_H
#define IFD_CODEC_RANKING_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ifd_ranking {
    float *scores;   /* [capacity] */
    uint32_t *order; /* [capacity]: labels, the best first */
    /* private */
    size_t capacity;
};

IFD_MUST_CHECK inferd_status ifd_ranking_reserve(struct ifd_ranking *r, uint32_t labels,
                                                 inferd_error *err);
void ifd_ranking_fini(struct ifd_ranking *r); /* accepts a zeroed one */
/* Fill order[0 .. labels) by logits [labels], the largest first, on a tie the lower label first
 * (NaN counts as the least). By logits, as scores that round to 1 would hide an order. */
void ifd_ranking_sort(struct ifd_ranking *r, const float *logits, uint32_t labels);

#endif
