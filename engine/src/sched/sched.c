/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/sched.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sched/sched_state.h"

/* A job's arrival counts an eighth in the mean gap between jobs; a gap longer than this ends what
 * was known of them. */
#define GAP_MAX_NS 1000000000u

inferd_status ifd_sched_create(const struct ifd_sched_options *options, struct ifd_sched **out,
                               inferd_error *err)
{
    if (options->workers < 1 || options->batch_texts < 1 || options->batch_tokens < 1 ||
        options->queue_texts < 1 || options->queue_tokens < 1)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "a scheduler's sizes must be at least 1");
    struct ifd_sched *s = ifd_zalloc(sizeof(*s));
    if (!s)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for the scheduler");
    s->options = *options;
    s->gap_ns = GAP_MAX_NS;
    ifd_queue_init(&s->queue, options->queue_texts, options->queue_tokens);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);

    inferd_status status = INFERD_OK;
    s->workers = ifd_zalloc_array(options->workers, sizeof(*s->workers));
    if (!s->workers)
        status = ifd_fail(err, INFERD_NO_MEMORY, "no memory for %u workers", options->workers);
    for (unsigned i = 0; status == INFERD_OK && i < options->workers; i++)
        status = ifd_worker_start(s, i, err);
    if (status)
        ifd_sched_free(s);
    else
        *out = s;
    return status;
}

static inferd_status check_job(const struct ifd_sched *s, const struct ifd_job *job,
                               inferd_error *err)
{
    const struct ifd_sched_options *o = &s->options;
    if (ifd_engine_workers(job->engine) < o->workers ||
        ifd_engine_batch_texts(job->engine) < o->batch_texts ||
        ifd_engine_batch_tokens(job->engine) < o->batch_tokens)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "the engine was made for fewer workers or smaller batches");
    if (job->texts == 0 || job->offsets[0] != 0)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "a job needs texts, the first at offset 0");
    for (uint32_t i = 0; i < job->texts; i++)
        if (job->offsets[i + 1] <= job->offsets[i] ||
            job->offsets[i + 1] - job->offsets[i] > o->batch_tokens)
            return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                            "text %u has no tokens, or more than a batch may have (%zu)", i,
                            o->batch_tokens);
    return INFERD_OK;
}

/* Under the lock. */
static void count_arrival(struct ifd_sched *s, uint64_t now_ns)
{
    uint64_t gap = now_ns - s->arrived_ns;
    if (s->arrived_ns == 0 || gap > GAP_MAX_NS)
        gap = GAP_MAX_NS;
    s->arrived_ns = now_ns;
    s->gap_ns = s->gap_ns - s->gap_ns / 8 + gap / 8;
}

/* Under the lock. */
static inferd_status admit(struct ifd_sched *s, struct ifd_job *job, inferd_error *err)
{
    if (s->stopping)
        return ifd_fail(err, INFERD_OVERLOADED, "the server is stopping");
    const struct ifd_backlog load = ifd_sched_backlog(s);
    inferd_status status =
        ifd_estimate_admit(&load, job, job->queued_ns, s->options.queue_wait_ns, err);
    if (status)
        return status;
    status = ifd_queue_push(&s->queue, job, err);
    if (status)
        job->retry_ns = ifd_estimate_wait_ns(&load, IFD_BULK);
    return status;
}

inferd_status ifd_sched_precheck(struct ifd_sched *s, uint64_t left_ns, uint64_t *retry_ns,
                                 inferd_error *err)
{
    const uint64_t wait = atomic_load_explicit(&s->small_wait_ns, memory_order_relaxed);
    inferd_status status =
        ifd_estimate_verdict(wait, 0, left_ns, s->options.queue_wait_ns, retry_ns, err);
    if (status)
        atomic_fetch_add_explicit(&s->refused_unqueued, 1, memory_order_relaxed);
    return status;
}

inferd_status ifd_sched_submit(struct ifd_sched *s, struct ifd_job *job, inferd_error *err)
{
    inferd_status status = check_job(s, job, err);
    if (status)
        return status;
    job->status = INFERD_OK;
    job->queued_ns = ifd_clock_ns();
    job->started_ns = job->finished_ns = job->retry_ns = 0;
    atomic_init(&job->remaining, job->texts);
    atomic_init(&job->cancelled, false);

    pthread_mutex_lock(&s->lock);
    status = admit(s, job, err);
    bool wake = status == INFERD_OK && (s->idle > 0 || s->options.batch_wait_us > 0);
    if (!status || !job->patient)
        count_arrival(s, job->queued_ns);
    if (status && !job->patient)
        s->stats.refused++;
    ifd_sched_hint(s);
    pthread_mutex_unlock(&s->lock);
    if (wake)
        pthread_cond_signal(&s->wake);
    return status;
}

void ifd_sched_cancel(struct ifd_job *job)
{
    atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
}

void ifd_sched_stop(struct ifd_sched *s)
{
    if (s->stopped)
        return;
    s->stopped = true;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < s->started; i++)
        pthread_join(s->workers[i].thread, NULL);
}

void ifd_sched_free(struct ifd_sched *s)
{
    if (!s)
        return;
    ifd_sched_stop(s);
    for (unsigned i = 0; s->workers && i < s->options.workers; i++)
        ifd_worker_fini(&s->workers[i]);
    ifd_free(s->workers);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    ifd_free(s);
}

void ifd_sched_get_stats(struct ifd_sched *s, struct ifd_sched_stats *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->stats;
    out->refused += atomic_load_explicit(&s->refused_unqueued, memory_order_relaxed);
    out->expired = s->queue.expired;
    out->cancelled = s->queue.cancelled;
    out->dropped_texts = s->queue.dropped_texts;
    out->queue_texts = s->queue.texts;
    out->queue_tokens = s->queue.tokens;
    pthread_mutex_unlock(&s->lock);
}

const struct ifd_batch_stats *ifd_sched_batch_stats(const struct ifd_sched *s, unsigned worker)
{
    IFD_ASSERT(worker < s->options.workers);
    return &s->workers[worker].stats;
}
