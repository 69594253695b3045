/* SPDX-License-Identifier: Apache-2.0 */
#include "server/shadow_figures.h"

#include <string.h>

#include "server/io.h"

unsigned ifd_shadow_bucket(uint64_t ns)
{
    if (ns < 4)
        return (unsigned)ns;
    const unsigned octave = 63u - (unsigned)__builtin_clzll(ns); /* >= 2 */
    const unsigned quarter = (unsigned)(ns >> (octave - 2)) & 3u;
    const unsigned bucket = 4 * (octave - 1) + quarter;
    return bucket < IFD_SHADOW_BUCKETS ? bucket : IFD_SHADOW_BUCKETS - 1;
}

uint64_t ifd_shadow_bucket_most(unsigned bucket)
{
    if (bucket < 4)
        return bucket;
    const unsigned octave = bucket / 4 + 1, quarter = bucket % 4;
    return ((uint64_t)(4 + quarter + 1) << (octave - 2)) - 1;
}

static void zero(_Atomic uint64_t *x)
{
    atomic_store_explicit(x, 0, memory_order_relaxed);
}

static void reset_latency(struct ifd_shadow_latency *l)
{
    zero(&l->count);
    zero(&l->sum_ns);
    for (unsigned i = 0; i < IFD_SHADOW_BUCKETS; i++)
        zero(&l->bucket[i]);
}

void ifd_shadow_counts_reset(struct ifd_shadow_counts *c, uint64_t id)
{
    /* Out of the sum while it is emptied; a reader between may see a part of nothing. */
    atomic_store_explicit(&c->id, 0, memory_order_release);
    zero(&c->requests);
    zero(&c->inputs);
    zero(&c->skipped);
    zero(&c->disagreements);
    zero(&c->largest_difference);
    reset_latency(&c->active);
    reset_latency(&c->candidate);
    atomic_store_explicit(&c->id, id, memory_order_release);
}

void ifd_shadow_latency_add(struct ifd_shadow_latency *l, uint64_t ns)
{
    ifd_io_count(&l->count, 1);
    ifd_io_count(&l->sum_ns, ns);
    ifd_io_count(&l->bucket[ifd_shadow_bucket(ns)], 1);
}

static uint64_t get(const _Atomic uint64_t *x)
{
    return atomic_load_explicit(x, memory_order_relaxed);
}

/* The bound of the bucket that the n-th of `count` falls into, counted from 1. */
static double nth_s(const uint64_t *buckets, uint64_t n)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < IFD_SHADOW_BUCKETS; i++) {
        seen += buckets[i];
        if (seen >= n)
            return (double)ifd_shadow_bucket_most(i) / 1e9;
    }
    return 0.0;
}

/* Which of a thread's two latencies. */
enum side { ACTIVE, CANDIDATE };

static void sum_latency(const struct ifd_server *s, uint64_t id, enum side side,
                        struct ifd_latency_figures *out)
{
    uint64_t sum_ns = 0, buckets[IFD_SHADOW_BUCKETS] = {0}, count = 0;
    for (unsigned t = 0; t < s->config.http_threads; t++) {
        const struct ifd_shadow_counts *c = &s->ios[t].shadow.counts;
        if (atomic_load_explicit(&c->id, memory_order_acquire) != id)
            continue;
        const struct ifd_shadow_latency *l = side == ACTIVE ? &c->active : &c->candidate;
        sum_ns += get(&l->sum_ns);
        for (unsigned i = 0; i < IFD_SHADOW_BUCKETS; i++) {
            const uint64_t n = get(&l->bucket[i]);
            buckets[i] += n;
            count += n; /* of the buckets, so that percentiles are right beside a writer */
        }
    }
    *out = (struct ifd_latency_figures){.count = count};
    if (count == 0)
        return;
    out->mean_s = (double)sum_ns / (double)count / 1e9;
    out->p50_s = nth_s(buckets, (count + 1) / 2);
    out->p99_s = nth_s(buckets, count - count / 100);
}

void ifd_shadow_figures_get(const struct ifd_server *s, uint64_t id, struct ifd_shadow_figures *out)
{
    uint64_t largest = 0;
    memset(out, 0, sizeof(*out));
    if (id == 0)
        return;
    for (unsigned t = 0; t < s->config.http_threads; t++) {
        const struct ifd_shadow_counts *c = &s->ios[t].shadow.counts;
        if (atomic_load_explicit(&c->id, memory_order_acquire) != id)
            continue;
        out->requests += get(&c->requests);
        out->inputs += get(&c->inputs);
        out->skipped += get(&c->skipped);
        out->disagreements += get(&c->disagreements);
        if (get(&c->largest_difference) > largest)
            largest = get(&c->largest_difference);
    }
    out->largest_difference = (double)largest / 1e9;
    sum_latency(s, id, ACTIVE, &out->active);
    sum_latency(s, id, CANDIDATE, &out->candidate);
}
