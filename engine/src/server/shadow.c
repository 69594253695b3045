/* SPDX-License-Identifier: Apache-2.0 */
#include "server/shadow.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "server/infer.h"
#include "server/models.h"

static void on_idle(uv_idle_t *idle);

int ifd_shadow_init(struct ifd_shadow *sh, struct ifd_io *io)
{
    for (unsigned i = 0; i < IFD_SHADOW_MAX; i++) {
        sh->mirror[i].next = sh->free;
        sh->free = &sh->mirror[i];
    }
    sh->idle.data = io;
    return uv_idle_init(&io->loop, &sh->idle);
}

void ifd_shadow_fini(struct ifd_shadow *sh)
{
    ifd_engine_release(sh->engine);
    sh->engine = NULL;
    for (unsigned i = 0; i < IFD_SHADOW_MAX; i++)
        ifd_free(sh->mirror[i].results);
}

void ifd_shadow_set(struct ifd_shadow *sh, struct ifd_engine *engine, uint32_t share_ppm,
                    uint64_t id)
{
    if (engine != sh->engine) {
        ifd_engine_release(sh->engine);
        sh->engine = engine ? ifd_engine_retain(engine) : NULL;
    }
    sh->share_ppm = share_ppm;
    if (id == sh->id)
        return;
    sh->id = id;
    sh->owed_ppm = 0;
    ifd_shadow_counts_reset(&sh->counts, id);
}

/* The mirror goes back; so does the candidate's reference, which is the job's. */
static void let_go(struct ifd_shadow *sh, struct ifd_request *r)
{
    struct ifd_mirror *m = r->mirror;
    r->mirror = NULL;
    ifd_engine_release(m->primary);
    m->primary = NULL;
    m->next = sh->free;
    sh->free = m;
}

void ifd_shadow_choose(struct ifd_io *io, struct ifd_request *r)
{
    struct ifd_shadow *sh = &io->shadow;
    if (!sh->engine || r->job.engine == sh->engine)
        return;
    sh->owed_ppm += sh->share_ppm;
    if (sh->owed_ppm < IFD_SHARE_ONE)
        return;
    sh->owed_ppm -= IFD_SHARE_ONE;
    struct ifd_mirror *m = sh->free;
    if (m && m->capacity < r->encoding.capacity) {
        inferd_result *now = ifd_zalloc_array(r->encoding.capacity, sizeof(*now));
        if (now) {
            ifd_free(m->results);
            m->results = now;
            m->capacity = r->encoding.capacity;
        } else {
            m = NULL;
        }
    }
    if (!m) {
        ifd_io_count(&sh->counts.skipped, r->job.texts);
        return;
    }
    sh->free = m->next;
    m->id = sh->id;
    m->primary_ns = r->job.finished_ns - r->job.started_ns;
    r->mirror = m;
}

/* --- computing --- */

/* The one way of a mirrored request into the scheduler: last in line, and no one waits for it. */
static inferd_status submit_background(struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    r->job.background = true;
    r->submitted = true; /* before it is: the job may be back at once */
    inferd_status st = ifd_sched_submit(io->server->sched, &r->job, err);
    if (st)
        r->submitted = false;
    return st;
}

static inferd_status submit(struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    struct ifd_shadow *sh = &io->shadow;
    struct ifd_mirror *m = r->mirror;
    if (m->id != sh->id || !sh->engine || io->phase >= IFD_CLOSING)
        return ifd_fail(err, INFERD_CANCELLED, "the shadow has ended");
    inferd_status st = ifd_infer_tokenize(io, ifd_engine_model(sh->engine), r, err);
    if (!st && ifd_encoding_has_windows(&r->encoding)) /* m->results has a place for each text */
        st = ifd_fail(err, INFERD_CANCELLED, "long texts are not compared");
    if (st)
        return st;
    r->job.engine = ifd_engine_retain(sh->engine);
    r->job.ids = r->encoding.ids;
    r->job.offsets = r->encoding.offsets;
    r->job.second = ifd_encoding_second(&r->encoding);
    r->job.results = m->results;
    r->job.logits = NULL;
    r->job.deadline_ns = ifd_clock_ns() + io->server->config.request_timeout_ms * (uint64_t)1000000;
    r->job.done = ifd_io_job_done;
    return submit_background(io, r, err);
}

/* The answers that waited are out: now the kept requests. */
static void on_idle(uv_idle_t *idle)
{
    struct ifd_io *io = idle->data;
    struct ifd_shadow *sh = &io->shadow;
    uv_idle_stop(idle);
    while (sh->kept) {
        struct ifd_request *r = sh->kept;
        inferd_error err;
        sh->kept = r->next;
        if (submit(io, r, &err) == INFERD_OK)
            continue;
        if (r->mirror->id == sh->id)
            ifd_io_count(&sh->counts.skipped, r->job.texts);
        let_go(sh, r);
        io->outstanding--;
        ifd_io_release_request(io, r);
    }
    ifd_io_maybe_finish(io);
}

/* --- comparing --- */

static void compare(struct ifd_shadow *sh, const struct ifd_request *r)
{
    const struct ifd_mirror *m = r->mirror;
    const inferd_model *one = ifd_engine_model(m->primary),
                       *other = ifd_engine_model(r->job.engine);
    uint64_t differ = 0;
    uint64_t largest = atomic_load_explicit(&sh->counts.largest_difference, memory_order_relaxed);
    for (uint32_t i = 0; i < r->job.texts; i++) {
        const inferd_result *a = &r->encoding.results[i], *b = &m->results[i];
        /* by name: two models may number their labels differently */
        differ +=
            strcmp(inferd_model_label(one, a->label), inferd_model_label(other, b->label)) != 0;
        const double gap = fabs((double)a->confidence - (double)b->confidence) * 1e9;
        if (gap > (double)largest)
            largest = (uint64_t)gap;
    }
    atomic_store_explicit(&sh->counts.largest_difference, largest, memory_order_relaxed);
    ifd_io_count(&sh->counts.requests, 1);
    ifd_io_count(&sh->counts.inputs, r->job.texts);
    ifd_io_count(&sh->counts.disagreements, differ);
    ifd_shadow_latency_add(&sh->counts.active, m->primary_ns);
    ifd_shadow_latency_add(&sh->counts.candidate, r->job.finished_ns - r->job.started_ns);
}

bool ifd_shadow_keep(struct ifd_io *io, struct ifd_request *r)
{
    struct ifd_shadow *sh = &io->shadow;
    struct ifd_mirror *m = r->mirror;
    if (m->primary) { /* back from the candidate */
        if (m->id == sh->id && r->job.status == INFERD_OK)
            compare(sh, r);
        else if (m->id == sh->id)
            ifd_io_count(&sh->counts.skipped, r->job.texts);
        let_go(sh, r);
        return false;
    }
    m->primary = r->job.engine; /* with its reference */
    r->job.engine = NULL;
    r->conn = NULL;
    r->next = NULL;
    struct ifd_request **end = &sh->kept; /* IFD_SHADOW_MAX at most */
    while (*end)
        end = &(*end)->next;
    *end = r;
    io->outstanding++; /* the thread waits for it as for a job */
    uv_idle_start(&sh->idle, on_idle);
    return true;
}
