/* SPDX-License-Identifier: Apache-2.0
 *
 * queue.h - which jobs wait, and which texts the next batch takes. Pure bookkeeping: no lock, no
 * thread, no clock, no allocation; the scheduler's lock guards every call.
 *
 * The policy is here and nowhere else. Bounded in texts and tokens, all or nothing per job. Three
 * lines:
 *
 *   small       jobs of at most IFD_TURN_TOKENS: first in, first out.
 *   bulk        larger ones: in turns of a batch each, round and round, so that two large requests
 *               share what there is.
 *   background  jobs that nobody waits for (a shadow model's): only when the others are empty.
 *
 * While both wait, small and bulk jobs get half of the tokens each (`balance`; the idea of deficit
 * round robin, Shreedhar and Varghese 1995, between two classes), so neither can starve the other.
 * A batch holds texts of one line and one engine: a small job's answer never waits for the texts of
 * a large one that came into its batch. A job may be spread over several batches.
 */
#ifndef IFD_SCHED_QUEUE_H
#define IFD_SCHED_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "sched/job.h"

/* The longest text that a server takes by default: one text is always a small job there. */
#define IFD_TURN_TOKENS 128u

struct ifd_line {
    struct ifd_job *head, *tail;
    size_t texts, tokens; /* waiting, not yet taken */
};

enum ifd_class { IFD_SMALL, IFD_BULK, IFD_BACKGROUND };
#define IFD_CLASSES 3u

struct ifd_queue {
    struct ifd_line line[IFD_CLASSES];
    size_t texts, tokens; /* of small and bulk jobs: what admission bounds */
    size_t texts_max, tokens_max;
    uint64_t expired, cancelled; /* jobs that were dropped, since the start */
    uint64_t dropped_texts;      /* theirs that nobody had begun */
    int64_t balance; /* tokens that small jobs got beyond bulk ones, while both wanted some */
};

/* `count` texts of a job from `first` on. */
struct ifd_slice {
    struct ifd_job *job;
    uint32_t first, count;
};

/* What one batch takes. */
struct ifd_pick {
    struct ifd_engine *engine; /* NULL: nothing */
    enum ifd_class class;
    size_t slices, texts, tokens;
    struct ifd_slice *slice; /* [texts_max of the batch]: a slice holds at least one text */
};

/* How much a batch may take: texts and tokens are hard bounds (and every text must be at most
 * `tokens`), `want` is a soft one: the text that crosses it is still taken. */
struct ifd_batch_bounds {
    size_t texts, tokens, want;
};

void ifd_queue_init(struct ifd_queue *q, size_t texts_max, size_t tokens_max);
static inline bool ifd_queue_is_empty(const struct ifd_queue *q)
{
    return !q->line[IFD_SMALL].head && !q->line[IFD_BULK].head && !q->line[IFD_BACKGROUND].head;
}
enum ifd_class ifd_queue_class(const struct ifd_job *job);
/* INFERD_OVERLOADED when it does not fit whole; the message names the option. Background jobs are
 * not bounded here: who submits them bounds what is outstanding. */
IFD_MUST_CHECK inferd_status ifd_queue_push(struct ifd_queue *q, struct ifd_job *job,
                                            inferd_error *err);
/* Take the texts of the next batch. Jobs that are cancelled or past `now_ns` when they come up are
 * taken out: those with nothing left to wait for are linked through `next` into *dropped, whose
 * `done` the caller calls outside the lock. */
void ifd_queue_take(struct ifd_queue *q, uint64_t now_ns, const struct ifd_batch_bounds *bounds,
                    struct ifd_pick *pick, struct ifd_job **dropped);
/* May a batch of `running` class stop for small jobs that wait? */
bool ifd_queue_may_interrupt(const struct ifd_queue *q, enum ifd_class running);
/* The same as take, of small jobs only. */
void ifd_queue_take_small(struct ifd_queue *q, uint64_t now_ns,
                          const struct ifd_batch_bounds *bounds, struct ifd_pick *pick,
                          struct ifd_job **dropped);

#endif
