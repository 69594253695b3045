/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/sched.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sched/queue.h"

/* Idle workers share what is queued, but not below this many tokens each: under it a batch's cost
 * is the reading of the weights, which a second worker would only do once more. */
#define SHARE_TOKENS_MIN 64u

struct worker {
    struct ifd_sched *sched;
    unsigned index;
    pthread_t thread;
    struct ifd_pick pick;
    bool alone;        /* all others were idle and nothing was queued when `pick` was taken */
    int32_t *ids;      /* [batch_tokens] */
    uint32_t *offsets; /* [batch_texts + 1] */
};

struct ifd_sched {
    struct ifd_sched_options options;
    unsigned started; /* threads that run; owner of the scheduler */
    bool stopped;     /* owner of the scheduler */
    struct worker *workers;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* under lock */
    struct ifd_queue queue;
    struct ifd_sched_stats stats;
    unsigned idle;
    bool stopping;
};

/* The texts of a job that this batch held are done; whoever finishes the last one hands it back. */
static void finish(struct ifd_job *job, uint32_t count)
{
    /* acquire-release: the results written by every worker are visible to the one that hands back
     */
    if (atomic_fetch_sub_explicit(&job->remaining, count, memory_order_acq_rel) == count) {
        job->finished_ns = ifd_clock_ns();
        job->done(job);
    }
}

static void hand_back_dropped(struct ifd_job *job)
{
    while (job) {
        struct ifd_job *next = job->next;
        job->finished_ns = ifd_clock_ns();
        job->done(job);
        job = next;
    }
}

static void run_batch(struct worker *w)
{
    const struct ifd_pick *pick = &w->pick;
    size_t texts = 0, tokens = 0;
    for (size_t i = 0; i < pick->slices; i++) {
        const struct ifd_slice *slice = &pick->slice[i];
        const uint32_t *offsets = slice->job->offsets + slice->first;
        size_t n = offsets[slice->count] - offsets[0];
        memcpy(w->ids + tokens, slice->job->ids + offsets[0], n * sizeof(*w->ids));
        for (uint32_t t = 0; t < slice->count; t++)
            w->offsets[texts++] = (uint32_t)(tokens + (offsets[t] - offsets[0]));
        tokens += n;
    }
    w->offsets[texts] = (uint32_t)tokens;
    const struct ifd_ragged batch = {.texts = texts, .ids = w->ids, .offsets = w->offsets};
    const float *logits = w->alone ? ifd_engine_run_alone(pick->engine, w->index, &batch)
                                   : ifd_engine_run(pick->engine, w->index, &batch);

    const inferd_model *model = ifd_engine_model(pick->engine);
    const size_t labels = ifd_engine_labels(pick->engine);
    for (size_t i = 0; i < pick->slices; i++) {
        const struct ifd_slice *slice = &pick->slice[i];
        struct ifd_job *job = slice->job;
        for (uint32_t t = 0; t < slice->count; t++)
            ifd_model_result(model, logits + t * labels, &job->results[slice->first + t]);
        if (job->logits)
            memcpy(job->logits + slice->first * labels, logits,
                   slice->count * labels * sizeof(float));
        logits += slice->count * labels;
        finish(job, slice->count); /* the job is gone after this */
    }
}

/* With batch_wait_us: wait for a fuller batch. False if the caller must look at the queue again. */
static bool batch_is_ripe(struct ifd_sched *s)
{
    if (s->options.batch_wait_us == 0 || s->stopping || s->queue.texts >= s->options.batch_texts ||
        s->queue.tokens >= s->options.batch_tokens)
        return true;
    uint64_t until = s->queue.head->queued_ns + s->options.batch_wait_us * (uint64_t)1000;
    if (ifd_clock_ns() >= until)
        return true;
    struct timespec t = {.tv_sec = (time_t)(until / 1000000000u),
                         .tv_nsec = (long)(until % 1000000000u)};
    pthread_cond_timedwait(&s->wake, &s->lock, &t);
    return false;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct ifd_sched *s = w->sched;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        if (!s->queue.head) {
            if (s->stopping)
                break;
            s->idle++;
            pthread_cond_wait(&s->wake, &s->lock);
            s->idle--;
            continue;
        }
        if (!batch_is_ripe(s))
            continue;
        size_t want = (s->queue.tokens + s->idle) / (s->idle + 1u);
        if (want < SHARE_TOKENS_MIN)
            want = SHARE_TOKENS_MIN;
        struct ifd_job *dropped = NULL;
        ifd_queue_take(&s->queue, ifd_clock_ns(), s->options.batch_texts, s->options.batch_tokens,
                       want, &w->pick, &dropped);
        w->alone = !s->queue.head && s->idle + 1u == s->options.workers;
        for (const struct ifd_job *j = dropped; j; j = j->next)
            *(j->status == INFERD_DEADLINE ? &s->stats.expired : &s->stats.cancelled) += 1;
        if (w->pick.engine) {
            s->stats.batches++;
            s->stats.texts += w->pick.texts;
            s->stats.tokens += w->pick.tokens;
        }
        if (s->queue.head && s->idle > 0)
            pthread_cond_signal(&s->wake);
        pthread_mutex_unlock(&s->lock);

        hand_back_dropped(dropped);
        if (w->pick.engine)
            run_batch(w);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static inferd_status worker_start(struct ifd_sched *s, unsigned index, inferd_error *err)
{
    struct worker *w = &s->workers[index];
    w->sched = s;
    w->index = index;
    w->ids = ifd_alloc_array(s->options.batch_tokens, sizeof(*w->ids));
    w->offsets = ifd_alloc_array(s->options.batch_texts + 1, sizeof(*w->offsets));
    w->pick.slice = ifd_alloc_array(s->options.batch_texts, sizeof(*w->pick.slice));
    if (!w->ids || !w->offsets || !w->pick.slice)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for worker %u", index);
    /* signals are the main thread's */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&w->thread, NULL, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0)
        return ifd_fail(err, INFERD_NO_MEMORY, "cannot start worker thread %u: %s", index,
                        strerrordesc_np(rc));
    s->started++;
    return INFERD_OK;
}

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
        status = worker_start(s, i, err);
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

inferd_status ifd_sched_submit(struct ifd_sched *s, struct ifd_job *job, inferd_error *err)
{
    inferd_status status = check_job(s, job, err);
    if (status)
        return status;
    job->status = INFERD_OK;
    job->queued_ns = ifd_clock_ns();
    job->started_ns = job->finished_ns = 0;
    atomic_init(&job->remaining, job->texts);
    atomic_init(&job->cancelled, false);

    pthread_mutex_lock(&s->lock);
    if (s->stopping)
        status = ifd_fail(err, INFERD_OVERLOADED, "the server is stopping");
    else
        status = ifd_queue_push(&s->queue, job, err);
    bool wake = status == INFERD_OK && (s->idle > 0 || s->options.batch_wait_us > 0);
    if (status)
        s->stats.refused++;
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
    for (unsigned i = 0; s->workers && i < s->options.workers; i++) {
        ifd_free(s->workers[i].ids);
        ifd_free(s->workers[i].offsets);
        ifd_free(s->workers[i].pick.slice);
    }
    ifd_free(s->workers);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    ifd_free(s);
}

void ifd_sched_get_stats(struct ifd_sched *s, struct ifd_sched_stats *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->stats;
    out->queue_texts = s->queue.texts;
    out->queue_tokens = s->queue.tokens;
    pthread_mutex_unlock(&s->lock);
}
