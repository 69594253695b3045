/* SPDX-License-Identifier: Apache-2.0
 *
 * server.c - the life of a server: start, load, drain, stop. docs/server.md draws it.
 */
#include "server/server.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cgroup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/access.h"
#include "server/io.h"
#include "server/metrics_page.h"
#include "server/process_stats.h"
#include "server/server_state.h"
#include "server/tls.h"

/* Descriptors that are not connections: loops, listeners, standard streams, model files. */
#define FILES_SPARE 128u
#define LARGE_BLOCK_BYTES (256 << 10)
/* Of max_length 0; see inferd_model_options. */
#define MAX_LENGTH_DEFAULT 128u

static void notify_all(struct ifd_server *s)
{
    for (unsigned i = 0; i < s->config.http_threads; i++)
        ifd_io_notify(&s->ios[i]);
}

static void set_phase(struct ifd_server *s, enum ifd_phase phase)
{
    if (phase <= ifd_server_phase(s))
        return;
    atomic_store_explicit(&s->phase, phase, memory_order_release);
    if (phase >= IFD_CLOSING) /* nobody will use it, and somebody may wait for it */
        ifd_loader_give_up(&s->models.loader);
    notify_all(s);
}

static void say_ready(const struct ifd_server *s)
{
    inferd_model_info info = {.struct_size = sizeof(info)};
    const struct ifd_engine *engine = s->ios[0].engine;
    inferd_model_get_info(ifd_engine_model(engine), &info);
    const double seconds = (double)(ifd_clock_ns() - s->began_ns) / 1e9;
    ifd_log(IFD_LOG_INFO, "ready", IFD_STR("url", s->url), IFD_F64("seconds", seconds),
            IFD_STR("model", info.name), IFD_STR("digest", ifd_engine_label(engine)),
            IFD_STR("dtype", info.dtype), IFD_STR("cpu_tier", info.tier),
            IFD_U64("threads", s->threads), IFD_U64("http_threads", s->config.http_threads),
            IFD_U64("weight_bytes", info.weight_bytes));
    if (s->config.banner)
        fprintf(stderr, "ready in %.1f s: %s  (model %s, %s, cpu tier %s, %u thread%s)\n", seconds,
                s->url, info.name, info.dtype, info.tier, s->threads, s->threads == 1 ? "" : "s");
}

/* --- stopping --- */

static void on_drain_timeout(uv_timer_t *timer)
{
    struct ifd_server *s = timer->data;
    ifd_log(IFD_LOG_WARN, "drain time-out",
            IFD_U64("drain_timeout_ms", s->config.drain_timeout_ms));
    if (s->outcome == INFERD_OK)
        s->outcome = INFERD_DEADLINE;
    set_phase(s, IFD_KILLED);
}

static void close_down(struct ifd_server *s)
{
    set_phase(s, IFD_CLOSING);
    uv_timer_start(&s->drain, on_drain_timeout, s->config.drain_timeout_ms, 0);
}

static void on_drain_delay(uv_timer_t *timer)
{
    close_down(timer->data);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct ifd_server *s = handle->data;
    if (ifd_server_phase(s) == IFD_KILLED)
        return;
    if (ifd_server_phase(s) != IFD_SERVING) {
        ifd_log(IFD_LOG_WARN, "second signal: stopping at once",
                IFD_U64("signal", (uint64_t)signum));
        s->outcome = INFERD_CANCELLED;
        set_phase(s, IFD_KILLED);
        return;
    }
    ifd_log(IFD_LOG_INFO, "draining", IFD_U64("signal", (uint64_t)signum),
            IFD_U64("drain_delay_ms", s->config.drain_delay_ms));
    set_phase(s, IFD_DRAINING);
    if (s->config.drain_delay_ms > 0)
        uv_timer_start(&s->drain, on_drain_delay, s->config.drain_delay_ms, 0);
    else
        close_down(s);
}

/* The operator has changed files: the keys are read again, the active model's directory is loaded
 * again. */
static void on_hangup(uv_signal_t *handle, int signum)
{
    struct ifd_server *s = handle->data;
    inferd_error err;
    (void)signum;
    ifd_access_reread(s);
    ifd_tls_reread(s);
    if (ifd_models_reload(&s->models, &err))
        ifd_log(IFD_LOG_WARN, "SIGHUP: the model is not loaded again",
                IFD_STR("message", err.message));
}

static void on_watch(uv_timer_t *timer)
{
    struct ifd_server *s = timer->data;
    const bool api = ifd_watch_changed(&s->watched_api_keys);
    const bool admin = ifd_watch_changed(&s->watched_admin_keys);
    if (api || admin)
        ifd_access_reread(s);
    bool tls = false;
    for (unsigned i = 0; i < 3; i++)
        tls = ifd_watch_changed(&s->watched_tls[i]) || tls;
    if (tls)
        ifd_tls_reread(s);
}

