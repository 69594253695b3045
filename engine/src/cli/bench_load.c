/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_load.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/bench_arrivals.h"

#define EVENTS 256
#define NEVER UINT64_MAX
#define MS_NS 1000000u
#define REST_NS 10000000u  /* a closed loop does not spin on a port that refuses */
#define WAIT_NS 200000000u /* a signal just before the wait is seen by then */
#define LIVE_NS 1000000000u

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

struct list {
    struct ifd_bench_conn *first, *last;
};

struct load {
    const struct ifd_bench_load_options *o;
    struct ifd_bench_wire *wire;
    struct ifd_bench_tally *tally;
    struct ifd_bench_load_result *out;
    struct ifd_bench_conn *conns;
    /* every connection is in one of these: idle in the order in which they became so, busy by due
     * time (so the first is the next to time out), resting by wake time */
    struct list idle, busy, resting;
    struct ifd_bench_arrivals due, sent; /* one stream, walked twice */
    uint64_t next_due_ns, next_sent_ns;
    uint64_t waiting;     /* between the two */
    size_t request;       /* the next one's index */
    uint64_t unconnected; /* requests that failed to connect */
    uint64_t start_ns, measure_ns, stop_ns, row_ns, live_ns;
    uint64_t last_end_ns; /* of a measured request */
    bool stopped;         /* nothing more begins */
    bool measuring;
    struct rusage usage;
    uint64_t bytes_sent, bytes_received;
    struct ifd_bench_row live; /* at the last live line */
    unsigned live_width;
};

static void append(struct list *l, struct ifd_bench_conn *c)
{
    c->after = NULL;
    c->before = l->last;
    if (l->last)
        l->last->after = c;
    else
        l->first = c;
    l->last = c;
}

static void take_out(struct list *l, struct ifd_bench_conn *c)
{
    if (c->before)
        c->before->after = c->after;
    else
        l->first = c->after;
    if (c->after)
        c->after->before = c->before;
    else
        l->last = c->before;
}

/* ---- one request --------------------------------------------------------------------------- */

static void record(struct load *l, bool measured, const struct ifd_bench_end *e)
{
    if (!measured) {
        l->out->warmup_requests++;
        return;
    }
    ifd_bench_tally_end(l->tally, e);
    if (e->end_ns > l->last_end_ns)
        l->last_end_ns = e->end_ns;
}

static void finish(struct load *l, struct ifd_bench_conn *c, enum ifd_bench_outcome outcome,
                   uint64_t now_ns)
{
    record(l, c->measured,
           &(struct ifd_bench_end){.outcome = outcome,
                                   .status = c->status,
                                   .due_ns = c->due_ns,
                                   .sent_ns = c->sent_ns,
                                   .end_ns = now_ns,
                                   .in_time = now_ns <= l->stop_ns});
    bool unconnected = outcome == IFD_BENCH_CONNECT_REFUSED || outcome == IFD_BENCH_CONNECT_FAILED;
    take_out(&l->busy, c);
    l->unconnected += unconnected;
    if (unconnected && l->o->rate == 0.0) {
        c->wake_ns = now_ns + REST_NS;
        append(&l->resting, c);
    } else {
        append(&l->idle, c);
    }
}

/* On the first idle connection. */
static void begin(struct load *l, uint64_t due_ns, uint64_t now_ns)
{
    struct ifd_bench_conn *c = l->idle.first;
    enum ifd_bench_outcome outcome;
    size_t size;
    const char *request = ifd_bench_requests_get(l->o->requests, l->request++, &size);
    if (l->request == l->o->requests->count)
        l->request = 0;
    take_out(&l->idle, c);
    append(&l->busy, c);
    c->due_ns = due_ns;
    c->measured = due_ns >= l->measure_ns;
    if (ifd_bench_conn_start(l->wire, c, request, size, now_ns, &outcome))
        finish(l, c, outcome, now_ns);
}

/* ---- what is due --------------------------------------------------------------------------- */

static bool enough(const struct load *l)
{
    return l->o->request_count && l->tally->begun >= l->o->request_count;
}

