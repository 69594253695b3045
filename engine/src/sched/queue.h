/* SPDX-License-Identifier: Apache-2.0
 *
 * queue.h - which jobs wait, and which texts the next batch takes. Pure bookkeeping: no lock, no
 * thread, no clock, no allocation; the scheduler's lock guards every call.
 *
 * The policy is here and nowhere else: bounded in texts and tokens, all or nothing per job; first
 * in, first out by text; a batch holds texts of one engine; a job may be spread over several
 * batches.
 */
#ifndef IFD_SCHED_QUEUE_H
#define IFD_SCHED_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "sched/job.h"

struct ifd_queue {
    struct ifd_job *head, *tail;
    size_t texts, tokens; /* waiting, not yet taken */
    size_t texts_max, tokens_max;
};

/* `count` texts of a job from `first` on. */
struct ifd_slice {
    struct ifd_job *job;
    uint32_t first, count;
};

/* What one batch takes. */
struct ifd_pick {
    struct ifd_engine *engine; /* NULL: nothing */
    size_t slices, texts, tokens;
    struct ifd_slice *slice; /* [texts_max of the batch]: a slice holds at least one text */
};

void ifd_queue_init(struct ifd_queue *q, size_t texts_max, size_t tokens_max);
/* INFERD_OVERLOADED when it does not fit whole; the message names the option. */
IFD_MUST_CHECK inferd_status ifd_queue_push(struct ifd_queue *q, struct ifd_job *job,
                                            inferd_error *err);
/* Take texts in order until a batch of texts_max or tokens_max is full, or tokens_want are taken (a
 * soft limit: the text that crosses it is still taken). Jobs that are cancelled or past `now_ns`
 * are taken out: those with nothing left to wait for are linked through `next` into *dropped, whose
 * `done` the caller calls outside the lock. Every text must be at most tokens_max. */
void ifd_queue_take(struct ifd_queue *q, uint64_t now_ns, size_t texts_max, size_t tokens_max,
                    size_t tokens_want, struct ifd_pick *pick, struct ifd_job **dropped);

#endif
