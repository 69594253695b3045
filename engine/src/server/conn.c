/* SPDX-License-Identifier: Apache-2.0 */
#include "server/conn.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/access_log.h"
#include "server/admin.h"
#include "server/infer.h"
#include "server/models.h"
#include "server/reply.h"
#include "server/route.h"
#include "server/tls.h"
#include "server/tokens.h"

/* Reading stops when this much waits behind the request in hand. */
#define STASH_PAUSE_BYTES 16384u
/* With one read of cipher text there may be a record that was not complete before. */
#define STASH_BYTES_MAX (STASH_PAUSE_BYTES + IFD_IO_READ_BYTES + 2 * IFD_TLS_RECORD_BYTES)
/* Kept by an idle connection; more is freed. */
#define IDLE_BYTES_MAX 1024u
/* How much of a closing connection is read on for the client to take the answer. */
#define LINGER_BYTES (256u << 10)
/* Above max_connections, refusals may linger in this many more. */
#define REFUSALS_MAX 64u

static void settle(struct ifd_conn *c);

/* --- the end --- */

bool ifd_conn_flush(struct ifd_conn *c)
{
    const char *bytes;
    const size_t n = c->writing ? 0 : ifd_tls_pending(c->tls, &bytes);
    if (n == 0)
        return true;
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)n);
    const int sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    ifd_tls_sent(c->tls);
    return sent == (int)n;
}

static void on_closed(uv_handle_t *handle)
{
    struct ifd_conn *c = (struct ifd_conn *)handle;
    struct ifd_io *io = c->io;
    ifd_buf_fini(&c->stash);
    ifd_buf_fini(&c->out);
    ifd_tls_free(c->tls);
    ifd_free(c);
    io->connections--;
    ifd_io_maybe_finish(io);
}

void ifd_conn_close(struct ifd_conn *c, bool *cut)
{
    struct ifd_io *io = c->io;
    if (c->state == IFD_CONN_CLOSED)
        return;
    if (cut)
        *cut = c->state >= IFD_CONN_HEAD && c->state <= IFD_CONN_WRITE;
    ifd_access_log_cut(c);
    ifd_outcome_cut(c);
    c->state = IFD_CONN_CLOSED;
    io->open--;
    ifd_counter_add(&io->metrics.closed, 1);
    if (c->request) {
        c->request->conn = NULL;
        if (c->request->submitted)
            ifd_sched_cancel(&c->request->job); /* it comes back through take_completed */
        else
            ifd_io_release_request(io, c->request);
        c->request = NULL;
    }
    if (c->tls && !c->writing && !c->said_bye) { /* the kernel takes it, or not */
        ifd_tls_bye(c->tls);
        (void)ifd_conn_flush(c);
    }
    ifd_wheel_disarm(&io->wheel, &c->timer);
    ifd_ring_remove(&c->all);
    ifd_ring_remove(&c->evictable);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* --- requests --- */

static void begin_decode(struct ifd_request *r)
{
    uint32_t size = 0;
    const char *said = ifd_http_header(&r->http, "inference-header-content-length");
    ifd_decode_begin(&r->decode, r->route->codec);
    if (!said || !r->route->codec->takes_binary)
        return;
    if (ifd_codec_number(said, strlen(said), 99999999, &size))
        ifd_decode_json_size(&r->decode, size);
    else
        (void)ifd_fail(&r->error, INFERD_INVALID_REQUEST,
                       "Inference-Header-Content-Length must be the bytes of the body's JSON");
}

static void on_head(struct ifd_conn *c)
{
    struct ifd_request *r = c->request;
    c->state = IFD_CONN_BODY;
    r->has_head = true;
    ifd_io_count(&c->io->counters.requests, 1);
    ifd_ident_take(&r->ident, &r->http, &c->io->ids);
    ifd_route_request(r);
    const bool waits = r->http.expect_continue && r->http.has_length;
    if (r->error.status) {
        /* Nobody knows whether a client that waits will send the body after a refusal, so what
         * follows could be body or request: close. */
        if (waits)
            ifd_reply_error_and_close(c, &r->error);
        return; /* otherwise the body is read and dropped, and answered in its turn */
    }
    if (waits) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        bool nothing = false;
        if (!ifd_conn_say(c, go_on, sizeof(go_on) - 1, &nothing) && !nothing) {
            ifd_conn_close(c, NULL); /* a part of it, or the client is gone */
            return;
        }
    }
    if (r->route->codec && !r->preflight)
        begin_decode(r);
}

static void on_body(struct ifd_request *r)
{
    inferd_error err;
    if (r->error.status || r->preflight)
        return;
    if (r->route->admin)
        ifd_admin_body(r);
    if (!r->route->codec)
        return;
    if (ifd_decode_feed(&r->decode, r->http.body, r->http.body_size, &err) != INFERD_OK)
        r->error = err;
}

