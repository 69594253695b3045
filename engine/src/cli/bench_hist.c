/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_hist.h"

#include <string.h>

#define SUB (1u << IFD_BENCH_HIST_BITS)

/* Below SUB a value is its own bucket; above, its top bits after the leading one choose it. */
static uint32_t bucket_of(uint64_t ns)
{
    if (ns >> IFD_BENCH_HIST_TOP)
        return IFD_BENCH_HIST_BUCKETS - 1;
    if (ns < SUB)
        return (uint32_t)ns;
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(ns) - IFD_BENCH_HIST_BITS;
    return ((shift + 1) << IFD_BENCH_HIST_BITS) + (uint32_t)(ns >> shift) - SUB;
}

/* The middle of a bucket: half its width is the error. */
static uint64_t middle_of(uint32_t bucket)
{
    if (bucket < SUB)
        return bucket;
    uint32_t shift = (bucket >> IFD_BENCH_HIST_BITS) - 1;
    uint64_t low = (uint64_t)(SUB + (bucket & (SUB - 1))) << shift;
    return low + (((uint64_t)1 << shift) >> 1);
}

void ifd_bench_hist_clear(struct ifd_bench_hist *h)
{
    memset(h, 0, sizeof(*h));
}

void ifd_bench_hist_add(struct ifd_bench_hist *h, uint64_t ns)
{
    h->bucket[bucket_of(ns)]++;
    h->sum_ns += ns;
    if (!h->count || ns < h->min_ns)
        h->min_ns = ns;
    if (ns > h->max_ns)
        h->max_ns = ns;
    h->count++;
}

uint64_t ifd_bench_hist_percentile(const struct ifd_bench_hist *h, uint32_t ppm)
{
    if (!h->count)
        return 0;
    /* In whole numbers: 0.999 * 1000 in floating point may be a little over 999. */
    uint64_t rank = (uint64_t)(((unsigned __int128)h->count * ppm + 999999u) / 1000000u);
    uint64_t seen = 0;
    uint32_t i = 0;
    if (rank >= h->count)
        return h->max_ns;
    for (; i < IFD_BENCH_HIST_BUCKETS - 1; i++) {
        seen += h->bucket[i];
        if (seen >= rank && seen)
            break;
    }
    uint64_t v = middle_of(i);
    return v < h->min_ns ? h->min_ns : v > h->max_ns ? h->max_ns : v;
}

double ifd_bench_hist_mean(const struct ifd_bench_hist *h)
{
    return h->count ? (double)h->sum_ns / (double)h->count : 0.0;
}
