/* SPDX-License-Identifier: Apache-2.0 */
#include "server/outcome.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/conn.h"
#include "server/route.h"

static void started(struct ifd_io *io)
{
    ifd_counter_add(&io->metrics.started, 1);
    ifd_counter_add(&io->metrics.in_flight, 1);
}

static void ended(struct ifd_io *io, enum ifd_outcome outcome)
{
    ifd_counter_add(&io->metrics.outcomes[outcome], 1);
    ifd_counter_add(&io->metrics.in_flight, UINT64_MAX); /* one less */
}

void ifd_outcome_begin(struct ifd_io *io, struct ifd_request *r)
{
    if (r->begun)
        return;
    r->begun = true;
    started(io);
}

enum ifd_outcome ifd_outcome_of(inferd_status status)
{
    switch (status) {
    case INFERD_OK:
        return IFD_OUTCOME_OK;
    case INFERD_OVERLOADED:
    case INFERD_RATE_LIMITED:
    case INFERD_LOADING:
    case INFERD_NO_MEMORY:
        return IFD_OUTCOME_SHED;
    case INFERD_DEADLINE:
        return IFD_OUTCOME_DEADLINE;
    case INFERD_NOT_IMPLEMENTED: /* 5xx by the book, but what was asked for is the client's doing */
    case INFERD_HTTP_VERSION:
        return IFD_OUTCOME_CLIENT_ERROR;
    default: {
        const int code = ifd_status_http(status);
        return code >= 400 && code < 499 ? IFD_OUTCOME_CLIENT_ERROR : IFD_OUTCOME_FAULT;
    }
    }
}

static enum ifd_shed shed_of(inferd_status status, bool has_request)
{
    switch (status) {
    case INFERD_LOADING:
        return IFD_SHED_LOADING;
    case INFERD_NO_MEMORY:
        return IFD_SHED_MEMORY;
    case INFERD_RATE_LIMITED:
        return IFD_SHED_RATE;
    default:
        return has_request ? IFD_SHED_QUEUE : IFD_SHED_CONNECTIONS;
    }
}

/* A worker may have read the clock before it found the job: then the stage took no time, not 2^64.
 */
static uint64_t between(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? to_ns - from_ns : 0;
}

/* The stages up to the answer: boundaries are shared, so that they add up to the duration. */
static void count_stages(struct ifd_metrics_io *m, const struct ifd_request *r)
{
    const struct ifd_job *job = &r->job;
    ifd_hist_add(&m->stages[IFD_STAGE_PARSE], between(r->began_ns, r->parsed_ns));
    ifd_hist_add(&m->stages[IFD_STAGE_TOKENIZE], between(r->parsed_ns, job->queued_ns));
    ifd_hist_add(&m->stages[IFD_STAGE_QUEUE], between(job->queued_ns, job->started_ns));
    ifd_hist_add(&m->stages[IFD_STAGE_INFER], between(job->started_ns, job->finished_ns));
}

void ifd_outcome_answer(struct ifd_conn *c, struct ifd_request *r, int code, inferd_status status)
{
    struct ifd_io *io = c->io;
    struct ifd_due *due = &c->due;
    IFD_ASSERT(!due->open);
    if (!r)
        started(io);
    else
        ifd_outcome_begin(io, r); /* a first byte that no request may begin with is one, too */
    *due = (struct ifd_due){.open = true,
                            .outcome = (uint8_t)ifd_outcome_of(status),
                            .shed = (uint8_t)shed_of(status, r != NULL),
                            .code = (int16_t)code,
                            .route = r && r->route ? r->route->path : NULL};
    if (r && r->route && r->route->codec && r->route->codec->encode) {
        due->timed = true;
        due->began_ns = r->began_ns;
        /* a job that the scheduler still has (a 504) is not ours to read */
        due->staged = status == INFERD_OK && !r->submitted && r->job.started_ns != 0;
        if (due->staged) {
            due->finished_ns = r->job.finished_ns;
            due->many = r->encoding.texts > 1;
            due->traced = r->ident.sampled && io->server->traces.on;
            if (due->traced)
                memcpy(c->trace, r->ident.trace, sizeof(c->trace));
            count_stages(&io->metrics, r);
        }
    }
    if (r)
        r->begun = false; /* from here on the answer stands for it */
}

void ifd_outcome_pending(struct ifd_conn *c)
{
    if (c->due.open && c->due.timed)
        c->due.offered_ns = ifd_clock_ns();
}

void ifd_outcome_written(struct ifd_conn *c)
{
    struct ifd_metrics_io *m = &c->io->metrics;
    struct ifd_due *due = &c->due;
    if (!due->open)
        return;
    due->open = false;
    ifd_metrics_count_answer(m, due->route, due->code);
    if (due->outcome == IFD_OUTCOME_SHED)
        ifd_counter_add(&m->shed[due->shed], 1);
    if (due->timed) {
        const uint64_t now_ns = ifd_clock_ns();
        ifd_hist_add(&m->duration[due->outcome], now_ns - due->began_ns);
        if (due->traced)
            ifd_exemplars_keep(&c->io->exemplars, &m->time_scale, c->trace, now_ns - due->began_ns,
                               c->io->date_second);
        if (due->outcome == IFD_OUTCOME_OK)
            ifd_counter_set(&m->last_ms, c->io->date_second * 1000);
        if (due->staged) {
            /* taken at once, as nearly always: one reading of the clock serves both */
            const uint64_t offered_ns = due->offered_ns ? due->offered_ns : now_ns;
            ifd_hist_add(&m->stages[IFD_STAGE_SERIALIZE], between(due->finished_ns, offered_ns));
            ifd_hist_add(&m->stages[IFD_STAGE_WRITE], now_ns - offered_ns);
            ifd_counter_add(&m->answers[due->many], 1);
        }
    }
    ended(c->io, due->outcome);
}

/* Whether something is open on the connection, which is then closed. */
static bool take_open(struct ifd_conn *c, enum ifd_lost *where)
{
    if (c->due.open) {
        *where = IFD_LOST_WRITE;
        c->due.open = false;
        return true;
    }
    if (c->request && c->request->begun) {
        *where = c->state == IFD_CONN_WAIT ? IFD_LOST_WAIT : IFD_LOST_READ;
        c->request->begun = false;
        return true;
    }
    return false;
}

void ifd_outcome_cut(struct ifd_conn *c)
{
    enum ifd_lost where = IFD_LOST_READ;
    if (!take_open(c, &where))
        return;
    if (c->io->phase == IFD_KILLED) {
        ended(c->io, IFD_OUTCOME_DRAINED);
    } else {
        ifd_counter_add(&c->io->metrics.lost[where], 1);
        ended(c->io, IFD_OUTCOME_CANCELLED);
    }
}

void ifd_outcome_fault(struct ifd_conn *c)
{
    enum ifd_lost where = IFD_LOST_READ;
    if (!take_open(c, &where))
        return;
    ended(c->io, IFD_OUTCOME_FAULT);
    ifd_log(IFD_LOG_ERROR, "request lost: no memory", IFD_STR("while", ifd_lost_names[where]));
}

void ifd_outcome_unborn(struct ifd_io *io)
{
    started(io);
    ended(io, IFD_OUTCOME_FAULT);
    ifd_log(IFD_LOG_ERROR, "request lost: no memory", IFD_STR("while", "read"));
}
