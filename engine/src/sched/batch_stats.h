/* SPDX-License-Identifier: Apache-2.0
 *
 * batch_stats.h - what one worker thread has computed: one shard a worker, which it alone writes.
 *
 * Readable from any thread, without a lock; nothing allocates. Times on ifd_clock_ns.
 */
#ifndef IFD_SCHED_BATCH_STATS_H
#define IFD_SCHED_BATCH_STATS_H

#include <stddef.h>

#include "base/hist.h"
#include "sched/queue.h"

struct ifd_batch_stats {
    struct ifd_hist_scale size_scale, time_scale, ratio_scale;
    struct ifd_hist texts;    /* of a batch */
    struct ifd_hist tokens;   /* of a batch */
    struct ifd_hist fill;     /* millionths of the limit that is nearer, texts or tokens */
    struct ifd_hist wait;     /* ns from the coming of a batch's longest waiting job to its begin */
    _Atomic uint64_t busy_ns; /* inside batches that have ended */
    _Atomic uint64_t began_ns; /* of the batch that runs; 0 = none does */
};

/* Zeroed memory, before the worker starts. */
void ifd_batch_stats_init(struct ifd_batch_stats *s);
/* The worker, before it computes a batch, be it inside another one. `pick` still holds its jobs. */
void ifd_batch_stats_add(struct ifd_batch_stats *s, const struct ifd_pick *pick, size_t texts_max,
                         size_t tokens_max, uint64_t now_ns);
/* The worker, around a batch with all that runs inside it. */
void ifd_batch_stats_began(struct ifd_batch_stats *s, uint64_t now_ns);
void ifd_batch_stats_ended(struct ifd_batch_stats *s, uint64_t now_ns);
/* Nanoseconds spent in batches until `now_ns`, the running one included. */
uint64_t ifd_batch_stats_busy_ns(const struct ifd_batch_stats *s, uint64_t now_ns);

#endif