/* The open loop's next request leaves the client's queue. */
static uint64_t pop_due(struct load *l)
{
    uint64_t due_ns = l->next_sent_ns;
    l->waiting--;
    l->next_sent_ns = l->start_ns + ifd_bench_arrivals_next(&l->sent);
    return due_ns;
}

static void give_up_due(struct load *l, uint64_t now_ns)
{
    uint64_t due_ns = pop_due(l);
    record(
        l, due_ns >= l->measure_ns,
        &(struct ifd_bench_end){.outcome = IFD_BENCH_NOT_SENT, .due_ns = due_ns, .end_ns = now_ns});
}

static void dispatch_open(struct load *l, uint64_t now_ns)
{
    while (!l->stopped && l->next_due_ns <= now_ns && l->next_due_ns < l->stop_ns) {
        if (l->next_due_ns >= l->measure_ns) {
            ifd_bench_tally_begin(l->tally);
            ifd_bench_hist_add(&l->tally->late, now_ns - l->next_due_ns);
        }
        l->waiting++;
        l->next_due_ns = l->start_ns + ifd_bench_arrivals_next(&l->due);
        if (enough(l)) {
            l->stopped = true;
            break;
        }
    }
    while (l->waiting && l->next_sent_ns + l->o->timeout_ms * MS_NS <= now_ns)
        give_up_due(l, now_ns);
    while (l->waiting && l->idle.first)
        begin(l, pop_due(l), now_ns);
}

static void dispatch_closed(struct load *l, uint64_t now_ns)
{
    while (l->resting.first && l->resting.first->wake_ns <= now_ns) {
        struct ifd_bench_conn *c = l->resting.first;
        take_out(&l->resting, c);
        append(&l->idle, c);
    }
    while (!l->stopped && l->idle.first) {
        if (now_ns >= l->stop_ns || enough(l)) {
            l->stopped = true;
            break;
        }
        if (now_ns >= l->measure_ns)
            ifd_bench_tally_begin(l->tally);
        begin(l, now_ns, now_ns);
    }
}

static void dispatch(struct load *l, uint64_t now_ns)
{
    if (l->o->rate > 0.0)
        dispatch_open(l, now_ns);
    else
        dispatch_closed(l, now_ns);
}

/* ---- clocks -------------------------------------------------------------------------------- */

static void expire(struct load *l, uint64_t now_ns)
{
    uint64_t timeout_ns = l->o->timeout_ms * MS_NS;
    while (l->busy.first && l->busy.first->due_ns + timeout_ns <= now_ns) {
        struct ifd_bench_conn *c = l->busy.first;
        ifd_bench_conn_close(c);
        finish(l, c, IFD_BENCH_TIMEOUT, now_ns);
    }
}

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0.0;
}

static void begin_measuring(struct load *l)
{
    l->measuring = true;
    getrusage(RUSAGE_SELF, &l->usage);
    l->bytes_sent = l->wire->bytes_sent;
    l->bytes_received = l->wire->bytes_received;
    if (l->o->interval_ms)
        l->row_ns = l->measure_ns + l->o->interval_ms * MS_NS;
}

static void show_live(struct load *l, uint64_t now_ns)
{
    const struct ifd_bench_tally *t = l->tally;
    struct ifd_bench_row was = l->live;
    uint64_t failed = ifd_bench_tally_ended(t) - t->ok - t->refused;
    char line[120];
    l->live = (struct ifd_bench_row){.ok = t->ok, .refused = t->refused, .failed = failed};
    int n = snprintf(
        line, sizeof(line),
        "%.0f s%s  ok/s %llu  refused/s %llu  failed/s %llu  waiting %llu  p99 %.2f ms",
        seconds(l->start_ns, now_ns), l->measuring ? "" : " (warm-up)",
        (unsigned long long)(t->ok - was.ok), (unsigned long long)(t->refused - was.refused),
        (unsigned long long)(failed - was.failed), (unsigned long long)l->waiting,
        (double)ifd_bench_hist_percentile(&t->ok_latency, 990000) / 1e6);
    fprintf(stderr, "\r%-*s", (int)l->live_width, line);
    l->live_width = n > 0 ? (unsigned)n : 0;
}

