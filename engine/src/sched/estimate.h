/* SPDX-License-Identifier: Apache-2.0
 *
 * estimate.h - how fast the workers are, and so whether a new job can meet its deadline. Pure: no
 * lock, no clock; the scheduler's lock guards every call.
 *
 * The rate is measured: nanoseconds and tokens of recent batches, each batch counting 1/32 less
 * than the one after it. Small batches cost more per token than full ones, so the estimate follows
 * the load: after a quiet time it is a little pessimistic for a few batches, never optimistic.
 */
#ifndef IFD_SCHED_ESTIMATE_H
#define IFD_SCHED_ESTIMATE_H

#include "base/err.h"
#include "sched/queue.h"

struct ifd_rate {
    double ns, tokens; /* decayed sums */
};

/* A batch of `tokens` took a worker `ns`. */
void ifd_rate_add(struct ifd_rate *r, uint64_t ns, size_t tokens);
/* Of one worker; 0 before the first batch. */
double ifd_rate_ns_per_token(const struct ifd_rate *r);

/* What the estimate needs to know of the scheduler. */
struct ifd_backlog {
    const struct ifd_queue *queue;
    const struct ifd_rate *rate;
    unsigned workers;
    size_t running_tokens; /* in batches that are being computed */
};

/* Nanoseconds until a job of `class` that comes now is begun, and until one of `tokens` is done.
 * Both are 0 while nothing is known. */
uint64_t ifd_estimate_wait_ns(const struct ifd_backlog *load, enum ifd_class class);
uint64_t ifd_estimate_own_ns(const struct ifd_backlog *load, enum ifd_class class, size_t tokens);

/* The verdict of ifd_estimate_admit on a wait and a time of its own, for a request that has left_ns
 * until its deadline (UINT64_MAX: none). *retry_ns is set with a refusal. */
IFD_MUST_CHECK inferd_status ifd_estimate_verdict(uint64_t wait_ns, uint64_t own_ns,
                                                  uint64_t left_ns, uint64_t wait_max_ns,
                                                  uint64_t *retry_ns, inferd_error *err);
/* Can the job be begun within wait_max_ns (0 = no bound) and be done by its deadline, with a
 * quarter of the estimate to spare? If not, INFERD_OVERLOADED with what to do, and job->retry_ns is
 * set. Background jobs always can. */
IFD_MUST_CHECK inferd_status ifd_estimate_admit(const struct ifd_backlog *load, struct ifd_job *job,
                                                uint64_t now_ns, uint64_t wait_max_ns,
                                                inferd_error *err);

#endif