void ifd_server_on_notify(struct ifd_server *s)
{
    ifd_models_on_notify(&s->models);
    const enum ifd_readiness readiness = ifd_server_readiness(s);
    if (readiness == IFD_READY && !s->told_ready) {
        s->told_ready = true;
        say_ready(s);
    } else if (readiness == IFD_LOAD_FAILED && ifd_server_phase(s) < IFD_CLOSING) {
        s->outcome = s->load_error.status;
        set_phase(s, IFD_KILLED);
    }
    /* acquire: pairs with the release of the thread that finished last */
    if (!s->ios[0].finished || atomic_load_explicit(&s->ios_running, memory_order_acquire) > 0)
        return;
    uv_stop(&s->ios[0].loop);
}

/* --- starting --- */

/* As many descriptors as the connections need; fewer connections if the hard limit is lower. */
static void raise_files(struct ifd_server_config *c)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
        return;
    rlim_t want = (rlim_t)c->max_connections + FILES_SPARE;
    if (files.rlim_cur < want) {
        files.rlim_cur =
            files.rlim_max == RLIM_INFINITY || files.rlim_max > want ? want : files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
        (void)getrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur >= want)
        return;
    uint32_t fits = files.rlim_cur > FILES_SPARE + 1 ? (uint32_t)(files.rlim_cur - FILES_SPARE) : 1;
    ifd_log(IFD_LOG_WARN, "fewer connections: the hard limit of open files is low",
            IFD_U64("max_connections", c->max_connections), IFD_U64("in_force", fits),
            IFD_U64("open_files", (uint64_t)files.rlim_cur));
    c->max_connections = fits;
}

static inferd_status open_loops(struct ifd_server *s, inferd_error *err)
{
    unsigned port = s->config.port;
    for (unsigned i = 0; i < s->config.http_threads; i++) {
        inferd_status status = ifd_io_init(&s->ios[i], s, i, err);
        if (!status)
            status = ifd_io_listen(&s->ios[i], &port, err);
        if (status)
            return status;
    }
    if (s->config.uds) {
        inferd_status status = ifd_io_listen_local(&s->ios[0], s->config.uds, err);
        if (status)
            return status;
    }
    const bool v6 = strchr(s->config.host, ':') != NULL;
    snprintf(s->url, sizeof(s->url), "%s://%s%s%s:%u", s->config.tls_cert ? "https" : "http",
             v6 ? "[" : "", s->config.host, v6 ? "]" : "", port);
    uv_loop_t *loop = &s->ios[0].loop;
    int rc;
    if ((rc = uv_timer_init(loop, &s->drain)) || (rc = uv_signal_init(loop, &s->sigterm)) ||
        (rc = uv_signal_init(loop, &s->sigint)) || (rc = uv_signal_init(loop, &s->sighup)) ||
        (rc = uv_signal_start(&s->sighup, on_hangup, SIGHUP)) ||
        (rc = uv_signal_start(&s->sigterm, on_signal, SIGTERM)) ||
        (rc = uv_signal_start(&s->sigint, on_signal, SIGINT)))
        return ifd_fail(err, INFERD_IO, "cannot handle signals: %s", uv_strerror(rc));
    if ((rc = uv_timer_init(loop, &s->watching)))
        return ifd_fail(err, INFERD_IO, "cannot watch files: %s", uv_strerror(rc));
    s->watching.data = s;
    ifd_watch_init(&s->watched_api_keys, s->config.api_key_file);
    ifd_watch_init(&s->watched_admin_keys, s->config.admin_key_file);
    ifd_watch_init(&s->watched_tls[0], s->config.tls_cert);
    ifd_watch_init(&s->watched_tls[1], s->config.tls_key);
    ifd_watch_init(&s->watched_tls[2], s->config.tls_client_ca);
    if (s->config.api_key_file || s->config.admin_key_file || s->config.tls_cert)
        uv_timer_start(&s->watching, on_watch, IFD_WATCH_PERIOD_MS, IFD_WATCH_PERIOD_MS);
    s->drain.data = s->sigterm.data = s->sigint.data = s->sighup.data = s;
    return INFERD_OK;
}

static void *io_main(void *arg)
{
    (void)pthread_setname_np(pthread_self(), "inferd-io");
    ifd_io_run(arg);
    return NULL;
}

