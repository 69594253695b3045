/* SPDX-License-Identifier: Apache-2.0 */
#include "server/stream.h"

#include <string.h>

#include "base/clock.h"
#include "base/jsonout.h"
#include "base/mem.h"
#include "server/access_log.h"
#include "server/infer.h"
#include "server/reply.h"
#include "server/route.h"

struct ifd_stream {
    struct ifd_request *request; /* the stream's own */
    struct ifd_request *child[IFD_STREAM_WINDOW];
    uint32_t first, count; /* of the ring */
    uint64_t index;        /* of the line that is answered next */
    struct ifd_buf line;   /* body bytes that are no request yet; complete lines wait for room */
    struct ifd_buf out;    /* answers that are not with the kernel */
    size_t line_max;
    uint64_t patience_ns; /* until when the held line may be */
    bool held;            /* the newest line found no room in the queue, and is not submitted yet */
    bool skipping;        /* a line that is too long, up to its end */
    bool ended;           /* the body */
    bool finished;        /* the last chunk is in `out` */
};

/* What a line's request is: one of /infer, counted as this route's. */
static const struct ifd_route line_route = {.path = "/infer/stream", .codec = &ifd_codec_native};

inferd_status ifd_stream_open(struct ifd_request *r, inferd_error *err)
{
    const struct ifd_server_config *config = &r->io->server->config;
    if (r->http.minor == 0)
        return ifd_fail(err, INFERD_HTTP_VERSION, "%s needs HTTP/1.1", r->route->path);
    struct ifd_stream *s = ifd_zalloc(sizeof(*s));
    if (!s)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for a stream");
    s->request = r;
    s->line_max = config->max_body_bytes;
    ifd_buf_init(&s->line, s->line_max + 2 * (size_t)IFD_IO_READ_BYTES);
    ifd_buf_init(&s->out, SIZE_MAX);
    ifd_http_allow_body(&r->http, UINT64_MAX); /* a line is bounded, a stream is not */
    r->stream = s;
    return INFERD_OK;
}

void ifd_stream_free(struct ifd_stream *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->count; i++) {
        struct ifd_request *child = s->child[(s->first + i) % IFD_STREAM_WINDOW];
        child->parent = NULL;
        child->conn = NULL;
        if (child->submitted)
            ifd_sched_cancel(&child->job); /* it comes back and is put away */
        else
            ifd_io_release_request(child->io, child);
    }
    ifd_buf_fini(&s->line);
    ifd_buf_fini(&s->out);
    ifd_free(s);
}

/* --- out --- */

static void add_hex(struct ifd_buf *out, size_t n)
{
    char digits[17];
    size_t at = sizeof(digits);
    do
        digits[--at] = "0123456789abcdef"[n % 16];
    while (n /= 16);
    ifd_buf_add(out, digits + at, sizeof(digits) - at);
}

static void add_chunk(struct ifd_buf *out, const struct ifd_buf *body)
{
    add_hex(out, body->size);
    ifd_buf_add_str(out, "\r\n");
    ifd_buf_add(out, body->data, body->size);
    ifd_buf_add_str(out, "\r\n");
}

/* {"index":7,"results":[...]} or {"index":7,"error":{...}}, a line. */
static void add_answer(struct ifd_stream *s, struct ifd_request *child)
{
    struct ifd_buf *body = &child->io->body;
    ifd_buf_reset(body);
    ifd_buf_printf(body, "{\"index\":%llu,", (unsigned long long)s->index++);
    if (child->error.status) {
        struct ifd_buf error;
        ifd_buf_init(&error, 65536);
        ifd_response_error(&error, &child->error, NULL);
        /* {"error":{...}}\n without its braces */
        if (error.failed || error.size < 3)
            body->failed = true;
        else
            ifd_buf_add(body, error.data + 1, error.size - 3);
        ifd_buf_fini(&error);
    } else {
        ifd_buf_add_str(body, "\"results\":");
        ifd_infer_encode(child, body);
        if (body->size > 0 && body->data[body->size - 1] == '\n')
            body->size--;
    }
    ifd_buf_add_str(body, "}\n");
    s->out.failed = s->out.failed || body->failed;
    add_chunk(&s->out, body);
}

