/* SPDX-License-Identifier: Apache-2.0 */
#include "server/otlp.h"

#include <inttypes.h>

#include "base/jsonout.h"
#include "inferd/inferd.h"

/* of opentelemetry-proto: SpanKind and StatusCode */
enum { KIND_INTERNAL = 1, KIND_SERVER = 2, STATUS_ERROR = 2 };

static const char *const stage_names[IFD_SPAN_STAGES] = {"parse", "tokenize", "queue", "infer",
                                                         "serialize"};

static void text_attribute(struct ifd_buf *b, const char *key, const char *value)
{
    ifd_buf_printf(b, "{\"key\":\"%s\",\"value\":{\"stringValue\":", key);
    ifd_jsonout_cstr(b, value);
    ifd_buf_add_str(b, "}}");
}

/* 64-bit integers are strings in protobuf's JSON */
static void number_attribute(struct ifd_buf *b, const char *key, uint64_t value)
{
    ifd_buf_printf(b, ",{\"key\":\"%s\",\"value\":{\"intValue\":\"%" PRIu64 "\"}}", key, value);
}

static void head(struct ifd_buf *b, const struct ifd_span *s, const char *id, const char *parent)
{
    ifd_buf_printf(b, "{\"traceId\":\"%s\",\"spanId\":\"%s\"", s->ident.trace, id);
    if (parent[0])
        ifd_buf_printf(b, ",\"parentSpanId\":\"%s\"", parent);
}

static void times(struct ifd_buf *b, int64_t epoch_ns, uint64_t from_ns, uint64_t to_ns)
{
    ifd_buf_printf(b, ",\"startTimeUnixNano\":\"%" PRId64 "\",\"endTimeUnixNano\":\"%" PRId64 "\"",
                   (int64_t)from_ns + epoch_ns,
                   (int64_t)(to_ns > from_ns ? to_ns : from_ns) + epoch_ns);
}

static void add_span(struct ifd_buf *b, const struct ifd_span *s, int64_t epoch_ns,
                     struct ifd_ident_source *ids)
{
    char id[IFD_SPAN_ID_SIZE + 1], child[IFD_SPAN_ID_SIZE + 1];
    ifd_ident_hex(ids, IFD_SPAN_ID_SIZE / 2, id);
    head(b, s, id, s->ident.parent);
    ifd_buf_printf(b, ",\"kind\":%d,\"name\":\"%s%s%s\"", KIND_SERVER, s->method,
                   s->route ? " " : "", s->route ? s->route : "");
    times(b, epoch_ns, s->began_ns, s->ended_ns);
    ifd_buf_add_str(b, ",\"attributes\":[");
    text_attribute(b, "http.request.method", s->method);
    if (s->route) {
        ifd_buf_add_char(b, ',');
        text_attribute(b, "http.route", s->route);
    }
    number_attribute(b, "http.response.status_code", (uint64_t)s->code);
    ifd_buf_add_char(b, ',');
    text_attribute(b, "inferd.request_id", s->ident.id);
    ifd_buf_add_char(b, ',');
    text_attribute(b, "inferd.outcome", s->outcome);
    if (s->staged) {
        number_attribute(b, "inferd.inputs", s->texts);
        number_attribute(b, "inferd.tokens", s->tokens);
    }
    ifd_buf_add_char(b, ']');
    if (s->code >= 500) /* what the client did wrong is no error of a server's span */
        ifd_buf_printf(b, ",\"status\":{\"code\":%d}", STATUS_ERROR);
    ifd_buf_add_char(b, '}');
    for (unsigned i = 0; s->staged && i < IFD_SPAN_STAGES; i++) {
        ifd_ident_hex(ids, IFD_SPAN_ID_SIZE / 2, child);
        ifd_buf_add_char(b, ',');
        head(b, s, child, id);
        ifd_buf_printf(b, ",\"kind\":%d,\"name\":\"%s\"", KIND_INTERNAL, stage_names[i]);
        times(b, epoch_ns, s->at_ns[i], s->at_ns[i + 1]);
        ifd_buf_add_char(b, '}');
    }
}

void ifd_otlp_body(struct ifd_buf *out, const struct ifd_otlp_resource *resource,
                   const struct ifd_span *spans, size_t count, struct ifd_ident_source *ids)
{
    ifd_buf_add_str(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    text_attribute(out, "service.name", resource->service);
    ifd_buf_add_char(out, ',');
    text_attribute(out, "service.version", INFERD_VERSION);
    ifd_buf_add_char(out, ',');
    text_attribute(out, "service.instance.id", resource->instance);
    ifd_buf_add_str(
        out, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"inferd\",\"version\":\"" INFERD_VERSION
             "\"},\"spans\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            ifd_buf_add_char(out, ',');
        add_span(out, &spans[i], resource->epoch_ns, ids);
    }
    ifd_buf_add_str(out, "]}]}]}");
}
