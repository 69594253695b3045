/* SPDX-License-Identifier: Apache-2.0
 *
 * hist.h - histograms with fixed buckets, and counters, written by one thread and read by any.
 *
 * A value is an integer (nanoseconds, tokens, millionths): sums are exact. Time has buckets from
 * 100 us to 30 s, each at most 1.2 times the one before, so a quantile that is read from the
 * buckets alone is within 20 % of the true one (below 100 us: within 100 us).
 *
 * Threads: one writer a histogram or counter; readers may be any thread and see each number whole,
 * but not several of them at one instant. No lock, no locked instruction, no allocation.
 */
#ifndef IFD_BASE_HIST_H
#define IFD_BASE_HIST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define IFD_HIST_BOUNDS_MAX 80u

/* The upper bounds of the buckets, inclusive and rising; one more bucket is above them all. */
struct ifd_hist_scale {
    unsigned count;
    unsigned decimals; /* a value of 10^decimals is 1 in the unit that is shown: ns as s is 9 */
    uint64_t bounds[IFD_HIST_BOUNDS_MAX];
    /* [4n + k]: the first bound that is not below 2^n (1 + k/4): a look-up and rarely a step or
     * two, where a search would take seven steps that no branch predictor knows */
    uint8_t start[256];
};

/* count 1..IFD_HIST_BOUNDS_MAX. */
void ifd_hist_scale_make(struct ifd_hist_scale *scale, const uint64_t *bounds, unsigned count,
                         unsigned decimals);
/* Nanoseconds, shown as seconds. */
void ifd_hist_scale_times(struct ifd_hist_scale *scale);
/* Numbers of things from 1 up to `most` (or a little more): 1, 2, 3, 4, 6, 8, 12, 16, ... */
void ifd_hist_scale_sizes(struct ifd_hist_scale *scale, uint64_t most);
/* Millionths, shown as 0..1: steps of 0.05, finer towards 1. */
void ifd_hist_scale_ratios(struct ifd_hist_scale *scale);

struct ifd_hist {
    const struct ifd_hist_scale *scale; /* borrowed */
    _Atomic uint64_t sum;
    _Atomic uint64_t counts[IFD_HIST_BOUNDS_MAX + 1];
};

/* `h` must be zeroed. */
void ifd_hist_init(struct ifd_hist *h, const struct ifd_hist_scale *scale);

/* The writer: a plain add, made visible without a locked instruction. */
static inline void ifd_counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline void ifd_counter_set(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, n, memory_order_relaxed);
}
static inline uint64_t ifd_counter_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline unsigned ifd_hist_bucket(const struct ifd_hist_scale *scale, uint64_t value)
{
    const uint64_t v = value ? value : 1;
    const unsigned zeros = (unsigned)__builtin_clzll(v);
    unsigned i = scale->start[4 * (63 - zeros) + ((v << zeros) >> 61 & 3)];
    while (i < scale->count && scale->bounds[i] < value)
        i++;
    return i;
}

static inline void ifd_hist_add(struct ifd_hist *h, uint64_t value)
{
    ifd_counter_add(&h->counts[ifd_hist_bucket(h->scale, value)], 1);
    ifd_counter_add(&h->sum, value);
}

/* What a reader adds up over the shards of a histogram: plain memory of its own. */
struct ifd_hist_view {
    const struct ifd_hist_scale *scale; /* the first shard's */
    uint64_t sum, count;
    uint64_t counts[IFD_HIST_BOUNDS_MAX + 1];
};

/* `v` starts zeroed; the scales must have equal bounds. */
void ifd_hist_view_add(struct ifd_hist_view *v, const struct ifd_hist *h);
/* The q-quantile (0..1) as Prometheus' histogram_quantile estimates it: linear inside the bucket,
 * the last bound for what is above all. In the scale's integer unit; 0 when empty. */
double ifd_hist_view_quantile(const struct ifd_hist_view *v, double q);

#endif
