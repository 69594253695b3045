/* SPDX-License-Identifier: Apache-2.0 */
#include "server/reply.h"

#include <string.h>

#include "server/access_log.h"
#include "server/route.h"
#include "server/stream.h"
#include "server/tls.h"
#include "server/traces.h"

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct ifd_conn *c = req->data;
    c->shut = true;
    if (c->state == IFD_CONN_LINGER && (c->eof || status < 0))
        ifd_conn_close(c, NULL);
}

/* Everything is answered: tell the client that no more comes, and wait for it to say the same. A
 * close with unread bytes would reset the connection and could destroy the answer on its way. */
static void linger(struct ifd_conn *c)
{
    c->state = IFD_CONN_LINGER;
    ifd_buf_fini(&c->stash);
    if (c->tls) {
        ifd_tls_bye(c->tls);
        c->said_bye = true;
        (void)ifd_conn_flush(c);
    }
    c->pending_op.shutdown.data = c;
    if (uv_shutdown(&c->pending_op.shutdown, (uv_stream_t *)&c->tcp, on_shutdown) != 0)
        ifd_conn_close(c, NULL);
}

/* The answer is with the kernel: the connection goes on, or ends. */
static void answered(struct ifd_conn *c)
{
    ifd_outcome_written(c);
    if (c->close_after)
        linger(c);
    else
        c->state = IFD_CONN_IDLE;
}

static void on_written(uv_write_t *req, int status)
{
    struct ifd_conn *c = req->data;
    c->writing = false;
    if (c->state == IFD_CONN_CLOSED)
        return;
    if (status < 0) {
        ifd_conn_close(c, NULL);
        return;
    }
    ifd_buf_reset(&c->out);
    if (c->request && c->request->stream)
        ifd_stream_written(c);
    else
        answered(c);
    ifd_conn_resume(c);
}

/* Write what the kernel takes at once; keep a copy of the rest and hold the connection until it is
 * gone. At most one write is open, so a client that does not read costs one answer. */
static void send_bytes(struct ifd_conn *c, const char *bytes, size_t n)
{
    if (c->tls) {
        if (!ifd_tls_write(c->tls, bytes, n)) {
            ifd_outcome_fault(c);
            ifd_conn_close(c, NULL);
            return;
        }
        n = ifd_tls_pending(c->tls, &bytes);
    }
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)n);
    int sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    if (sent == UV_EAGAIN)
        sent = 0;
    if (sent < 0) {
        ifd_conn_close(c, NULL);
        return;
    }
    ifd_buf_reset(&c->out);
    if ((size_t)sent < n)
        ifd_buf_add(&c->out, bytes + sent, n - (size_t)sent);
    if (c->tls)
        ifd_tls_sent(c->tls);
    if ((size_t)sent == n)
        return;
    buf = uv_buf_init(c->out.data, (unsigned)c->out.size);
    c->pending_op.write.data = c;
    if (c->out.failed ||
        uv_write(&c->pending_op.write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) != 0) {
        ifd_outcome_fault(c);
        ifd_conn_close(c, NULL);
        return;
    }
    c->writing = true;
    ifd_outcome_pending(c);
}

/* What the answer in hand is called. */
static const char *request_id(struct ifd_conn *c)
{
    struct ifd_io *io = c->io;
    return ifd_ident_id(c->request ? &c->request->ident : &io->stranger, &io->ids);
}

static const char *media_type(const struct ifd_request *r, const inferd_error *error)
{
    if (!error && r && r->media_type)
        return r->media_type;
    return !error && r && r->route && r->route->media_type ? r->route->media_type
                                                           : "application/json";
}

/* The origin that is told that it may read this answer. */
static const char *cors_origin(const struct ifd_io *io, const struct ifd_request *r)
{
    const char *allowed = io->server->config.cors_origin;
    const char *origin = allowed && r && r->has_head ? ifd_http_header(&r->http, "origin") : NULL;
    if (!origin)
        return NULL;
    return strcmp(allowed, "*") == 0 || strcmp(allowed, origin) == 0 ? allowed : NULL;
}

/* Bytes that were read before this answer: the request behind it, or its beginning. */
static bool has_more(const struct ifd_conn *c)
{
    return c->pending > 0 || (c->tls && ifd_tls_has_input(c->tls));
}

