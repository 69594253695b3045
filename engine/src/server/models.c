/* SPDX-License-Identifier: Apache-2.0 */
#include "server/models.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "server/io.h"

/* --- life --- */

void ifd_models_init(struct ifd_models *m, struct ifd_server *server)
{
    ifd_loader_init(&m->loader, server);
    pthread_mutex_init(&m->lock, NULL);
    m->opened = true;
}

inferd_status ifd_models_start(struct ifd_models *m, inferd_error *err)
{
    struct ifd_load *load = ifd_load_new(m->loader.server->config.model_dir);
    if (!load)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for the model's path");
    load->first = true;
    m->busy = true;
    inferd_status st = ifd_loader_start(&m->loader, err);
    if (st)
        ifd_load_free(load);
    else
        ifd_loader_order(&m->loader, load);
    return st;
}

void ifd_models_stop(struct ifd_models *m)
{
    ifd_loader_stop(&m->loader);
}

void ifd_models_fini(struct ifd_models *m)
{
    if (!m->opened)
        return;
    ifd_loader_retire(&m->loader, m->active);
    ifd_loader_retire(&m->loader, m->candidate);
    ifd_loader_retire(&m->loader, m->previous);
    ifd_loader_fini(&m->loader);
    ifd_free(m->last_error_path);
    pthread_mutex_destroy(&m->lock);
    m->opened = false;
}

/* --- what the I/O threads see --- */

static void changed(struct ifd_models *m) /* under lock */
{
    atomic_fetch_add_explicit(&m->version, 1, memory_order_release);
}

static void notify_all(struct ifd_models *m)
{
    struct ifd_server *s = m->loader.server;
    for (unsigned i = 0; i < s->config.http_threads; i++)
        ifd_io_notify(&s->ios[i]);
}

void ifd_models_take(struct ifd_io *io)
{
    struct ifd_models *m = &io->server->models;
    /* acquire: pairs with the release in changed(); the lock below orders the rest */
    if (io->models_version == atomic_load_explicit(&m->version, memory_order_acquire))
        return;
    pthread_mutex_lock(&m->lock);
    io->models_version = atomic_load_explicit(&m->version, memory_order_relaxed);
    struct ifd_engine *engine = m->active ? m->active->engine : NULL;
    if (engine != io->engine) {
        ifd_engine_release(io->engine); /* never the last one: the generation has its own */
        io->engine = engine ? ifd_engine_retain(engine) : NULL;
    }
    ifd_shadow_set(&io->shadow, m->candidate ? m->candidate->engine : NULL, m->share_ppm,
                   m->shadow_id);
    pthread_mutex_unlock(&m->lock);
}

/* --- orders --- */

static inferd_status order(struct ifd_models *m, struct ifd_load *load, inferd_error *err)
{
    struct ifd_server *s = m->loader.server;
    inferd_status st = INFERD_OK;
    if (!load)
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory");
    pthread_mutex_lock(&m->lock);
    if (ifd_server_phase(s) != IFD_SERVING)
        st = ifd_fail(err, INFERD_CONFLICT, "the server is stopping");
    else if (m->busy)
        st = ifd_fail(err, INFERD_CONFLICT, "another model is being loaded; wait for it");
    else if (m->candidate)
        st = ifd_fail(err, INFERD_CONFLICT,
                      "a candidate is in the shadow: promote or unload it first");
    else
        m->busy = true;
    pthread_mutex_unlock(&m->lock);
    if (st) {
        ifd_load_free(load);
        return st;
    }
    if (load->request) { /* it comes back as a job does */
        load->request->submitted = true;
        load->request->io->outstanding++;
    }
    ifd_loader_order(&m->loader, load);
    return INFERD_OK;
}

inferd_status ifd_models_load(struct ifd_models *m, const char *path, struct ifd_request *request,
                              inferd_error *err)
{
    struct ifd_load *load = ifd_load_new(path);
    if (load)
        load->request = request;
    return order(m, load, err);
}

inferd_status ifd_models_shadow(struct ifd_models *m, const char *path, uint32_t share_ppm,
                                struct ifd_request *request, inferd_error *err)
{
    struct ifd_load *load = ifd_load_new(path);
    if (load) {
        load->request = request;
        load->shadow = true;
        load->share_ppm = share_ppm;
    }
    return order(m, load, err);
}

inferd_status ifd_models_reload(struct ifd_models *m, inferd_error *err)
{
    struct ifd_load *load = NULL;
    bool active;
    pthread_mutex_lock(&m->lock);
    active = m->active != NULL;
    if (active)
        load = ifd_load_new(m->active->path);
    pthread_mutex_unlock(&m->lock);
    if (!active)
        return ifd_fail(err, INFERD_CONFLICT, "the first model is still loading");
    return order(m, load, err);
}

/* --- reports of the loader, on I/O thread 0 --- */

static void install(struct ifd_models *m, struct ifd_load *load)
{
    struct ifd_generation *g = load->generation, *old = NULL;
    load->generation = NULL;
    ifd_log(IFD_LOG_INFO, load->shadow ? "shadow started" : "model loaded",
            IFD_STR("path", g->path), IFD_STR("digest", g->digest),
            IFD_STR("manifest", g->listed ? "checked" : "none"),
            IFD_F64("seconds", g->load_seconds));
    if (!load->shadow)
        atomic_store_explicit(&m->loader.server->model_load_ns, (uint64_t)(g->load_seconds * 1e9),
                              memory_order_relaxed);
    pthread_mutex_lock(&m->lock);
    m->loads++;
    if (load->shadow) {
        m->candidate = g;
        m->share_ppm = load->share_ppm;
        m->shadow_id++;
        memcpy(m->shadow_digest, g->digest, sizeof(m->shadow_digest));
    } else {
        old = m->active;
        m->active = g;
    }
    changed(m);
    pthread_mutex_unlock(&m->lock);
    ifd_loader_retire(&m->loader, old);
}