static void on_admin_request(struct ifd_conn *c)
{
    inferd_error err;
    ifd_buf_reset(&c->io->body);
    if (ifd_admin_request(c->io, c->request, &err)) {
        ifd_reply_error(c, &err);
    } else if (c->request->submitted) {
        c->state = IFD_CONN_WAIT; /* for the loader */
        c->request->timeout_ms = IFD_ADMIN_TIMEOUT_MS;
        c->request->job.deadline_ns = ifd_clock_ns() + IFD_ADMIN_TIMEOUT_MS * (uint64_t)1000000;
    } else {
        ifd_reply_send(c, 200);
    }
}

/* The loader has done what an admin request asked for, or says why not. */
static void admin_done(struct ifd_conn *c)
{
    inferd_error err = c->request->error;
    ifd_buf_reset(&c->io->body);
    if (err.status) {
        ifd_reply_error(c, &err);
    } else {
        ifd_models_report(&c->io->server->models, &c->io->body);
        ifd_reply_send(c, 200);
    }
    ifd_conn_resume(c);
}

static void on_tokenize(struct ifd_conn *c)
{
    struct ifd_request *r = c->request;
    inferd_error err;
    ifd_buf_reset(&c->io->body);
    if (ifd_decode_finish(&r->decode, &err) || ifd_tokens_answer(c->io, r, &c->io->body, &err))
        ifd_reply_error(c, &err);
    else
        ifd_reply_send(c, 200);
}

static void on_request(struct ifd_conn *c)
{
    struct ifd_request *r = c->request;
    if (!r->error.status && r->preflight) {
        ifd_buf_reset(&c->io->body);
        ifd_reply_send(c, 204);
        return;
    }
    if (!r->error.status && r->route->admin) {
        on_admin_request(c);
        return;
    }
    if (!r->error.status && (r->route->page || r->route->file)) {
        ifd_buf_reset(&c->io->body);
        ifd_reply_send(c, ifd_route_page(c->io, r));
        return;
    }
    inferd_error err = r->error;
    if (!err.status && !r->route->codec->encode) {
        on_tokenize(c);
        return;
    }
    if (!err.status && !ifd_decode_finish(&r->decode, &err) && !ifd_infer_submit(c->io, r, &err)) {
        c->state = IFD_CONN_WAIT;
        return;
    }
    ifd_reply_error(c, &err);
}

/* Feed bytes until they are used up or a request is under way. Returns how many were taken. */
static size_t consume(struct ifd_conn *c, const char *bytes, size_t n)
{
    struct ifd_io *io = c->io;
    size_t at = 0;
    while (c->state <= IFD_CONN_BODY) {
        if (!c->request) {
            if (at == n)
                break;
            c->request = ifd_request_take(&io->pool, &io->server->config);
            if (!c->request) {
                ifd_outcome_unborn(io);
                ifd_conn_close(c, NULL);
                break;
            }
            c->request->io = io;
            c->request->conn = c;
            c->request->began_ns = ifd_clock_ns();
            c->state = IFD_CONN_HEAD;
        }
        struct ifd_request *r = c->request;
        inferd_error err;
        size_t used = 0;
        enum ifd_http_event event = ifd_http_next(&r->http, bytes + at, n - at, &used, &err);
        at += used;
        if (!ifd_http_idle(&r->http))
            ifd_outcome_begin(io, r);
        if (event == IFD_HTTP_MORE)
            break;
        c->pending = n - at;
        if (event == IFD_HTTP_HEAD)
            on_head(c);
        else if (event == IFD_HTTP_BODY)
            on_body(r);
        else if (event == IFD_HTTP_DONE)
            on_request(c);
        else
            ifd_reply_error_and_close(c, &err);
    }
    return at;
}

void ifd_conn_resume(struct ifd_conn *c)
{
    while (c->state <= IFD_CONN_BODY && c->stash.size > 0)
        ifd_buf_consume(&c->stash, consume(c, c->stash.data, c->stash.size));
    settle(c);
}

void ifd_conn_job_done(struct ifd_conn *c)
{
    struct ifd_request *r = c->request;
    c->pending = c->stash.size;
    if (r->route->admin) {
        admin_done(c);
        return;
    }
    if (r->job.status == INFERD_OK) {
        ifd_buf_reset(&c->io->body);
        ifd_infer_encode(r, &c->io->body);
        ifd_shadow_choose(c->io, r);
        ifd_reply_send(c, 200);
    } else {
        inferd_error err;
        ifd_conn_fail_deadline(c, r->job.status, &err);
        ifd_reply_error(c, &err);
    }
    ifd_conn_resume(c);
}