/* All that can be answered in order. */
static void collect(struct ifd_stream *s)
{
    while (s->count > s->held && !s->child[s->first]->submitted) {
        struct ifd_request *child = s->child[s->first];
        s->first = (s->first + 1) % IFD_STREAM_WINDOW;
        s->count--;
        add_answer(s, child);
        child->parent = NULL;
        child->conn = NULL;
        ifd_io_release_request(child->io, child);
    }
    if (s->ended && s->count == 0 && s->line.size == 0 && !s->finished) {
        s->finished = true;
        ifd_buf_add_str(&s->out, "0\r\n\r\n");
    }
}

/* --- in --- */

/* A line that is a JSON string is the request {"text": it}. */
static inferd_status decode(struct ifd_request *child, const char *line, size_t n,
                            inferd_error *err)
{
    static const char open[] = "{\"text\":";
    size_t at = 0;
    while (at < n && (line[at] == ' ' || line[at] == '\t'))
        at++;
    const bool bare = at < n && line[at] == '"';
    inferd_status st = INFERD_OK;
    ifd_decode_begin(&child->decode, &ifd_codec_native);
    if (bare)
        st = ifd_decode_feed(&child->decode, open, sizeof(open) - 1, err);
    if (!st)
        st = ifd_decode_feed(&child->decode, line, n, err);
    if (!st && bare)
        st = ifd_decode_feed(&child->decode, "}", 1, err);
    return st ? st : ifd_decode_finish(&child->decode, err);
}

/* Into the queue, or held for it. */
static void enqueue(struct ifd_stream *s, struct ifd_request *child)
{
    inferd_error err;
    const uint64_t now = ifd_clock_ns();
    child->job.patient = now < s->patience_ns;
    const inferd_status st = ifd_infer_enqueue(child->io, child, now, &err);
    s->held = st == INFERD_OVERLOADED && child->job.patient;
    if (st && !s->held)
        child->error = err;
}

static struct ifd_request *newest(const struct ifd_stream *s)
{
    return s->child[(s->first + s->count - 1) % IFD_STREAM_WINDOW];
}

/* False when out of memory. */
static bool start(struct ifd_stream *s, const char *line, size_t n)
{
    struct ifd_io *io = s->request->io;
    inferd_error err = {.status = INFERD_OK};
    struct ifd_request *child = ifd_request_take(&io->pool, &io->server->config);
    if (!child)
        return false;
    child->io = io;
    child->conn = s->request->conn;
    child->parent = s->request;
    child->route = &line_route;
    child->began_ns = ifd_clock_ns();
    s->child[(s->first + s->count++) % IFD_STREAM_WINDOW] = child;
    if (s->skipping) {
        (void)ifd_fail(&child->error, INFERD_BODY_TOO_LARGE,
                       "the line is longer than --max-body-bytes %zu", s->line_max);
    } else if (decode(child, line, n, &err) || ifd_infer_prepare(io, child, true, &err)) {
        child->error = err;
    } else {
        s->patience_ns = child->prepared_ns + child->timeout_ms * (uint64_t)1000000;
        enqueue(s, child);
    }
    s->skipping = false;
    return true;
}

static bool has_room(const struct ifd_conn *c, const struct ifd_stream *s)
{
    return s->count < IFD_STREAM_WINDOW && !s->held && !c->writing &&
           s->out.size < IFD_STREAM_OUT_BYTES;
}

