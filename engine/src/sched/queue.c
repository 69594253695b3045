/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/queue.h"

/* How far ahead a class may get: what one had alone for an hour is not held against it. */
#define BALANCE_MAX (4 * (int64_t)IFD_TURN_TOKENS)

void ifd_queue_init(struct ifd_queue *q, size_t texts_max, size_t tokens_max)
{
    *q = (struct ifd_queue){.texts_max = texts_max, .tokens_max = tokens_max};
}

enum ifd_class ifd_queue_class(const struct ifd_job *job)
{
    if (job->background)
        return IFD_BACKGROUND;
    return job->offsets[job->texts] <= IFD_TURN_TOKENS || job->texts == 1 ? IFD_SMALL : IFD_BULK;
}

static void append(struct ifd_line *line, struct ifd_job *job)
{
    job->next = NULL;
    if (line->tail)
        line->tail->next = job;
    else
        line->head = job;
    line->tail = job;
}

static struct ifd_job *unlink_head(struct ifd_line *line)
{
    struct ifd_job *job = line->head;
    line->head = job->next;
    if (!line->head)
        line->tail = NULL;
    job->next = NULL;
    return job;
}

/* Texts came (+1) or went (-1). */
static void account(struct ifd_queue *q, enum ifd_class class, size_t texts, size_t tokens,
                    bool come)
{
    struct ifd_line *line = &q->line[class];
    line->texts = come ? line->texts + texts : line->texts - texts;
    line->tokens = come ? line->tokens + tokens : line->tokens - tokens;
    if (class == IFD_BACKGROUND)
        return;
    q->texts = come ? q->texts + texts : q->texts - texts;
    q->tokens = come ? q->tokens + tokens : q->tokens - tokens;
}

inferd_status ifd_queue_push(struct ifd_queue *q, struct ifd_job *job, inferd_error *err)
{
    const size_t tokens = job->offsets[job->texts];
    const enum ifd_class class = ifd_queue_class(job);
    if (class != IFD_BACKGROUND && job->texts > q->texts_max - q->texts)
        return ifd_fail(err, INFERD_OVERLOADED,
                        "%zu inputs are waiting, so %u more do not fit into --max-queue %zu; "
                        "retry later",
                        q->texts, job->texts, q->texts_max);
    if (class != IFD_BACKGROUND && tokens > q->tokens_max - q->tokens)
        return ifd_fail(err, INFERD_OVERLOADED,
                        "%zu tokens are waiting, so %zu more do not fit into --max-queue-tokens "
                        "%zu; retry later",
                        q->tokens, tokens, q->tokens_max);
    job->taken = 0;
    append(&q->line[class], job);
    account(q, class, job->texts, tokens, true);
    return INFERD_OK;
}

/* Take the head out with the texts that nobody has begun. */
static void drop_head(struct ifd_queue *q, enum ifd_class class, inferd_status why,
                      struct ifd_job **dropped)
{
    struct ifd_job *job = unlink_head(&q->line[class]);
    uint32_t left = job->texts - job->taken;
    account(q, class, left, job->offsets[job->texts] - job->offsets[job->taken], false);
    *(why == INFERD_DEADLINE ? &q->expired : &q->cancelled) += 1;
    q->dropped_texts += left;
    job->taken = job->texts;
    job->status = why;
    /* release: a worker that finishes the job's last running text must see `status` */
    if (atomic_fetch_sub_explicit(&job->remaining, left, memory_order_acq_rel) == left) {
        job->next = *dropped;
        *dropped = job;
    }
}

/* The head, once those that nobody waits for are gone. */
static struct ifd_job *live_head(struct ifd_queue *q, enum ifd_class class, uint64_t now_ns,
                                 struct ifd_job **dropped)
{
    struct ifd_job *job;
    while ((job = q->line[class].head)) {
        if (atomic_load_explicit(&job->cancelled, memory_order_relaxed))
            drop_head(q, class, INFERD_CANCELLED, dropped);
        else if (job->deadline_ns && now_ns >= job->deadline_ns)
            drop_head(q, class, INFERD_DEADLINE, dropped);
        else
            break;
    }
    return job;
}

