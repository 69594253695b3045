/* SPDX-License-Identifier: Apache-2.0
 *
 * sched_state.h - what sched.c (admission, life) and worker.c (batches) share. Private to the two.
 */
#ifndef IFD_SCHED_SCHED_STATE_H
#define IFD_SCHED_SCHED_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "sched/batch_stats.h"
#include "sched/estimate.h"
#include "sched/queue.h"
#include "sched/sched.h"

/* One batch in the making: its texts are copied end to end, whatever jobs they are of. */
struct ifd_batch {
    struct ifd_pick pick;
    int32_t *ids;      /* [tokens] */
    uint32_t *offsets; /* [texts + 1] */
    uint32_t *second;  /* [texts]; used where a job has pairs */
};

struct ifd_worker {
    struct ifd_sched *sched;
    unsigned index;
    pthread_t thread;
    struct ifd_batch batch;
    struct ifd_batch urgent; /* small jobs that go between two steps of `batch` */
    bool alone; /* all others were idle and nothing else waited when `batch` was taken */
    struct ifd_batch_stats stats;
    uint64_t interrupted_ns; /* of the batch that runs: spent on urgent ones */
};

struct ifd_sched {
    struct ifd_sched_options options;
    unsigned started; /* threads that run; owner of the scheduler */
    bool stopped;     /* owner of the scheduler */
    struct ifd_worker *workers;

    /* Small texts that wait: a hint that workers look at between two steps, without the lock. */
    _Atomic uint32_t small_waiting;
    _Atomic uint64_t small_wait_ns;    /* what a small job that comes now would wait */
    _Atomic uint64_t refused_unqueued; /* by ifd_sched_precheck */

    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* under lock */
    struct ifd_queue queue;
    struct ifd_sched_stats stats;
    struct ifd_rate rate;
    size_t running_tokens;
    unsigned idle;
    uint64_t arrived_ns; /* of the last job */
    uint64_t gap_ns;     /* mean time between jobs, the last ones counting most */
    bool stopping;
};

static inline struct ifd_backlog ifd_sched_backlog(const struct ifd_sched *s)
{
    return (struct ifd_backlog){.queue = &s->queue,
                                .rate = &s->rate,
                                .workers = s->options.workers,
                                .running_tokens = s->running_tokens};
}

/* Under the lock, after the queue has changed. */
static inline void ifd_sched_hint(struct ifd_sched *s)
{
    const struct ifd_backlog backlog = ifd_sched_backlog(s);
    atomic_store_explicit(&s->small_wait_ns, ifd_estimate_wait_ns(&backlog, IFD_SMALL),
                          memory_order_relaxed);
    atomic_store_explicit(&s->small_waiting, (uint32_t)s->queue.line[IFD_SMALL].texts,
                          memory_order_relaxed);
}

IFD_MUST_CHECK inferd_status ifd_worker_start(struct ifd_sched *s, unsigned index,
                                              inferd_error *err);
void ifd_worker_fini(struct ifd_worker *w);

#endif