static void tick(struct load *l, uint64_t now_ns)
{
    if (!l->measuring && now_ns >= l->measure_ns)
        begin_measuring(l);
    while (now_ns >= l->row_ns) {
        ifd_bench_tally_row(l->tally, seconds(l->measure_ns, l->row_ns));
        l->row_ns += l->o->interval_ms * MS_NS;
    }
    if (now_ns >= l->live_ns) {
        show_live(l, now_ns);
        l->live_ns = now_ns + LIVE_NS;
    }
    expire(l, now_ns);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When something happens by itself. */
static uint64_t next_ns(const struct load *l, uint64_t now_ns)
{
    uint64_t timeout_ns = l->o->timeout_ms * MS_NS;
    uint64_t at = least(now_ns + WAIT_NS, least(l->row_ns, l->live_ns));
    if (!l->measuring)
        at = least(at, l->measure_ns);
    if (!l->stopped)
        at = least(at, l->stop_ns);
    if (l->busy.first)
        at = least(at, l->busy.first->due_ns + timeout_ns);
    if (l->resting.first && !l->stopped)
        at = least(at, l->resting.first->wake_ns);
    if (l->o->rate > 0.0 && !l->stopped)
        at = least(at, l->next_due_ns);
    if (l->waiting)
        at = least(at, l->next_sent_ns + timeout_ns);
    return at;
}

/* ---- the run ------------------------------------------------------------------------------- */

/* A rate of 5000 per second needs finer waits than milliseconds. */
static int wait_for_events(struct load *l, struct epoll_event *events, uint64_t now_ns)
{
    uint64_t at = next_ns(l, now_ns), left = at > now_ns ? at - now_ns : 0;
    const struct timespec t = {.tv_sec = (time_t)(left / 1000000000u),
                               .tv_nsec = (long)(left % 1000000000u)};
    int n = epoll_pwait2(l->wire->epoll, events, EVENTS, &t, NULL);
    if (n < 0 && errno == ENOSYS) /* Linux before 5.11 */
        n = epoll_wait(l->wire->epoll, events, EVENTS, (int)((left + MS_NS - 1) / MS_NS));
    return n;
}

static void stop(struct load *l, uint64_t now_ns)
{
    l->stopped = true;
    l->stop_ns = least(l->stop_ns, now_ns);
    while (l->waiting)
        give_up_due(l, now_ns);
}

static bool unreachable(const struct load *l)
{
    return l->unconnected >= l->o->connections && l->wire->opened == 0;
}

static inferd_status loop(struct load *l, inferd_error *err)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        uint64_t now_ns = ifd_clock_ns();
        tick(l, now_ns);
        if (!l->stopped || l->waiting)
            dispatch(l, now_ns);
        if (l->stop_ns != NEVER && now_ns >= l->stop_ns)
            stop(l, now_ns);
        if (interrupted || unreachable(l)) {
            l->out->end = interrupted ? IFD_BENCH_LOAD_INTERRUPTED : IFD_BENCH_LOAD_UNREACHABLE;
            stop(l, now_ns);
            while (l->busy.first) {
                struct ifd_bench_conn *c = l->busy.first;
                ifd_bench_conn_close(c);
                finish(l, c, IFD_BENCH_INTERRUPTED, now_ns);
            }
        }
        if (l->stopped && !l->busy.first && !l->waiting)
            return INFERD_OK;
        int n = wait_for_events(l, events, now_ns);
        if (n < 0 && errno != EINTR)
            return ifd_fail(err, INFERD_IO, "waiting for events failed: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
            struct ifd_bench_conn *c = events[i].data.ptr;
            enum ifd_bench_outcome outcome;
            now_ns = ifd_clock_ns();
            if (ifd_bench_conn_event(l->wire, c, events[i].events, now_ns, &outcome)) {
                finish(l, c, outcome, now_ns);
                dispatch(l, now_ns);
            }
        }
    }
}

