/* SPDX-License-Identifier: Apache-2.0
 *
 * conn_time.c - what time does to a connection: how long each state may last, what follows, and
 * whether a client that has shut its side is still there.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "server/conn.h"
#include "server/reply.h"
#include "server/stream.h"
#include "server/tls.h"

/* How long a closing connection is read on for the client to take the answer. */
#define LINGER_MS 2000u
/* An idle connection gets this long for one more request when the listener closes: the client may
 * have sent it before it can know. */
#define GRACE_MS 1000u
/* How often a client that has shut its side is looked after while its answer is computed. */
#define GONE_CHECK_MS 50u

/* To a request's deadline; less when it is time to look whether its client is still there. */
static uint64_t left_ms(const struct ifd_conn *c)
{
    const uint64_t now = ifd_clock_ns(), deadline = c->request->job.deadline_ns;
    const uint64_t left = deadline > now ? (deadline - now) / 1000000 + 1 : 0;
    return c->eof && left > GONE_CHECK_MS ? GONE_CHECK_MS : left;
}

static uint64_t timeout_ms(const struct ifd_conn *c)
{
    const struct ifd_server_config *config = &c->io->server->config;
    switch ((enum ifd_conn_state)c->state) {
    case IFD_CONN_IDLE:
        if (c->tls && !ifd_tls_is_open(c->tls))
            return config->header_timeout_ms; /* for the handshake */
        return c->io->phase >= IFD_CLOSING ? GRACE_MS : config->keepalive_timeout_ms;
    case IFD_CONN_HEAD:
        return config->header_timeout_ms;
    case IFD_CONN_BODY:
        return config->body_timeout_ms;
    case IFD_CONN_WAIT:
        return left_ms(c);
    case IFD_CONN_STREAM:
        if (!c->writing && ifd_stream_is_held(c->request->stream))
            return IFD_STREAM_RETRY_MS;
        return config->write_timeout_ms;
    case IFD_CONN_WRITE:
        return config->write_timeout_ms;
    default:
        return LINGER_MS;
    }
}

void ifd_conn_arm(struct ifd_conn *c)
{
    ifd_wheel_arm(&c->io->wheel, &c->timer, uv_now(&c->io->loop), timeout_ms(c));
    ifd_io_start_tick(c->io);
}

/* --- a client that has shut its side --- */

static bool is_gone(const struct ifd_conn *c)
{
    uv_os_fd_t fd;
    struct tcp_info info;
    socklen_t size = sizeof(info);
    if (uv_fileno((const uv_handle_t *)&c->tcp, &fd) != 0)
        return true;
    if (c->local) {
        struct pollfd p = {.fd = fd};
        return poll(&p, 1, 0) != 0; /* it says of both sides that they are shut, or an error */
    }
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state == TCP_CLOSE;
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
    bool there = !is_gone(c);
    if (there && !c->asked && c->request->http.minor != 0) {
        c->asked = true;
        there = ifd_conn_say(c, interim, sizeof(interim) - 1, NULL) && !is_gone(c);
    }
    if (!there)
        ifd_conn_close(c, NULL);
    return there;
}

/* --- time is up --- */

void ifd_conn_fail_deadline(const struct ifd_conn *c, inferd_status status, inferd_error *err)
{
    const uint32_t ms = c->request->timeout_ms;
    (void)ifd_fail(err, status, "the request waited longer than the %u ms that %s", ms,
                   ms == c->io->server->config.request_timeout_ms ? "--request-timeout allows"
                                                                  : "it allows");
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
            ifd_conn_arm(c);
        return;
    }
    inferd_error err;
    ifd_sched_cancel(&c->request->job);
    c->pending = c->stash.size;
    ifd_conn_fail_deadline(c, INFERD_DEADLINE, &err);
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
        ifd_conn_arm(c); /* it came in the nick of time: the loop reads it next */
        return;
    }
    if (c->state == IFD_CONN_STREAM && !c->writing) {
        ifd_stream_retry(c); /* lines are computed: each has a time-out of its own */
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
        ifd_conn_arm(c);
}