/* pthread_create with all signals blocked in the new thread: they are for I/O thread 0. */
static inferd_status start_thread(pthread_t *thread, void *(*main)(void *), void *arg,
                                  const char *what, inferd_error *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(thread, NULL, main, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc ? ifd_fail(err, INFERD_NO_MEMORY, "cannot start %s: %s", what, strerrordesc_np(rc))
              : INFERD_OK;
}

/* Start the threads and run until all have ended. */
static inferd_status run(struct ifd_server *s, inferd_error *err)
{
    unsigned started = 1;
    inferd_status status = ifd_models_start(&s->models, err);
    if (status)
        return status;
    atomic_store(&s->ios_running, s->config.http_threads);
    while (!status && started < s->config.http_threads) {
        struct ifd_io *io = &s->ios[started];
        status = start_thread(&io->thread, io_main, io, "an I/O thread", err);
        started += status == INFERD_OK;
    }
    if (status) {
        /* those that did not start cannot finish */
        atomic_fetch_sub(&s->ios_running, s->config.http_threads - started);
        s->outcome = status;
        set_phase(s, IFD_KILLED);
    } else {
        ifd_log(IFD_LOG_INFO, "listening", IFD_STR("url", s->url),
                IFD_STR("model", s->config.model_dir), IFD_STR("version", INFERD_VERSION));
    }
    ifd_io_run(&s->ios[0]);
    for (unsigned i = 1; i < started; i++)
        pthread_join(s->ios[i].thread, NULL);
    ifd_models_stop(&s->models);
    ifd_metrics_log_totals(s);
    return status;
}

static inferd_status outcome(const struct ifd_server *s, inferd_error *err)
{
    const unsigned long long dropped = atomic_load(&s->dropped);
    switch (s->outcome) {
    case INFERD_OK:
        ifd_log(IFD_LOG_INFO, "stopped", IFD_U64("dropped", dropped));
        return INFERD_OK;
    case INFERD_DEADLINE:
        ifd_log(IFD_LOG_WARN, "stopped", IFD_U64("dropped", dropped));
        return ifd_fail(err, INFERD_DEADLINE,
                        "--drain-timeout %u ms passed: %llu requests were cut off",
                        s->config.drain_timeout_ms, dropped);
    case INFERD_CANCELLED:
        ifd_log(IFD_LOG_WARN, "stopped", IFD_U64("dropped", dropped));
        return ifd_fail(err, INFERD_CANCELLED, "a second signal: %llu requests were cut off",
                        dropped);
    default:
        if (err)
            *err = s->load_error;
        return s->outcome;
    }
}

/* The same over swaps: clients keep the name that they know. */
static void name_model(struct ifd_server *s)
{
    const char *name = s->config.served_model_name;
    size_t end = strlen(s->config.model_dir);
    if (name) {
        snprintf(s->model_name, sizeof(s->model_name), "%s", name);
        return;
    }
    while (end > 1 && s->config.model_dir[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && s->config.model_dir[begin - 1] != '/')
        begin--;
    snprintf(s->model_name, sizeof(s->model_name), "%.*s", (int)(end - begin),
             s->config.model_dir + begin);
}

inferd_status ifd_server_run(const struct ifd_server_config *config, inferd_error *err)
{
    inferd_status status = ifd_server_config_check(config, err);
    if (status)
        return status;
    struct ifd_server *s = ifd_zalloc(sizeof(*s));
    if (!s)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for the server");
    s->began_ns = ifd_clock_ns();
    s->config = *config;
    s->threads = config->threads ? config->threads : ifd_cpu_budget();
    name_model(s);
    pthread_mutex_init(&s->lock, NULL);
    ifd_load_signal_init(&s->load, s->threads, s->began_ns);
    struct ifd_process_stats process;
    ifd_process_stats_read(&process);
    s->start_seconds = process.start_seconds;
    ifd_models_init(&s->models, s);
    /* Models come and go: their blocks go back to the system when they are freed. Left alone, glibc
     * raises this threshold at the first free and keeps the next model's pages for ever. */
    mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
    signal(SIGPIPE, SIG_IGN); /* libuv writes without MSG_NOSIGNAL */
    raise_files(&s->config);
    const uint32_t longest = s->config.max_length ? s->config.max_length : MAX_LENGTH_DEFAULT;
    if (s->config.max_batch_tokens < longest)
        s->config.max_batch_tokens = longest; /* the longest text must fit into a batch */

    const struct ifd_sched_options options = {.workers = s->threads,
                                              .batch_tokens = s->config.max_batch_tokens,
                                              .batch_texts = s->config.max_batch_size,
                                              .batch_wait_us = s->config.batch_wait_us,
                                              .queue_texts = s->config.max_queue,
                                              .queue_tokens = s->config.max_queue_tokens,
                                              .queue_wait_ns =
                                                  s->config.max_queue_wait_ms * (uint64_t)1000000};
    s->ios = ifd_zalloc_array(s->config.http_threads, sizeof(*s->ios));
    if (!s->ios)
        status = ifd_fail(err, INFERD_NO_MEMORY, "no memory for the I/O threads");
    if (!status)
        status = ifd_access_open(s, err);
    if (!status)
        status = ifd_tls_open(s, err);
    if (!status)
        status = open_loops(s, err);
    if (!status)
        status = ifd_sched_create(&options, &s->sched, err);
    if (!status)
        status = run(s, err);
    if (!status)
        status = outcome(s, err);

    ifd_sched_free(s->sched);
    for (unsigned i = 0; s->ios && i < s->config.http_threads; i++)
        ifd_io_fini(&s->ios[i]);
    ifd_models_fini(&s->models);
    ifd_access_fini(s);
    ifd_tls_fini(s);
    ifd_free(s->ios);
    ifd_load_signal_fini(&s->load);
    pthread_mutex_destroy(&s->lock);
    ifd_free(s);
    return status;
}
