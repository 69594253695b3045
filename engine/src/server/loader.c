/* SPDX-License-Identifier: Apache-2.0 */
#include "server/loader.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pace.h"
#include "server/io.h"

/* How often the loader looks whether the last request has let go of an engine. */
#define RETIRE_POLL_NS 2000000L

/* Hindering a little for longer, instead of much at once, is what keeps a 99th percentile. */
#define LOAD_REST 2u

/* --- orders and generations --- */

static void generation_free(struct ifd_generation *g)
{
    ifd_engine_release(g->engine);
    ifd_free(g->path);
    ifd_free(g);
}

struct ifd_load *ifd_load_new(const char *path)
{
    struct ifd_load *load = ifd_zalloc(sizeof(*load));
    if (!load)
        return NULL;
    load->path = ifd_strndup(path, strlen(path));
    if (!load->path) {
        ifd_free(load);
        return NULL;
    }
    return load;
}

void ifd_load_free(struct ifd_load *load)
{
    if (!load)
        return;
    if (load->generation)
        generation_free(load->generation);
    ifd_manifest_fini(&load->manifest);
    ifd_free(load->path);
    ifd_free(load);
}

/* --- the work --- */

static inferd_status verify(struct ifd_loader *l, struct ifd_load *load)
{
    uint64_t bytes = 0;
    inferd_error *err = &load->err;
    inferd_status st = ifd_manifest_list(load->path, &load->manifest, &bytes, err);
    if (st)
        return st;
    if (load->first)
        atomic_store_explicit(&l->bytes_total, bytes, memory_order_relaxed);
    st = ifd_manifest_hash(load->path, &load->manifest, err);
    return st ? st : ifd_manifest_check(load->path, &load->manifest, &load->listed, err);
}

/* Every request that passes the codec must fit into an empty queue, or it could never be served. */
static inferd_status check_queue(const struct ifd_server_config *c, const inferd_model *model,
                                 inferd_error *err)
{
    uint64_t most = (uint64_t)c->max_inputs * ifd_model_max_length(model);
    if (most > c->max_queue_tokens)
        return ifd_fail(
            err, INFERD_INVALID_ARGUMENT,
            "--max-queue-tokens %u could never take a request of --max-inputs %u texts of "
            "%u tokens: raise it to %llu or lower --max-inputs or --max-length",
            c->max_queue_tokens, c->max_inputs, ifd_model_max_length(model),
            (unsigned long long)most);
    return INFERD_OK;
}

static inferd_status open_model(struct ifd_loader *l, struct ifd_load *load,
                                struct ifd_engine **out, inferd_error *err)
{
    struct ifd_server *s = l->server;
    const struct ifd_server_config *c = &s->config;
    const inferd_model_options options = {.struct_size = sizeof(options),
                                          .dtype = c->dtype,
                                          .tier = c->tier,
                                          .max_length = c->max_length};
    inferd_model *model = NULL;
    struct ifd_engine *engine = NULL;
    inferd_status st = inferd_model_open(load->path, &options, &model, err);
    if (st)
        return st;
    /* a directory that was never listed has failed before, and must not pass now */
    st = load->manifest.count > 0
             ? ifd_manifest_unchanged(load->path, &load->manifest, err)
             : ifd_fail(err, INFERD_MODEL_INVALID, "%s: its files changed meanwhile; load it again",
                        load->path);
    if (!st)
        st = check_queue(c, model, err);
    if (!st)
        st = ifd_engine_create(model, s->threads, c->max_batch_tokens, c->max_batch_size, &engine,
                               err);
    if (!st) {
        if (load->first)
            atomic_store_explicit(&s->readiness, IFD_WARMING, memory_order_release);
        ifd_engine_set_label(engine, load->manifest.digest);
        st = ifd_engine_warm(engine, err);
    }
    inferd_model_release(model);
    if (st)
        ifd_engine_release(engine);
    else
        *out = engine;
    return st;
}

static inferd_status open_generation(struct ifd_loader *l, struct ifd_load *load)
{
    struct ifd_generation *g = ifd_zalloc(sizeof(*g));
    if (!g)
        return ifd_fail(&load->err, INFERD_NO_MEMORY, "%s: out of memory", load->path);
    const uint64_t began = ifd_clock_ns();
    inferd_status st = open_model(l, load, &g->engine, &load->err);
    if (st) {
        ifd_free(g);
        return st;
    }
    load->busy_ns += ifd_clock_ns() - began;
    g->path = load->path;
    load->path = NULL;
    memcpy(g->digest, load->manifest.digest, sizeof(g->digest));
    g->listed = load->listed;
    g->load_seconds = (double)load->busy_ns / 1e9;
    load->generation = g;
    return INFERD_OK;
}

/* Free what is retired and used by nobody. True when nothing is left. */
static bool bury(struct ifd_loader *l)
{
    /* acquire: pairs with the release of the thread that retired it */
    struct ifd_generation *g = atomic_exchange_explicit(&l->retired, NULL, memory_order_acquire);
    while (g) {
        struct ifd_generation *next = g->next;
        g->next = l->dying;
        l->dying = g;
        g = next;
    }
    for (struct ifd_generation **at = &l->dying; *at;) {
        g = *at;
        if (ifd_engine_is_sole(g->engine)) {
            *at = g->next;
            generation_free(g);
        } else {
            at = &g->next;
        }
    }
    return !l->dying;
}

static bool stopping(const struct ifd_loader *l)
{
    return atomic_load_explicit(&l->stop, memory_order_acquire);
}

