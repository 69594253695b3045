/* SPDX-License-Identifier: Apache-2.0 */
#include "server/conn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/access_log.h"
#include "server/infer.h"
#include "server/reply.h"
#include "server/route.h"

/* Reading stops when this much waits behind the request in hand. */
#define STASH_PAUSE_BYTES 16384u
#define STASH_BYTES_MAX (STASH_PAUSE_BYTES + IFD_IO_READ_BYTES)
/* Kept by an idle connection; more is freed. */
#define IDLE_BYTES_MAX 1024u
/* How long and how much a closing connection is read on for the client to take the answer. */
#define LINGER_MS 2000u
#define LINGER_BYTES (256u << 10)
/* An idle connection gets this long for one more request when the listener closes: the client may
 * have sent it before it can know. */
#define GRACE_MS 1000u
/* How often a client that has shut its side is looked after while its answer is computed. */
#define GONE_CHECK_MS 50u
/* Above max_connections, refusals may linger in this many more. */
#define REFUSALS_MAX 64u

static void settle(struct ifd_conn *c);

/* --- the end --- */

static void on_closed(uv_handle_t *handle)
{
    struct ifd_conn *c = (struct ifd_conn *)handle;
    struct ifd_io *io = c->io;
    ifd_buf_fini(&c->stash);
    ifd_buf_fini(&c->out);
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
    ifd_wheel_disarm(&io->wheel, &c->timer);
    ifd_ring_remove(&c->all);
    ifd_ring_remove(&c->evictable);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* --- requests --- */

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
        uv_buf_t buf = uv_buf_init((char *)go_on, sizeof(go_on) - 1);
        int sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
        if (sent != (int)buf.len && sent != UV_EAGAIN) {
            ifd_conn_close(c, NULL); /* a part of it, or the client is gone */
            return;
        }
    }
    if (r->route->codec)
        ifd_decode_begin(&r->decode, r->route->codec);
}

static void on_body(struct ifd_request *r)
{
    inferd_error err;
    if (r->error.status || !r->route->codec)
        return;
    if (ifd_decode_feed(&r->decode, r->http.body, r->http.body_size, &err) != INFERD_OK)
        r->error = err;
}

