/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/queue.h"

void ifd_queue_init(struct ifd_queue *q, size_t texts_max, size_t tokens_max)
{
    *q = (struct ifd_queue){.texts_max = texts_max, .tokens_max = tokens_max};
}

inferd_status ifd_queue_push(struct ifd_queue *q, struct ifd_job *job, inferd_error *err)
{
    size_t tokens = job->offsets[job->texts];
    if (job->texts > q->texts_max - q->texts)
        return ifd_fail(err, INFERD_OVERLOADED,
                        "%zu inputs are waiting, so %u more do not fit into --max-queue %zu; "
                        "retry later",
                        q->texts, job->texts, q->texts_max);
    if (tokens > q->tokens_max - q->tokens)
        return ifd_fail(err, INFERD_OVERLOADED,
                        "%zu tokens are waiting, so %zu more do not fit into --max-queue-tokens "
                        "%zu; retry later",
                        q->tokens, tokens, q->tokens_max);
    job->next = NULL;
    job->taken = 0;
    if (q->tail)
        q->tail->next = job;
    else
        q->head = job;
    q->tail = job;
    q->texts += job->texts;
    q->tokens += tokens;
    return INFERD_OK;
}

static struct ifd_job *unlink_head(struct ifd_queue *q)
{
    struct ifd_job *job = q->head;
    q->head = job->next;
    if (!q->head)
        q->tail = NULL;
    job->next = NULL;
    return job;
}

/* Take the head out with the texts that nobody has begun. */
static void drop_head(struct ifd_queue *q, inferd_status why, struct ifd_job **dropped)
{
    struct ifd_job *job = unlink_head(q);
    uint32_t left = job->texts - job->taken;
    q->texts -= left;
    q->tokens -= job->offsets[job->texts] - job->offsets[job->taken];
    job->taken = job->texts;
    job->status = why;
    /* release: a worker that finishes the job's last running text must see `status` */
    if (atomic_fetch_sub_explicit(&job->remaining, left, memory_order_acq_rel) == left) {
        job->next = *dropped;
        *dropped = job;
    }
}

void ifd_queue_take(struct ifd_queue *q, uint64_t now_ns, size_t texts_max, size_t tokens_max,
                    size_t tokens_want, struct ifd_pick *pick, struct ifd_job **dropped)
{
    pick->engine = NULL;
    pick->slices = pick->texts = pick->tokens = 0;
    while (q->head) {
        struct ifd_job *job = q->head;
        if (atomic_load_explicit(&job->cancelled, memory_order_relaxed)) {
            drop_head(q, INFERD_CANCELLED, dropped);
            continue;
        }
        if (job->deadline_ns && now_ns >= job->deadline_ns) {
            drop_head(q, INFERD_DEADLINE, dropped);
            continue;
        }
        if (pick->engine && pick->engine != job->engine)
            return;
        struct ifd_slice slice = {.job = job, .first = job->taken};
        bool full = false;
        while (job->taken < job->texts) {
            size_t tokens = job->offsets[job->taken + 1] - job->offsets[job->taken];
            full = pick->texts == texts_max || tokens > tokens_max - pick->tokens ||
                   (pick->texts > 0 && pick->tokens >= tokens_want);
            if (full)
                break;
            job->taken++;
            slice.count++;
            pick->texts++;
            pick->tokens += tokens;
            q->texts--;
            q->tokens -= tokens;
        }
        if (slice.count > 0) {
            pick->engine = job->engine;
            pick->slice[pick->slices++] = slice;
            if (job->started_ns == 0)
                job->started_ns = now_ns;
        }
        if (full)
            return;
        unlink_head(q);
    }
}