static bool given_up(const struct ifd_loader *l)
{
    return atomic_load_explicit(&l->watch.give_up, memory_order_relaxed);
}

/* With something to bury: for a short while at most. */
static void wait_for_work(struct ifd_loader *l)
{
    if (!l->dying) {
        while (sem_wait(&l->wake) != 0 && errno == EINTR)
            ;
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += RETIRE_POLL_NS;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    while (sem_timedwait(&l->wake, &until) != 0 && errno == EINTR)
        ;
}

static void report(struct ifd_loader *l, struct ifd_load *load)
{
    /* release: what the loader wrote into the order is seen by I/O thread 0 */
    atomic_store_explicit(&l->report, load, memory_order_release);
    ifd_io_notify(&l->server->ios[0]);
}

static void step(struct ifd_loader *l, struct ifd_load *load)
{
    inferd_status st = INFERD_OK;
    if (load->stage == IFD_LOAD_VERIFY) {
        const uint64_t began = ifd_clock_ns();
        st = verify(l, load);
        load->busy_ns += ifd_clock_ns() - began;
        /* What is wrong with a directory without its files, the model's own reader says best. */
        if (st == INFERD_MODEL_INVALID && load->manifest.count == 0) {
            struct ifd_engine *none = NULL;
            st = open_model(l, load, &none, &load->err);
        }
        load->stage = st ? IFD_LOAD_DONE : IFD_LOAD_OPEN;
    } else {
        while (!bury(l) && !given_up(l))
            wait_for_work(l);
        st = given_up(l) ? ifd_fail(&load->err, INFERD_CANCELLED, "the server is stopping")
                         : open_generation(l, load);
        load->stage = IFD_LOAD_DONE;
    }
    load->err.status = st;
    report(l, load);
}

/* Only the time that others leave. A container may forbid the policy; niceness is always allowed.
 */
static void become_idle(void)
{
    const struct sched_param none = {0};
    if (pthread_setschedparam(pthread_self(), SCHED_IDLE, &none) != 0 &&
        setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19) != 0)
        ifd_log(IFD_LOG_WARN, "loads will compete with requests: no idle priority here",
                IFD_STR("error", strerrordesc_np(errno)));
}

static void *loader_main(void *arg)
{
    struct ifd_loader *l = arg;
    bool idle = false;
    (void)pthread_setname_np(pthread_self(), "inferd-loader");
    ifd_file_set_watch(&l->watch);
    while (!stopping(l)) {
        (void)bury(l);
        struct ifd_load *load = atomic_exchange_explicit(&l->order, NULL, memory_order_acquire);
        if (!load) {
            wait_for_work(l);
            continue;
        }
        const bool first = load->first;
        if (!first && !idle && !l->server->config.load_at_full_priority) {
            become_idle();
            ifd_pace_set(LOAD_REST);
            idle = true;
        }
        step(l, load); /* the order may be gone after this */
    }
    return NULL;
}

/* --- life --- */

void ifd_loader_init(struct ifd_loader *l, struct ifd_server *server)
{
    l->server = server;
    sem_init(&l->wake, 0, 0);
}

inferd_status ifd_loader_start(struct ifd_loader *l, inferd_error *err)
{
    sigset_t all, old; /* signals are for I/O thread 0 */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int rc = pthread_create(&l->thread, NULL, loader_main, l);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc)
        return ifd_fail(err, INFERD_NO_MEMORY, "cannot start the loader: %s", strerrordesc_np(rc));
    l->started = true;
    return INFERD_OK;
}

void ifd_loader_give_up(struct ifd_loader *l)
{
    atomic_store_explicit(&l->watch.give_up, true, memory_order_relaxed);
    sem_post(&l->wake);
}

void ifd_loader_stop(struct ifd_loader *l)
{
    if (!l->started)
        return;
    l->started = false;
    ifd_loader_give_up(l);
    atomic_store_explicit(&l->stop, true, memory_order_release);
    sem_post(&l->wake);
    pthread_join(l->thread, NULL);
}

void ifd_loader_fini(struct ifd_loader *l)
{
    if (!l->server)
        return;
    ifd_load_free(atomic_exchange(&l->order, NULL));
    ifd_load_free(atomic_exchange(&l->report, NULL));
    IFD_ASSERT(bury(l)); /* nobody else can hold one */
    sem_destroy(&l->wake);
    l->server = NULL;
}

void ifd_loader_order(struct ifd_loader *l, struct ifd_load *load)
{
    /* release: the loader sees the order as it was filled */
    atomic_store_explicit(&l->order, load, memory_order_release);
    sem_post(&l->wake);
}

struct ifd_load *ifd_loader_take_report(struct ifd_loader *l)
{
    return atomic_exchange_explicit(&l->report, NULL, memory_order_acquire);
}

void ifd_loader_retire(struct ifd_loader *l, struct ifd_generation *g)
{
    if (!g)
        return;
    struct ifd_generation *head = atomic_load_explicit(&l->retired, memory_order_relaxed);
    do
        g->next = head;
    while (!atomic_compare_exchange_weak_explicit(&l->retired, &head, g, memory_order_release,
                                                  memory_order_relaxed));
    sem_post(&l->wake);
}

double ifd_loader_progress(const struct ifd_loader *l)
{
    const uint64_t total = atomic_load_explicit(&l->bytes_total, memory_order_relaxed);
    const uint64_t read = atomic_load_explicit(&l->watch.bytes, memory_order_relaxed);
    if (total == 0)
        return 0.0;
    /* each byte is read twice: to be hashed, and to be used */
    const double done = (double)read / (2.0 * (double)total);
    return done < 0.99 ? done : 0.99;
}