/* `error` NULL: a page or a result. */
static void reply(struct ifd_conn *c, int status, const inferd_error *error)
{
    struct ifd_io *io = c->io;
    struct ifd_request *r = c->request;
    const bool retry = status == 429 || status == 503;
    bool keep = r && r->http.keep_alive && !c->close_after;
    /* a draining server takes its leave with the last answer that it owes */
    if (io->phase >= IFD_DRAINING && !has_more(c))
        keep = false;
    const struct ifd_response head = {
        .status = status,
        .media_type = media_type(r, error),
        .headers = r && !error && r->headers[0] ? r->headers : NULL,
        .cors_origin = cors_origin(io, r),
        .preflight_allow = r && r->preflight && !error ? r->route->allow : NULL,
        .allow = r ? r->allow : NULL,
        .retry_after_s = !retry                  ? 0
                         : r && r->retry_after_s ? r->retry_after_s
                                                 : 1,
        .request_id = request_id(c),
        .model_digest =
            status == 200 && r && r->job.engine ? ifd_engine_label(r->job.engine) : NULL,
        .keep_alive = keep,
        .say_keep_alive = r && r->http.minor == 0,
        .head_only = r && strcmp(r->http.method, "HEAD") == 0,
        .body_size = io->body.size,
        .date = ifd_io_date(io),
    };
    ifd_buf_reset(&io->out);
    ifd_response_head(&io->out, &head);
    if (!head.head_only)
        ifd_buf_add(&io->out, io->body.data, io->body.size);
    if (status >= 500)
        ifd_io_count(&io->counters.answered_5xx, 1);
    else if (status >= 400)
        ifd_io_count(&io->counters.answered_4xx, 1);
    ifd_outcome_answer(c, r, status, error ? error->status : INFERD_OK);
    c->close_after = !keep;
    c->answers++;
    c->request = NULL;
    if (io->body.failed || io->out.failed) {
        ifd_outcome_fault(c);
        ifd_conn_close(c, NULL);
    } else {
        send_bytes(c, io->out.data, io->out.size);
    }
    if (c->state != IFD_CONN_CLOSED) {
        if (c->writing)
            c->state = IFD_CONN_WRITE;
        else
            answered(c);
    }
    ifd_access_log(c, r, head.request_id, error);
    ifd_traces_record(c, r);
    if (r && r->submitted)
        r->conn = NULL; /* a 504: the scheduler still has it */
    else if (r)
        ifd_io_release_request(io, r);
}

/* --- streams --- */

void ifd_reply_stream_head(struct ifd_conn *c)
{
    struct ifd_io *io = c->io;
    const struct ifd_request *r = c->request;
    const bool keep = r->http.keep_alive && !c->close_after && io->phase < IFD_DRAINING;
    const struct ifd_response head = {.status = 200,
                                      .media_type = IFD_STREAM_MEDIA_TYPE,
                                      .cors_origin = cors_origin(io, r),
                                      .request_id = request_id(c),
                                      .keep_alive = keep,
                                      .chunked = true,
                                      .date = ifd_io_date(io)};
    c->close_after = !keep;
    ifd_buf_reset(&io->out);
    ifd_response_head(&io->out, &head);
    if (io->out.failed) {
        ifd_outcome_fault(c);
        ifd_conn_close(c, NULL);
        return;
    }
    send_bytes(c, io->out.data, io->out.size);
}

void ifd_reply_stream_bytes(struct ifd_conn *c, const char *bytes, size_t n)
{
    send_bytes(c, bytes, n);
}

void ifd_reply_stream_over(struct ifd_conn *c)
{
    struct ifd_request *r = c->request;
    ifd_stream_free(r->stream);
    r->stream = NULL;
    c->request = NULL;
    ifd_io_release_request(c->io, r);
    answered(c);
}

void ifd_reply_send(struct ifd_conn *c, int status)
{
    reply(c, status, NULL);
}

/* The route's protocol may have a shape of its own. */
static ifd_error_encoder *encoder_of(const struct ifd_request *r)
{
    if (!r || !r->route)
        return NULL;
    return r->route->codec ? r->route->codec->error : r->route->error;
}

void ifd_reply_error(struct ifd_conn *c, const inferd_error *error)
{
    if (!c->request)
        ifd_ident_clear(&c->io->stranger);
    if (c->request && c->request->stream_begun) {
        ifd_conn_close(c, NULL); /* a 200 is out: that its last chunk is missing tells the client */
        return;
    }
    ifd_error_encoder *encode = encoder_of(c->request);
    ifd_buf_reset(&c->io->body);
    if (encode)
        encode(error, ifd_status_http(error->status), request_id(c), &c->io->body);
    else
        ifd_response_error(&c->io->body, error, request_id(c));
    reply(c, ifd_status_http(error->status), error);
}

void ifd_reply_error_and_close(struct ifd_conn *c, const inferd_error *error)
{
    c->close_after = true;
    ifd_reply_error(c, error);
}