/* --- bytes in --- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct ifd_conn *c = (struct ifd_conn *)handle;
    *buf = uv_buf_init(c->io->read_buffer, IFD_IO_READ_BYTES);
}

static void take_plain(struct ifd_conn *c, const char *bytes, size_t size)
{
    size_t used = c->stash.size > 0 ? 0 : consume(c, bytes, size);
    if (c->state == IFD_CONN_CLOSED || c->state == IFD_CONN_LINGER || used == size)
        return;
    ifd_buf_add(&c->stash, bytes + used, size - used);
    if (c->stash.failed) {
        ifd_outcome_fault(c);
        ifd_conn_close(c, NULL);
    }
}

static void take_cipher(struct ifd_conn *c, const char *bytes, size_t size)
{
    struct ifd_io *io = c->io;
    bool was_open = ifd_tls_is_open(c->tls);
    enum ifd_tls_result result = ifd_tls_put(c->tls, bytes, size) ? IFD_TLS_DATA : IFD_TLS_FAILED;
    while (result == IFD_TLS_DATA) {
        size_t n = 0;
        result = ifd_tls_get(c->tls, io->plain, &n);
        if (!was_open && ifd_tls_is_open(c->tls)) {
            was_open = true;
            ifd_counter_add(&io->metrics.handshakes[0], 1);
            c->armed_answers = UINT64_MAX - 1; /* from now on the time of an idle connection */
        }
        if (result == IFD_TLS_DATA)
            take_plain(c, io->plain, n);
        if (c->state == IFD_CONN_CLOSED || c->state == IFD_CONN_LINGER)
            return;
    }
    if (!ifd_conn_flush(c))      /* an alert, too */
        result = IFD_TLS_FAILED; /* a few KiB on a new connection: the client does not read */
    if (result == IFD_TLS_FAILED && !was_open)
        ifd_counter_add(&io->metrics.handshakes[1], 1);
    if (result == IFD_TLS_FAILED)
        ifd_conn_close(c, NULL);
    else if (result == IFD_TLS_END)
        c->eof = true;
}

bool ifd_conn_say(struct ifd_conn *c, const char *bytes, size_t n, bool *nothing)
{
    if (nothing)
        *nothing = false;
    if (c->tls) {
        if (c->writing || !ifd_tls_write(c->tls, bytes, n))
            return false;
        n = ifd_tls_pending(c->tls, &bytes);
    }
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)n);
    const int sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    if (c->tls)
        ifd_tls_sent(c->tls); /* records cannot be taken back: none of it means a part of it */
    else if (nothing)
        *nothing = sent == UV_EAGAIN;
    return sent == (int)n;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct ifd_conn *c = (struct ifd_conn *)stream;
    if (n == 0 || c->state == IFD_CONN_CLOSED)
        return;
    if (n == UV_EOF) {
        c->eof = true;
        c->reading = false; /* libuv stops by itself */
        settle(c);
        return;
    }
    if (n < 0) {
        ifd_conn_close(c, NULL); /* the client is gone: its job is cancelled */
        return;
    }
    if (c->state == IFD_CONN_LINGER) {
        c->lingered += (uint32_t)n;
        if (c->lingered > LINGER_BYTES)
            ifd_conn_close(c, NULL);
        return;
    }
    if (c->tls)
        take_cipher(c, buf->base, (size_t)n);
    else
        take_plain(c, buf->base, (size_t)n);
    settle(c);
}

static void set_reading(struct ifd_conn *c, bool on)
{
    if (on == c->reading)
        return;
    c->reading = on;
    if (!on)
        uv_read_stop((uv_stream_t *)&c->tcp);
    else if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
        ifd_conn_close(c, NULL);
}

/* --- between events --- */

/* The client has shut its side: what it asked for before that is still answered. */
static void settle_eof(struct ifd_conn *c)
{
    if (c->state == IFD_CONN_WAIT)
        ifd_conn_arm(c); /* it may have gone: look after it */
    if (c->state > IFD_CONN_BODY)
        return;
    if (!c->request || ifd_http_idle(&c->request->http)) {
        ifd_conn_close(c, NULL);
        return;
    }
    inferd_error err;
    (void)ifd_fail(&err, INFERD_INVALID_HTTP, "the connection ended inside the request's %s",
                   c->state == IFD_CONN_HEAD ? "head" : "body");
    ifd_reply_error_and_close(c, &err);
}

static void trim(struct ifd_buf *b, size_t bytes_max)
{
    if (b->size == 0 && b->capacity > IDLE_BYTES_MAX) {
        ifd_buf_fini(b);
        ifd_buf_init(b, bytes_max);
    }
}

/* After every event: timers, lists, memory and reading follow the state that the connection is in.
 */
