/* SPDX-License-Identifier: Apache-2.0 */
#include "server/traces.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/conn.h"
#include "server/otlp.h"
#include "server/route.h"

#define BODY_BYTES (8u << 20) /* 1024 spans with their stages are some 2 MiB */
#define PERIOD_S 1
#define TIMEOUT_MS 5000u
#define TIMEOUT_STOPPING_MS 2000u
#define TRIES 5u

inferd_status ifd_traces_init(struct ifd_traces *t, const char *endpoint, const char *service,
                              inferd_error *err)
{
    memset(t, 0, sizeof(*t));
    if (!endpoint || !endpoint[0])
        return INFERD_OK;
    inferd_error reason;
    inferd_status status = ifd_url_parse(endpoint, &t->collector, &reason);
    if (status)
        return ifd_fail(err, status, "--otlp-endpoint: %s", reason.message);
    if (strcmp(t->collector.path, "/") == 0)
        snprintf(t->collector.path, sizeof(t->collector.path), "/v1/traces");
    t->service = service;
    t->filling = ifd_zalloc_array(IFD_TRACES_QUEUE, sizeof(*t->filling));
    t->sending = ifd_zalloc_array(IFD_TRACES_QUEUE, sizeof(*t->sending));
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    t->on = true;
    return t->filling && t->sending ? INFERD_OK
                                    : ifd_fail(err, INFERD_NO_MEMORY, "no memory for traces");
}

void ifd_traces_fini(struct ifd_traces *t)
{
    if (!t->on)
        return;
    ifd_free(t->filling);
    ifd_free(t->sending);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    memset(t, 0, sizeof(*t));
}

void ifd_traces_add(struct ifd_traces *t, const struct ifd_span *span)
{
    pthread_mutex_lock(&t->lock);
    const bool fits = t->waiting < IFD_TRACES_QUEUE;
    if (fits)
        t->filling[t->waiting++] = *span;
    const bool half = t->waiting == IFD_TRACES_QUEUE / 2;
    pthread_mutex_unlock(&t->lock);
    if (!fits)
        atomic_fetch_add_explicit(&t->dropped, 1, memory_order_relaxed);
    else if (half)
        pthread_cond_signal(&t->wake);
}

void ifd_traces_record(const struct ifd_conn *c, const struct ifd_request *r)
{
    struct ifd_traces *t = &c->io->server->traces;
    if (!t->on || !r || !r->ident.sampled)
        return;
    const struct ifd_due *due = &c->due;
    const struct ifd_job *job = &r->job;
    struct ifd_span s = {
        .ident = r->ident,
        .route = r->route ? r->route->path : NULL,
        .outcome = ifd_outcome_names[due->outcome],
        .code = due->code,
        .began_ns = r->began_ns,
        .ended_ns = ifd_clock_ns(),
        .staged = due->staged,
    };
    memcpy(s.method, r->http.method, sizeof(s.method));
    if (due->staged) { /* otherwise the job may be the scheduler's still */
        s.texts = job->texts;
        s.tokens = r->offsets[job->texts];
        const uint64_t at[IFD_SPAN_STAGES + 1] = {r->began_ns,     r->parsed_ns,     job->queued_ns,
                                                  job->started_ns, job->finished_ns, s.ended_ns};
        memcpy(s.at_ns, at, sizeof(at));
    }
    ifd_traces_add(t, &s);
}

/* ---- the thread ---------------------------------------------------------------------------- */

/* Seconds, or until the server stops. Returns whether it stops. */
static bool wait_for(struct ifd_traces *t, unsigned seconds, bool until_half)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)seconds;
    pthread_mutex_lock(&t->lock);
    int rc = 0;
    while (!t->stopping && !(until_half && t->waiting >= IFD_TRACES_QUEUE / 2) && rc == 0)
        rc = pthread_cond_timedwait(&t->wake, &t->lock, &end);
    const bool stopping = t->stopping;
    pthread_mutex_unlock(&t->lock);
    return stopping;
}

static int64_t epoch_ns(void)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    return (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec - (int64_t)ifd_clock_ns();
}

static bool may_come_again(inferd_status status, int code)
{
    return status == INFERD_IO || status == INFERD_DEADLINE || code == 429 || code == 502 ||
           code == 503 || code == 504;
}

/* Whether the collector took the body. `stopping`: one try only. */
static bool post(struct ifd_traces *t, const struct ifd_buf *body, bool stopping)
{
    inferd_error err = {0};
    struct ifd_http_answer answer = {0};
    for (unsigned try = 1;; try++) {
        const inferd_status status =
            ifd_http_post(&t->collector, "application/json", body->data, body->size,
                          stopping ? TIMEOUT_STOPPING_MS : TIMEOUT_MS, &answer, &err);
        if (!status && answer.status / 100 == 2)
            return true;
        const bool again = may_come_again(status, status ? 0 : answer.status);
        if (!again || stopping || try == TRIES) {
            char refusal[64];
            snprintf(refusal, sizeof(refusal), "it answers %d", answer.status);
            ifd_log(IFD_LOG_WARN, "traces lost: the collector does not take them",
                    IFD_STR("collector", t->collector.authority),
                    IFD_STR("message", status ? err.message : refusal), IFD_U64("tries", try));
            return false;
        }
        stopping = wait_for(t, 1u << (try - 1), false);
    }
}

static unsigned take(struct ifd_traces *t)
{
    pthread_mutex_lock(&t->lock);
    struct ifd_span *full = t->filling;
    const unsigned count = t->waiting;
    t->filling = t->sending;
    t->sending = full;
    t->waiting = 0;
    pthread_mutex_unlock(&t->lock);
    return count;
}

static void *export(void *arg)
{
    struct ifd_traces *t = arg;
    struct ifd_ident_source ids;
    struct ifd_buf body;
    (void)pthread_setname_np(pthread_self(), "inferd-traces");
    ifd_ident_source_init(&ids);
    ifd_buf_init(&body, BODY_BYTES);
    for (bool stopping = false; !stopping;) {
        stopping = wait_for(t, PERIOD_S, true);
        const unsigned count = take(t);
        if (count == 0)
            continue;
        const struct ifd_otlp_resource resource = {
            .service = t->service, .instance = t->instance, .epoch_ns = epoch_ns()};
        ifd_buf_reset(&body);
        ifd_otlp_body(&body, &resource, t->sending, count, &ids);
        const bool taken = !body.failed && post(t, &body, stopping);
        atomic_fetch_add_explicit(taken ? &t->exported : &t->failed, count, memory_order_relaxed);
    }
    ifd_buf_fini(&body);
    return NULL;
}

inferd_status ifd_traces_start(struct ifd_traces *t, const char *instance, inferd_error *err)
{
    if (!t->on)
        return INFERD_OK;
    snprintf(t->instance, sizeof(t->instance), "%s", instance);
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for I/O thread 0 */
    const int rc = pthread_create(&t->thread, NULL, export, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc)
        return ifd_fail(err, INFERD_NO_MEMORY, "cannot start the traces' thread: %s",
                        strerrordesc_np(rc));
    t->started = true;
    return INFERD_OK;
}

void ifd_traces_stop(struct ifd_traces *t)
{
    if (!t->started)
        return;
    pthread_mutex_lock(&t->lock);
    t->stopping = true;
    pthread_mutex_unlock(&t->lock);
    pthread_cond_signal(&t->wake);
    pthread_join(t->thread, NULL);
    t->started = false;
}
