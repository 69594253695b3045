/* SPDX-License-Identifier: Apache-2.0
 *
 * worker.c - a compute thread: takes a batch, runs it, hands the jobs back; between two steps of a
 * large batch, runs small jobs that have come meanwhile.
 */
#include "sched/sched_state.h"

#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

/* Idle workers share what is queued, but not below this many tokens each: under it a batch's cost
 * is the reading of the weights, which a second worker would only do once more. */
#define SHARE_TOKENS_MIN 64u

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

static struct ifd_ragged lay_out(struct ifd_worker *w, const struct ifd_batch *b, uint64_t now_ns)
{
    ifd_batch_stats_add(&w->stats, &b->pick, w->sched->options.batch_texts,
                        w->sched->options.batch_tokens, now_ns);
    size_t texts = 0, tokens = 0;
    bool pairs = false;
    for (size_t i = 0; i < b->pick.slices; i++)
        pairs = pairs || b->pick.slice[i].job->second;
    for (size_t i = 0; i < b->pick.slices; i++) {
        const struct ifd_slice *slice = &b->pick.slice[i];
        const uint32_t *offsets = slice->job->offsets + slice->first;
        size_t n = offsets[slice->count] - offsets[0];
        memcpy(b->ids + tokens, slice->job->ids + offsets[0], n * sizeof(*b->ids));
        const uint32_t *second = slice->job->second ? slice->job->second + slice->first : NULL;
        for (uint32_t t = 0; pairs && t < slice->count; t++)
            b->second[texts + t] = second ? second[t] : offsets[t + 1] - offsets[t];
        for (uint32_t t = 0; t < slice->count; t++)
            b->offsets[texts++] = (uint32_t)(tokens + (offsets[t] - offsets[0]));
        tokens += n;
    }
    b->offsets[texts] = (uint32_t)tokens;
    return (struct ifd_ragged){
        .texts = texts, .ids = b->ids, .offsets = b->offsets, .second = pairs ? b->second : NULL};
}