static void settle(struct ifd_conn *c)
{
    struct ifd_io *io = c->io;
    if (c->state == IFD_CONN_CLOSED)
        return;
    if (c->eof)
        settle_eof(c);
    if (c->state == IFD_CONN_CLOSED)
        return;
    if (c->state == IFD_CONN_LINGER && c->eof && c->shut) {
        ifd_conn_close(c, NULL);
        return;
    }
    if (c->state != c->armed_state || c->answers != c->armed_answers) {
        c->armed_state = c->state;
        c->armed_answers = c->answers;
        ifd_conn_arm(c);
        ifd_ring_remove(&c->evictable);
        if (c->state == IFD_CONN_IDLE || c->state == IFD_CONN_LINGER)
            ifd_ring_append(&io->evictable, &c->evictable);
        if (c->state == IFD_CONN_IDLE) {
            trim(&c->stash, STASH_BYTES_MAX);
            trim(&c->out, SIZE_MAX);
        }
    }
    set_reading(c, !c->eof && c->stash.size < STASH_PAUSE_BYTES);
}

/* --- the beginning --- */

static void refuse(struct ifd_conn *c)
{
    inferd_error err;
    if (c->tls) { /* nothing can be said before a handshake */
        ifd_conn_close(c, NULL);
        return;
    }
    (void)ifd_fail(&err, INFERD_OVERLOADED, "all --max-connections %u are busy; retry later",
                   c->io->server->config.max_connections);
    ifd_reply_error_and_close(c, &err);
}

static struct ifd_conn *conn_new(struct ifd_io *io, bool local)
{
    struct ifd_conn *c = ifd_zalloc(sizeof(*c));
    if (!c)
        return NULL;
    c->io = io;
    c->armed_answers = UINT64_MAX;
    ifd_buf_init(&c->stash, STASH_BYTES_MAX);
    ifd_buf_init(&c->out, SIZE_MAX);
    c->local = local;
    if ((local ? uv_pipe_init(&io->loop, &c->pipe, 0) : uv_tcp_init(&io->loop, &c->tcp)) != 0) {
        ifd_free(c);
        return NULL;
    }
    io->connections++;
    io->open++;
    ifd_counter_add(&io->metrics.opened, 1);
    ifd_ring_append(&io->conns, &c->all);
    return c;
}

/* An IPv4 address, an IPv6 network of /64, or the user behind a Unix socket. */
static uint64_t client_of(const struct ifd_conn *c)
{
    struct sockaddr_storage a = {0};
    struct ucred user;
    socklen_t size = sizeof(user);
    int length = sizeof(a);
    uint64_t client = 0;
    uv_os_fd_t fd;
    if (c->local)
        return uv_fileno((const uv_handle_t *)&c->pipe, &fd) == 0 &&
                       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &size) == 0
                   ? UINT64_C(1) << 40 | user.uid
                   : UINT64_C(1) << 40;
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&a, &length) != 0)
        return 0;
    if (a.ss_family == AF_INET)
        return UINT64_C(1) << 41 | ((const struct sockaddr_in *)&a)->sin_addr.s_addr;
    memcpy(&client, &((const struct sockaddr_in6 *)&a)->sin6_addr, sizeof(client));
    return client;
}

/* The socket is in c->tcp. */
static void conn_begin(struct ifd_conn *c)
{
    struct ifd_io *io = c->io;
    ifd_io_count(&io->counters.connections, 1);
    if (!c->local)
        uv_tcp_nodelay(&c->tcp, 1);
    if (io->server->rate)
        c->client = client_of(c);
    if (io->server->config.tls_cert && !c->local && !(c->tls = ifd_tls_accept(io->server))) {
        ifd_conn_close(c, NULL);
        return;
    }
    if (io->open > io->open_max) {
        if (!ifd_ring_is_empty(&io->evictable))
            ifd_conn_close(ifd_conn_of_evictable(io->evictable.next), NULL);
        else if (io->open > io->open_max + REFUSALS_MAX)
            ifd_conn_close(c, NULL);
        else
            refuse(c);
    }
    settle(c);
}

void ifd_conn_accept(struct ifd_io *io, uv_stream_t *listener)
{
    struct ifd_conn *c = conn_new(io, listener->type == UV_NAMED_PIPE);
    if (!c)
        ifd_io_reject(io, listener);
    else if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0)
        ifd_conn_close(c, NULL);
    else
        conn_begin(c);
}

void ifd_conn_adopt(struct ifd_io *io, int fd, bool local)
{
    struct ifd_conn *c = conn_new(io, local);
    if (!c) {
        close(fd);
        return;
    }
    if ((local ? uv_pipe_open(&c->pipe, fd) : uv_tcp_open(&c->tcp, fd)) != 0)
        ifd_conn_close(c, NULL);
    else
        conn_begin(c);
}