static void conclude(struct load *l)
{
    struct rusage u;
    struct ifd_bench_load_result *out = l->out;
    uint64_t end_ns = l->last_end_ns ? l->last_end_ns : ifd_clock_ns();
    if (!l->measuring) /* interrupted in the warm-up */
        begin_measuring(l);
    if (l->o->interval_ms)
        ifd_bench_tally_last_row(l->tally, seconds(l->measure_ns, end_ns));
    getrusage(RUSAGE_SELF, &u);
    out->cpu_user_s = (double)(u.ru_utime.tv_sec - l->usage.ru_utime.tv_sec) +
                      (double)(u.ru_utime.tv_usec - l->usage.ru_utime.tv_usec) / 1e6;
    out->cpu_system_s = (double)(u.ru_stime.tv_sec - l->usage.ru_stime.tv_sec) +
                        (double)(u.ru_stime.tv_usec - l->usage.ru_stime.tv_usec) / 1e6;
    out->bytes_sent = l->wire->bytes_sent - l->bytes_sent;
    out->bytes_received = l->wire->bytes_received - l->bytes_received;
    out->elapsed_s = seconds(l->measure_ns, end_ns);
    out->window_s = seconds(l->measure_ns, l->stop_ns == NEVER ? end_ns : l->stop_ns);
    if (l->live_width)
        fprintf(stderr, "\r%*s\r", (int)l->live_width, "");
}

/* Connections beyond the soft limit of open files are this process's own matter up to the hard one.
 */
static inferd_status raise_limit(size_t connections, inferd_error *err)
{
    struct rlimit r;
    rlim_t need = (rlim_t)connections + 32;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= need)
        return INFERD_OK;
    if (r.rlim_max < need)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "%zu connections need %llu open files, this process may have %llu: use "
                        "fewer, or raise the limit (ulimit -Hn)",
                        connections, (unsigned long long)need, (unsigned long long)r.rlim_max);
    r.rlim_cur = r.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &r);
    return INFERD_OK;
}

inferd_status ifd_bench_load_run(const struct ifd_bench_load_options *o,
                                 struct ifd_bench_wire *wire, struct ifd_bench_tally *tally,
                                 struct ifd_bench_load_result *out, inferd_error *err)
{
    struct load l = {.o = o, .wire = wire, .tally = tally, .out = out};
    /* the second one kills, as by default */
    const struct sigaction catch = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    struct sigaction was_int, was_term;
    inferd_status s = raise_limit(o->connections, err);
    if (s)
        return s;
    l.conns = ifd_zalloc_array(o->connections, sizeof(*l.conns));
    if (!l.conns)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for %zu connections", o->connections);
    *out = (struct ifd_bench_load_result){0};
    (void)prctl(PR_SET_TIMERSLACK, 1ul); /* waits end when they should, not 50 us later */
    interrupted = 0;
    sigaction(SIGINT, &catch, &was_int);
    sigaction(SIGTERM, &catch, &was_term);
    for (size_t i = 0; i < o->connections; i++)
        append(&l.idle, &l.conns[i]);
    l.start_ns = ifd_clock_ns();
    l.measure_ns = l.start_ns + o->warmup_ms * MS_NS;
    l.stop_ns = o->duration_ms ? l.measure_ns + o->duration_ms * MS_NS : NEVER;
    l.row_ns = NEVER;
    l.live_ns = o->live ? l.start_ns + LIVE_NS : NEVER;
    if (o->rate > 0.0) {
        ifd_bench_arrivals_init(&l.due, o->rate, o->poisson, o->seed);
        l.sent = l.due;
        l.next_due_ns = l.start_ns + ifd_bench_arrivals_next(&l.due);
        l.next_sent_ns = l.start_ns + ifd_bench_arrivals_next(&l.sent);
    }
    s = loop(&l, err);
    for (size_t i = 0; i < o->connections; i++)
        ifd_bench_conn_close(&l.conns[i]);
    ifd_free(l.conns);
    sigaction(SIGINT, &was_int, NULL);
    sigaction(SIGTERM, &was_term, NULL);
    if (!s)
        conclude(&l);
    return s;
}