static void give_results(const struct ifd_pick *pick, const float *logits)
{
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

/* Under the lock: a pick is about to be computed. */
static void count_taken(struct ifd_sched *s, const struct ifd_pick *pick)
{
    if (pick->engine) {
        s->running_tokens += pick->tokens;
        s->stats.batches++;
        s->stats.texts += pick->texts;
        s->stats.tokens += pick->tokens;
    }
    ifd_sched_hint(s);
}

/* Under the lock: it took the worker `ns`. */
static void count_run(struct ifd_sched *s, const struct ifd_pick *pick, uint64_t ns)
{
    s->running_tokens -= pick->tokens;
    ifd_rate_add(&s->rate, ns, pick->tokens);
    ifd_sched_hint(s);
}

/* Between two steps of a large batch, on its worker's thread. */
static void run_small_ones(void *arg)
{
    struct ifd_worker *w = arg;
    struct ifd_sched *s = w->sched;
    if (atomic_load_explicit(&s->small_waiting, memory_order_relaxed) == 0)
        return;
    struct ifd_job *dropped = NULL;
    const struct ifd_batch_bounds bounds = {.texts = s->options.batch_texts,
                                            .tokens = s->options.batch_tokens,
                                            .want = SHARE_TOKENS_MIN};
    pthread_mutex_lock(&s->lock);
    const uint64_t began = ifd_clock_ns(); /* not before: a job must not begin before it came */
    /* an idle worker has been woken for them */
    bool mine = s->idle == 0 && ifd_queue_may_interrupt(&s->queue, w->batch.pick.class);
    if (mine) {
        ifd_queue_take_small(&s->queue, began, &bounds, &w->urgent.pick, &dropped);
        count_taken(s, &w->urgent.pick);
        s->stats.interruptions += w->urgent.pick.engine != NULL;
    }
    pthread_mutex_unlock(&s->lock);
    if (!mine)
        return;
    hand_back_dropped(dropped);
    if (w->urgent.pick.engine) {
        const struct ifd_ragged batch = lay_out(w, &w->urgent, began);
        give_results(&w->urgent.pick,
                     ifd_engine_run_urgent(w->urgent.pick.engine, w->index, &batch));
        uint64_t ns = ifd_clock_ns() - began;
        w->interrupted_ns += ns;
        pthread_mutex_lock(&s->lock);
        count_run(s, &w->urgent.pick, ns);
        pthread_mutex_unlock(&s->lock);
    }
}

static void run_batch(struct ifd_worker *w, uint64_t began_ns)
{
    const struct ifd_pick *pick = &w->batch.pick;
    ifd_batch_stats_began(&w->stats, began_ns);
    const struct ifd_ragged batch = lay_out(w, &w->batch, began_ns);
    w->interrupted_ns = 0;
    give_results(pick, w->alone
                           ? ifd_engine_run_alone(pick->engine, w->index, &batch)
                           : ifd_engine_run(pick->engine, w->index, &batch,
                                            pick->class == IFD_SMALL ? NULL : run_small_ones, w));
    ifd_batch_stats_ended(&w->stats, ifd_clock_ns());
}

/* With batch_wait_us: wait for a fuller batch. False if the caller must look at the queue again. */
static bool batch_is_ripe(struct ifd_sched *s)
{
    const struct ifd_line *small = &s->queue.line[IFD_SMALL];
    const uint64_t wait_ns = s->options.batch_wait_us * (uint64_t)1000;
    if (wait_ns == 0 || s->stopping || !small->head || s->queue.line[IFD_BULK].head ||
        small->texts >= s->options.batch_texts || small->tokens >= s->options.batch_tokens)
        return true;
    if (s->gap_ns > wait_ns)
        return true; /* nobody is expected in that time */
    uint64_t until = small->head->queued_ns + wait_ns;
    if (ifd_clock_ns() >= until)
        return true;
    struct timespec t = {.tv_sec = (time_t)(until / 1000000000u),
                         .tv_nsec = (long)(until % 1000000000u)};
    pthread_cond_timedwait(&s->wake, &s->lock, &t);
    return false;
}

/* Under the lock: what the next batch may hold. */
static struct ifd_batch_bounds bounds_of(const struct ifd_sched *s)
{
    size_t want = (s->queue.tokens + s->idle) / (s->idle + 1u);
    if (want < SHARE_TOKENS_MIN)
        want = SHARE_TOKENS_MIN;
    return (struct ifd_batch_bounds){
        .texts = s->options.batch_texts, .tokens = s->options.batch_tokens, .want = want};
}

static void *worker_main(void *arg)
{
    struct ifd_worker *w = arg;
    struct ifd_sched *s = w->sched;
    (void)pthread_setname_np(pthread_self(), "inferd-compute");
    pthread_mutex_lock(&s->lock);
    for (;;) {
        if (ifd_queue_is_empty(&s->queue)) {
            if (s->stopping)
                break;
            s->idle++;
            pthread_cond_wait(&s->wake, &s->lock);
            s->idle--;
            continue;
        }
        if (!batch_is_ripe(s))
            continue;
        const uint64_t began = ifd_clock_ns();
        const struct ifd_batch_bounds bounds = bounds_of(s);
        struct ifd_job *dropped = NULL;
        ifd_queue_take(&s->queue, began, &bounds, &w->batch.pick, &dropped);
        count_taken(s, &w->batch.pick);
        const bool more = !ifd_queue_is_empty(&s->queue);
        w->alone = w->batch.pick.class == IFD_SMALL && !more && s->idle + 1 == s->options.workers;
        if (s->idle > 0 && more)
            pthread_cond_signal(&s->wake);
        pthread_mutex_unlock(&s->lock);

        hand_back_dropped(dropped);
        if (w->batch.pick.engine)
            run_batch(w, began);
        pthread_mutex_lock(&s->lock);
        if (w->batch.pick.engine)
            count_run(s, &w->batch.pick, ifd_clock_ns() - began - w->interrupted_ns);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static bool batch_init(struct ifd_batch *b, const struct ifd_sched_options *o)
{
    b->ids = ifd_alloc_array(o->batch_tokens, sizeof(*b->ids));
    b->offsets = ifd_alloc_array(o->batch_texts + 1, sizeof(*b->offsets));
    b->second = ifd_alloc_array(o->batch_texts, sizeof(*b->second));
    b->pick.slice = ifd_alloc_array(o->batch_texts, sizeof(*b->pick.slice));
    return b->ids && b->offsets && b->second && b->pick.slice;
}

static void batch_fini(struct ifd_batch *b)
{
    ifd_free(b->ids);
    ifd_free(b->offsets);
    ifd_free(b->second);
    ifd_free(b->pick.slice);
}

inferd_status ifd_worker_start(struct ifd_sched *s, unsigned index, inferd_error *err)
{
    struct ifd_worker *w = &s->workers[index];
    w->sched = s;
    w->index = index;
    ifd_batch_stats_init(&w->stats);
    if (!batch_init(&w->batch, &s->options) || !batch_init(&w->urgent, &s->options))
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

void ifd_worker_fini(struct ifd_worker *w)
{
    batch_fini(&w->batch);
    batch_fini(&w->urgent);
}