static void refuse(struct ifd_models *m, struct ifd_load *load)
{
    ifd_log(load->err.status == INFERD_CANCELLED ? IFD_LOG_INFO : IFD_LOG_ERROR, "model refused",
            IFD_STR("path", load->path), IFD_STR("type", inferd_status_type(load->err.status)),
            IFD_STR("message", load->err.message));
    pthread_mutex_lock(&m->lock);
    m->refusals++;
    m->last_error = load->err;
    ifd_free(m->last_error_path);
    m->last_error_path = load->path;
    load->path = NULL;
    pthread_mutex_unlock(&m->lock);
}

/* Its files are right, so it will need the place of the previous one. */
static void make_room(struct ifd_models *m, struct ifd_load *load)
{
    pthread_mutex_lock(&m->lock);
    struct ifd_generation *old = m->previous;
    m->previous = NULL;
    pthread_mutex_unlock(&m->lock);
    ifd_loader_retire(&m->loader, old);
    ifd_loader_order(&m->loader, load);
}

/* To whoever asked for it. The first fault of a model that is loaded beside another is not the
 * server's: the client gave a directory that cannot be used. */
static void answer(struct ifd_load *load)
{
    struct ifd_request *r = load->request;
    if (!r)
        return;
    r->error = load->err;
    if (load->err.status && load->err.status != INFERD_NO_MEMORY &&
        load->err.status != INFERD_CANCELLED)
        r->error.status = INFERD_MODEL_REFUSED;
    else if (load->err.status == INFERD_CANCELLED)
        r->error.status = INFERD_CONFLICT;
    ifd_io_job_done(&r->job);
}

void ifd_models_on_notify(struct ifd_models *m)
{
    struct ifd_server *s = m->loader.server;
    struct ifd_load *load = ifd_loader_take_report(&m->loader);
    if (!load)
        return;
    if (load->stage != IFD_LOAD_DONE) {
        make_room(m, load);
        return;
    }
    const bool good = load->err.status == INFERD_OK;
    if (good)
        install(m, load);
    else if (load->first)
        s->load_error = load->err;
    else
        refuse(m, load);
    pthread_mutex_lock(&m->lock);
    m->busy = false;
    pthread_mutex_unlock(&m->lock);
    ifd_models_take(&s->ios[0]); /* before anybody is told */
    if (load->first)
        atomic_store_explicit(&s->readiness, good ? IFD_READY : IFD_LOAD_FAILED,
                              memory_order_release);
    notify_all(m);
    answer(load);
    ifd_load_free(load);
}

/* --- swaps --- */

/* Takes the lock for a swap; false, with the reason, when `other` is not there to swap with. */
static bool begin_swap(struct ifd_models *m, struct ifd_generation *const *other, const char *what,
                       inferd_error *err)
{
    pthread_mutex_lock(&m->lock);
    if (*other)
        return true;
    pthread_mutex_unlock(&m->lock);
    (void)ifd_fail(err, INFERD_CONFLICT, "%s", what);
    return false;
}

/* Logs outside the lock: a log line is a system call. */
static void end_swap(struct ifd_models *m, struct ifd_generation *old, const char *event,
                     const char *digest)
{
    changed(m);
    pthread_mutex_unlock(&m->lock);
    ifd_loader_retire(&m->loader, old);
    notify_all(m);
    ifd_log(IFD_LOG_INFO, event, IFD_STR("digest", digest));
}

inferd_status ifd_models_promote(struct ifd_models *m, inferd_error *err)
{
    char digest[IFD_DIGEST_SIZE];
    if (!begin_swap(m, &m->candidate, "there is no candidate: POST /admin/models/shadow first",
                    err))
        return INFERD_CONFLICT;
    struct ifd_generation *old = m->previous; /* NULL: a shadow has taken its place */
    m->previous = m->active;
    m->active = m->candidate;
    m->candidate = NULL;
    memcpy(digest, m->active->digest, sizeof(digest));
    end_swap(m, old, "promoted", digest);
    return INFERD_OK;
}

inferd_status ifd_models_rollback(struct ifd_models *m, inferd_error *err)
{
    char digest[IFD_DIGEST_SIZE];
    if (!begin_swap(m, &m->previous,
                    "there is no previous model: only a promotion keeps one, until the next load",
                    err))
        return INFERD_CONFLICT;
    struct ifd_generation *back = m->previous;
    m->previous = m->active;
    m->active = back;
    memcpy(digest, back->digest, sizeof(digest));
    end_swap(m, NULL, "rolled back", digest);
    return INFERD_OK;
}

inferd_status ifd_models_unload(struct ifd_models *m, inferd_error *err)
{
    char digest[IFD_DIGEST_SIZE];
    if (!begin_swap(m, &m->candidate, "there is no candidate", err))
        return INFERD_CONFLICT;
    struct ifd_generation *old = m->candidate;
    m->candidate = NULL;
    memcpy(digest, old->digest, sizeof(digest));
    end_swap(m, old, "shadow stopped", digest);
    return INFERD_OK;
}
