/* SPDX-License-Identifier: Apache-2.0
 *
 * sched.h - the admission queue and the worker threads behind it.
 *
 *     submit -> [bounded queue] -> idle worker takes a ragged batch -> forward -> done(job)
 *
 * A worker that becomes idle takes what is queued, up to a full batch, by the policy of queue.h.
 * When several workers are idle they share what is queued by tokens. A batch of large or background
 * jobs lets small ones that come meanwhile go first: the worker runs them, on a scratch of their
 * own, between two steps of the forward pass (at most a few hundred microseconds apart), so a small
 * job never waits for a large batch to end, and a large batch costs no throughput. Order, batch,
 * worker and interruption do not change a text's result (see forward.h).
 *
 * Admission: bounded in texts and tokens, and in time: what cannot be done by its deadline at the
 * measured rate, or would wait longer than queue_wait_ns, is refused at once (estimate.h).
 *
 * batch_wait_us delays a batch that is not full, and only where it can help: jobs have lately been
 * coming often enough for one more to be expected within that time. One client that waits for each
 * answer is never delayed.
 *
 * Threads: submit and cancel from any thread; create, stop and free from one. The queue is one
 * mutex and one condition variable: held for tens of nanoseconds per job and per batch, never
 * across arithmetic. Nothing allocates after create.
 */
#ifndef IFD_SCHED_SCHED_H
#define IFD_SCHED_SCHED_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sched/engine.h"
#include "sched/job.h"

struct ifd_batch_stats;
struct ifd_sched;

struct ifd_sched_options {
    unsigned workers;       /* >= 1, each one thread */
    size_t batch_tokens;    /* most tokens of a batch, >= any text's */
    size_t batch_texts;     /* most texts of a batch */
    uint32_t batch_wait_us; /* how long a batch that is not full waits for more, after its first
                             * text came; 0 = not at all */
    size_t queue_texts;     /* most texts waiting */
    size_t queue_tokens;    /* most tokens waiting */
    uint64_t queue_wait_ns; /* longest estimated wait; 0 = only the job's own deadline counts */
};

/* Counts since the start, and what waits now. */
struct ifd_sched_stats {
    uint64_t batches, texts, tokens;      /* computed */
    uint64_t refused, expired, cancelled; /* jobs */
    uint64_t interruptions;               /* small batches run inside a larger one */
    uint64_t dropped_texts;               /* of expired and cancelled jobs: never computed */
    size_t queue_texts, queue_tokens;     /* without background jobs */
};

IFD_MUST_CHECK inferd_status ifd_sched_create(const struct ifd_sched_options *options,
                                              struct ifd_sched **out, inferd_error *err);
/* Whether a request that may take left_ns has any hope, before work is spent on it:
 * INFERD_OVERLOADED, with *retry_ns, if even the smallest would be refused for time. No lock;
 * counted as refused. */
IFD_MUST_CHECK inferd_status ifd_sched_precheck(struct ifd_sched *s, uint64_t left_ns,
                                                uint64_t *retry_ns, inferd_error *err);
/* INFERD_OK: the job is the scheduler's until its `done`. INFERD_OVERLOADED: it does not fit, or
 * the scheduler is stopping; the job stays the caller's, and may be submitted again.
 * INFERD_INVALID_ARGUMENT: a text is empty or longer than a batch, or the engine was made for other
 * workers or batches. */
IFD_MUST_CHECK inferd_status ifd_sched_submit(struct ifd_sched *s, struct ifd_job *job,
                                              inferd_error *err);
/* Say that nobody waits for the job any more: its texts that are not begun are dropped, with status
 * INFERD_CANCELLED. `done` still comes, once. Only between submit and `done`. */
void ifd_sched_cancel(struct ifd_job *job);
/* Refuse new jobs, finish all that are queued, end the threads. Idempotent. */
void ifd_sched_stop(struct ifd_sched *s);
/* Stops first. Accepts NULL. */
void ifd_sched_free(struct ifd_sched *s);
void ifd_sched_get_stats(struct ifd_sched *s, struct ifd_sched_stats *out);
/* What worker `worker` has computed: see batch_stats.h. Any thread, until ifd_sched_free. */
const struct ifd_batch_stats *ifd_sched_batch_stats(const struct ifd_sched *s, unsigned worker);

#endif