/* Lines that are complete, as far as there is room. False when out of memory. */
static bool take_lines(struct ifd_conn *c, struct ifd_stream *s)
{
    size_t at = 0;
    bool good = true;
    while (good && at < s->line.size && has_room(c, s)) {
        const char *from = s->line.data + at;
        const char *end = memchr(from, '\n', s->line.size - at);
        size_t n = end ? (size_t)(end - from) : s->line.size - at;
        if (!end && !s->ended) {
            if (n > s->line_max) { /* its end is waited for, its bytes are not kept */
                s->skipping = true;
                at = s->line.size;
            }
            break;
        }
        at += n + (end != NULL);
        if (n > s->line_max)
            s->skipping = true;
        if (n > 0 && from[n - 1] == '\r')
            n--;
        if (n > 0 || s->skipping) /* an empty line is nobody's */
            good = start(s, from, n);
        collect(s);
    }
    ifd_buf_consume(&s->line, at);
    return good;
}

/* --- both --- */

static void finish(struct ifd_conn *c, struct ifd_stream *s)
{
    struct ifd_request *r = s->request;
    ifd_outcome_answer(c, r, 200, INFERD_OK);
    ifd_access_log(c, r, ifd_ident_id(&r->ident, &c->io->ids), NULL);
    ifd_reply_stream_over(c);
}

/* Take lines, write answers, and say by the connection's state whether more should be read. */
static void go_on(struct ifd_conn *c)
{
    struct ifd_stream *s = c->request->stream;
    if (c->state == IFD_CONN_CLOSED)
        return;
    c->answers++; /* progress: the time-out begins anew */
    if (s->held)
        enqueue(s, newest(s));
    for (size_t before = SIZE_MAX; s->line.size < before && !c->writing;) {
        before = s->line.size;
        collect(s); /* first: what is done makes room */
        const bool good = take_lines(c, s);
        collect(s);
        if (!good || s->out.failed) {
            ifd_outcome_fault(c);
            ifd_conn_close(c, NULL);
            return;
        }
        if (s->out.size == 0)
            continue;
        ifd_reply_stream_bytes(c, s->out.data, s->out.size);
        if (c->state == IFD_CONN_CLOSED)
            return;
        ifd_buf_reset(&s->out); /* room again: on with the lines that wait */
    }
    if (s->finished && !c->writing) {
        finish(c, s);
        return;
    }
    /* with room, what is left is a line whose end has not come: it must be read, however long */
    c->state = s->ended || !has_room(c, s) ? IFD_CONN_STREAM : IFD_CONN_BODY;
}

void ifd_stream_body(struct ifd_conn *c)
{
    struct ifd_request *r = c->request;
    struct ifd_stream *s = r->stream;
    if (!r->stream_begun) {
        r->stream_begun = true;
        ifd_reply_stream_head(c);
        if (c->state == IFD_CONN_CLOSED)
            return;
    }
    ifd_buf_add(&s->line, r->http.body, r->http.body_size);
    if (s->line.failed) { /* cannot be: what is read is bounded before */
        ifd_outcome_fault(c);
        ifd_conn_close(c, NULL);
        return;
    }
    go_on(c);
}

void ifd_stream_end(struct ifd_conn *c)
{
    struct ifd_request *r = c->request;
    if (!r->stream_begun) {
        r->stream_begun = true;
        ifd_reply_stream_head(c);
        if (c->state == IFD_CONN_CLOSED)
            return;
    }
    r->stream->ended = true;
    go_on(c);
}

void ifd_stream_child_done(struct ifd_request *child)
{
    struct ifd_conn *c = child->parent->conn;
    if (child->job.status)
        (void)ifd_fail(&child->error, child->job.status,
                       "the line waited longer than its time-out allows");
    go_on(c);
    ifd_conn_resume(c);
}

void ifd_stream_written(struct ifd_conn *c)
{
    go_on(c);
}

bool ifd_stream_is_held(const struct ifd_stream *s)
{
    return s->held;
}

void ifd_stream_retry(struct ifd_conn *c)
{
    go_on(c);
    ifd_conn_resume(c);
}
