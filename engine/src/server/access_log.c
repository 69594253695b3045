/* SPDX-License-Identifier: Apache-2.0 */
#include "server/access_log.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/outcome.h"
#include "server/route.h"

#define TARGET_BYTES 160u

static double ms(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e6 : 0.0;
}

static const char *target_of(const struct ifd_request *r, char out[TARGET_BYTES])
{
    snprintf(out, TARGET_BYTES, "%s", r && r->has_head ? ifd_http_target(&r->http) : "-");
    return out;
}

static const char *method_of(const struct ifd_request *r)
{
    return r && r->http.method[0] ? r->http.method : "-";
}

static const char *or_dash(const char *s)
{
    return s && s[0] ? s : "-";
}

static const char *route_of(const struct ifd_request *r)
{
    return r && r->route ? r->route->path : "other";
}

static void log_fault(const struct ifd_request *r, const char *request_id,
                      const inferd_error *error)
{
    ifd_log(IFD_LOG_ERROR, "request failed", IFD_STR("id", request_id),
            IFD_STR("trace", or_dash(r ? r->ident.trace : NULL)), IFD_STR("route", route_of(r)),
            IFD_STR("type", inferd_status_type(error->status)), IFD_STR("message", error->message));
}

void ifd_access_log(const struct ifd_conn *c, const struct ifd_request *r, const char *request_id,
                    const inferd_error *error)
{
    const struct ifd_due *due = &c->due;
    if (error && (due->outcome == IFD_OUTCOME_FAULT || error->status == INFERD_NO_MEMORY))
        log_fault(r, request_id, error);
    if (!c->io->server->config.access_log)
        return;
    char target[TARGET_BYTES];
    const uint64_t now_ns = ifd_clock_ns();
    const uint64_t offered_ns = due->offered_ns ? due->offered_ns : now_ns;
    const struct ifd_job *job = r && due->staged ? &r->job : NULL;
    const uint32_t texts = r ? r->job.texts : 0;
    /* still open: the client has not taken all of it, and may never do so */
    const char *outcome = due->open ? "writing" : ifd_outcome_names[due->outcome];
    if (c->state == IFD_CONN_CLOSED)
        outcome = ifd_outcome_names[IFD_OUTCOME_CANCELLED];
    ifd_log(IFD_LOG_INFO, "request", IFD_STR("id", request_id),
            IFD_STR("trace", or_dash(r ? r->ident.trace : NULL)), IFD_STR("method", method_of(r)),
            IFD_STR("target", target_of(r, target)), IFD_STR("route", route_of(r)),
            IFD_U64("status", (uint64_t)due->code), IFD_STR("outcome", outcome),
            IFD_U64("inputs", texts), IFD_U64("tokens", texts ? r->encoding.offsets[texts] : 0),
            IFD_F64("ms", r ? ms(r->began_ns, now_ns) : 0.0),
            IFD_F64("parse_ms", job ? ms(r->began_ns, r->parsed_ns) : 0.0),
            IFD_F64("tokenize_ms", job ? ms(r->parsed_ns, job->queued_ns) : 0.0),
            IFD_F64("queue_ms", job ? ms(job->queued_ns, job->started_ns) : 0.0),
            IFD_F64("infer_ms", job ? ms(job->started_ns, job->finished_ns) : 0.0),
            IFD_F64("serialize_ms", job ? ms(job->finished_ns, offered_ns) : 0.0),
            IFD_F64("write_ms", ms(offered_ns, now_ns)));
}

void ifd_access_log_cut(const struct ifd_conn *c)
{
    const struct ifd_request *r = c->request;
    if (!c->io->server->config.access_log || !r || !r->begun)
        return;
    char target[TARGET_BYTES];
    const bool drained = c->io->phase == IFD_KILLED;
    ifd_log(IFD_LOG_INFO, "request", IFD_STR("id", or_dash(r->ident.id)),
            IFD_STR("trace", or_dash(r->ident.trace)), IFD_STR("method", method_of(r)),
            IFD_STR("target", target_of(r, target)), IFD_STR("route", route_of(r)),
            IFD_U64("status", 0),
            IFD_STR("outcome",
                    ifd_outcome_names[drained ? IFD_OUTCOME_DRAINED : IFD_OUTCOME_CANCELLED]),
            IFD_U64("inputs", r->job.texts), IFD_F64("ms", ms(r->began_ns, ifd_clock_ns())));
}
