/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/ranking.h"

#include <math.h>
#include <stdbool.h>

#include "base/mem.h"

inferd_status ifd_ranking_reserve(struct ifd_ranking *r, uint32_t labels, inferd_error *err)
{
    if (labels <= r->capacity)
        return INFERD_OK;
    float *scores = ifd_alloc_array(labels, sizeof(*scores));
    uint32_t *order = ifd_alloc_array(labels, sizeof(*order));
    if (!scores || !order) {
        ifd_free(scores);
        ifd_free(order);
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for the scores of %u labels", labels);
    }
    ifd_ranking_fini(r);
    *r = (struct ifd_ranking){.scores = scores, .order = order, .capacity = labels};
    return INFERD_OK;
}

void ifd_ranking_fini(struct ifd_ranking *r)
{
    ifd_free(r->scores);
    ifd_free(r->order);
    *r = (struct ifd_ranking){0};
}

/* Does label a come after label b? */
static bool is_after(const float *logits, uint32_t a, uint32_t b)
{
    const float x = isnan(logits[a]) ? -INFINITY : logits[a];
    const float y = isnan(logits[b]) ? -INFINITY : logits[b];
    return x < y || (!(x > y) && a > b);
}

/* Heap order below `root`: what comes last in the ranking is on top. */
static void sink(uint32_t *order, const float *logits, uint32_t root, uint32_t n)
{
    for (uint32_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && is_after(logits, order[child + 1], order[child]))
            child++;
        if (!is_after(logits, order[child], order[root]))
            return;
        const uint32_t label = order[root];
        order[root] = order[child];
        order[child] = label;
    }
}

/* Heapsort: no allocation and no bad case, whatever the logits. */
void ifd_ranking_sort(struct ifd_ranking *r, const float *logits, uint32_t labels)
{
    uint32_t *order = r->order;
    for (uint32_t i = 0; i < labels; i++)
        order[i] = i;
    for (uint32_t i = labels / 2; i-- > 0;)
        sink(order, logits, i, labels);
    for (uint32_t n = labels; n-- > 1;) {
        const uint32_t last = order[0];
        order[0] = order[n];
        order[n] = last;
        sink(order, logits, 0, n);
    }
}