static void on_request(struct ifd_conn *c)
{
    struct ifd_request *r = c->request;
    if (!r->error.status && r->route->page) {
        ifd_buf_reset(&c->io->body);
        ifd_reply_send(c, r->route->page(c->io, &c->io->body));
        return;
    }
    inferd_error err = r->error;
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

static void fail_deadline(const struct ifd_conn *c, inferd_status status, inferd_error *err)
{
    const uint32_t ms = c->request->timeout_ms;
    (void)ifd_fail(err, status, "the request waited longer than the %u ms that %s", ms,
                   ms < c->io->server->config.request_timeout_ms ? "it allows"
                                                                 : "--request-timeout allows");
}

void ifd_conn_job_done(struct ifd_conn *c)
{
    struct ifd_request *r = c->request;
    c->pending = c->stash.size;
    if (r->job.status == INFERD_OK) {
        ifd_buf_reset(&c->io->body);
        ifd_infer_encode(r, &c->io->body);
        ifd_reply_send(c, 200);
    } else {
        inferd_error err;
        fail_deadline(c, r->job.status, &err);
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
    const char *bytes = buf->base;
    size_t size = (size_t)n;
    if (c->state == IFD_CONN_LINGER) {
        c->lingered += (uint32_t)size;
        if (c->lingered > LINGER_BYTES)
            ifd_conn_close(c, NULL);
        return;
    }
    size_t used = consume(c, bytes, size);
    if (c->state != IFD_CONN_CLOSED && c->state != IFD_CONN_LINGER && used < size) {
        ifd_buf_add(&c->stash, bytes + used, size - used);
        if (c->stash.failed) {
            ifd_outcome_fault(c);
            ifd_conn_close(c, NULL);
        }
    }
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

static bool is_gone(const struct ifd_conn *c)
{
    uv_os_fd_t fd;
    struct tcp_info info;
    socklen_t size = sizeof(info);
    return uv_fileno((const uv_handle_t *)&c->tcp, &fd) != 0 ||
           getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state == TCP_CLOSE;
}

/* The client has shut its side while its answer is computed. Most have gone, and then the work is
 * in vain; some only say that they send no more, and wait. The end of a stream looks the same from
 * here, so ask: an interim answer (RFC 9110 15.2: any client must bear one) is taken in silence by
 * one that waits, and answered with a reset by the system of one that has gone. Once a connection,
 * and not if the answer is quick. HTTP/1.0 has no interim answers: there the answer is computed.
 * False if it has gone; its job is cancelled then. */
static bool is_there(struct ifd_conn *c)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t buf = uv_buf_init((char *)interim, sizeof(interim) - 1);
    bool there = !is_gone(c);
    if (there && !c->asked && c->request->http.minor != 0) {
        c->asked = true;
        there = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1) == (int)buf.len && !is_gone(c);
    }
    if (!there)
        ifd_conn_close(c, NULL);
    return there;
}

/* When to look again, while a job is computed for a client that has shut its side. */
static uint64_t check_ms(const struct ifd_conn *c)
{
    const uint64_t now = ifd_clock_ns(), deadline = c->request->job.deadline_ns;
    const uint64_t left_ms = deadline > now ? (deadline - now) / 1000000 + 1 : 0;
    return left_ms < GONE_CHECK_MS ? left_ms : GONE_CHECK_MS;
}

/* The client has shut its side: what it asked for before that is still answered. */
static void settle_eof(struct ifd_conn *c)
{
    if (c->state == IFD_CONN_WAIT)
        ifd_wheel_arm(&c->io->wheel, &c->timer, uv_now(&c->io->loop), check_ms(c));
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

static uint64_t timeout_ms(const struct ifd_conn *c)
{
    const struct ifd_server_config *config = &c->io->server->config;
    switch ((enum ifd_conn_state)c->state) {
    case IFD_CONN_IDLE:
        return c->io->phase >= IFD_CLOSING ? GRACE_MS : config->keepalive_timeout_ms;
    case IFD_CONN_HEAD:
        return config->header_timeout_ms;
    case IFD_CONN_BODY:
        return config->body_timeout_ms;
    case IFD_CONN_WAIT:
        return c->eof ? check_ms(c) : c->request->timeout_ms;
    case IFD_CONN_WRITE:
        return config->write_timeout_ms;
    default:
        return LINGER_MS;
    }
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
        ifd_wheel_arm(&io->wheel, &c->timer, uv_now(&io->loop), timeout_ms(c));
        ifd_io_start_tick(io);
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

/* Bytes are there that the loop has not read yet. */
static bool has_input(const struct ifd_conn *c)
{
    uv_os_fd_t fd;
    char byte;
    return uv_fileno((const uv_handle_t *)&c->tcp, &fd) == 0 &&
           recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* The time of a request in the scheduler is over, or it is time to look whether its client is
 * there. */
static void timeout_waiting(struct ifd_conn *c)
{
    if (c->eof && ifd_clock_ns() < c->request->job.deadline_ns) {
        if (is_there(c))
            ifd_wheel_arm(&c->io->wheel, &c->timer, uv_now(&c->io->loop), check_ms(c));
        return;
    }
    inferd_error err;
    ifd_sched_cancel(&c->request->job);
    c->pending = c->stash.size;
    fail_deadline(c, INFERD_DEADLINE, &err);
    ifd_reply_error(c, &err);
}

static void timeout_reading(struct ifd_conn *c)
{
    const struct ifd_server_config *config = &c->io->server->config;
    const bool head = c->state == IFD_CONN_HEAD;
    inferd_error err;
    (void)ifd_fail(&err, INFERD_REQUEST_TIMEOUT, "the request's %s did not come within --%s %u ms",
                   head ? "head" : "body", head ? "header-timeout" : "body-timeout",
                   head ? config->header_timeout_ms : config->body_timeout_ms);
    ifd_reply_error_and_close(c, &err);
}

void ifd_conn_timeout(struct ifd_conn *c)
{
    if (c->state == IFD_CONN_IDLE && has_input(c)) {
        /* it came in the nick of time: the loop reads it next */
        ifd_wheel_arm(&c->io->wheel, &c->timer, uv_now(&c->io->loop), GRACE_MS);
        return;
    }
    if (c->state == IFD_CONN_WAIT) {
        timeout_waiting(c);
        if (c->state == IFD_CONN_WAIT)
            return;
    } else if ((c->state == IFD_CONN_HEAD && !ifd_http_idle(&c->request->http)) ||
               c->state == IFD_CONN_BODY) {
        timeout_reading(c);
    } else { /* nothing is owed, or the client does not take it */
        ifd_conn_close(c, NULL);
        return;
    }
    ifd_conn_resume(c);
}

void ifd_conn_wind_down(struct ifd_conn *c)
{
    if (c->state == IFD_CONN_IDLE)
        ifd_wheel_arm(&c->io->wheel, &c->timer, uv_now(&c->io->loop), GRACE_MS);
}

/* --- the beginning --- */

static void refuse(struct ifd_conn *c)
{
    inferd_error err;
    (void)ifd_fail(&err, INFERD_OVERLOADED, "all --max-connections %u are busy; retry later",
                   c->io->server->config.max_connections);
    ifd_reply_error_and_close(c, &err);
}

static struct ifd_conn *conn_new(struct ifd_io *io)
{
    struct ifd_conn *c = ifd_zalloc(sizeof(*c));
    if (!c)
        return NULL;
    c->io = io;
    c->armed_answers = UINT64_MAX;
    ifd_buf_init(&c->stash, STASH_BYTES_MAX);
    ifd_buf_init(&c->out, SIZE_MAX);
    if (uv_tcp_init(&io->loop, &c->tcp) != 0) {
        ifd_free(c);
        return NULL;
    }
    io->connections++;
    io->open++;
    ifd_counter_add(&io->metrics.opened, 1);
    ifd_ring_append(&io->conns, &c->all);
    return c;
}

/* The socket is in c->tcp. */
static void conn_begin(struct ifd_conn *c)
{
    struct ifd_io *io = c->io;
    ifd_io_count(&io->counters.connections, 1);
    uv_tcp_nodelay(&c->tcp, 1);
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
    struct ifd_conn *c = conn_new(io);
    if (!c)
        ifd_io_reject(io);
    else if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0)
        ifd_conn_close(c, NULL);
    else
        conn_begin(c);
}

void ifd_conn_adopt(struct ifd_io *io, int fd)
{
    struct ifd_conn *c = conn_new(io);
    if (!c) {
        close(fd);
        return;
    }
    if (uv_tcp_open(&c->tcp, fd) != 0)
        ifd_conn_close(c, NULL);
    else
        conn_begin(c);
}