/* Texts of the head into the batch; true when the batch can take no more. */
static bool take_head(struct ifd_queue *q, enum ifd_class class, uint64_t now_ns,
                      const struct ifd_batch_bounds *b, struct ifd_pick *pick)
{
    struct ifd_job *job = q->line[class].head;
    struct ifd_slice slice = {.job = job, .first = job->taken};
    size_t sum = 0;
    bool full = false;
    while (job->taken < job->texts) {
        size_t tokens = job->offsets[job->taken + 1] - job->offsets[job->taken];
        full = pick->texts == b->texts || tokens > b->tokens - pick->tokens ||
               (pick->texts > 0 && pick->tokens >= b->want);
        if (full)
            break;
        job->taken++;
        slice.count++;
        pick->texts++;
        pick->tokens += tokens;
        sum += tokens;
    }
    account(q, class, slice.count, sum, false);
    if (slice.count > 0) {
        pick->engine = job->engine;
        pick->slice[pick->slices++] = slice;
        if (job->started_ns == 0)
            job->started_ns = now_ns;
    }
    if (job->taken == job->texts)
        unlink_head(&q->line[class]);
    else if (class != IFD_SMALL && slice.count > 0)
        append(&q->line[class], unlink_head(&q->line[class])); /* had its turn */
    return full;
}

static void take_class(struct ifd_queue *q, enum ifd_class class, uint64_t now_ns,
                       const struct ifd_batch_bounds *b, struct ifd_pick *pick,
                       struct ifd_job **dropped)
{
    pick->engine = NULL;
    pick->class = class;
    pick->slices = pick->texts = pick->tokens = 0;
    struct ifd_job *job;
    while ((job = live_head(q, class, now_ns, dropped)) &&
           (!pick->engine || pick->engine == job->engine))
        if (take_head(q, class, now_ns, b, pick))
            break;
}

static void charge(struct ifd_queue *q, int64_t tokens)
{
    q->balance += tokens;
    if (q->balance > BALANCE_MAX)
        q->balance = BALANCE_MAX;
    if (q->balance < -BALANCE_MAX)
        q->balance = -BALANCE_MAX;
}

void ifd_queue_take(struct ifd_queue *q, uint64_t now_ns, const struct ifd_batch_bounds *bounds,
                    struct ifd_pick *pick, struct ifd_job **dropped)
{
    const bool small = live_head(q, IFD_SMALL, now_ns, dropped) != NULL;
    const bool bulk = live_head(q, IFD_BULK, now_ns, dropped) != NULL;
    if (small && !(bulk && q->balance > 0)) {
        take_class(q, IFD_SMALL, now_ns, bounds, pick, dropped);
        if (bulk)
            charge(q, (int64_t)pick->tokens);
    } else if (bulk) {
        take_class(q, IFD_BULK, now_ns, bounds, pick, dropped);
        charge(q, -(int64_t)pick->tokens);
    } else {
        take_class(q, IFD_BACKGROUND, now_ns, bounds, pick, dropped);
    }
}

bool ifd_queue_may_interrupt(const struct ifd_queue *q, enum ifd_class running)
{
    return running != IFD_SMALL && q->line[IFD_SMALL].head &&
           (running == IFD_BACKGROUND || q->balance <= 0);
}

void ifd_queue_take_small(struct ifd_queue *q, uint64_t now_ns,
                          const struct ifd_batch_bounds *bounds, struct ifd_pick *pick,
                          struct ifd_job **dropped)
{
    take_class(q, IFD_SMALL, now_ns, bounds, pick, dropped);
    charge(q, (int64_t)pick->tokens);
}
