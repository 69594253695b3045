/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_conn.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* ---- the wire ------------------------------------------------------------------------------ */

static bool accepts(const struct addrinfo *a, uint64_t timeout_ms)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    if (fd < 0)
        return false;
    int failure = connect(fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (failure == EINPROGRESS) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        socklen_t size = sizeof(failure);
        failure = ETIMEDOUT;
        if (poll(&p, 1, timeout_ms > 60000 ? 60000 : (int)timeout_ms) > 0 &&
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
            failure = errno;
    }
    close(fd);
    return failure == 0;
}

inferd_status ifd_bench_wire_open(struct ifd_bench_wire *w, const struct ifd_url *url,
                                  uint64_t timeout_ms, inferd_error *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    memset(w, 0, sizeof(*w));
    w->epoll = -1;
    int rc = getaddrinfo(url->host, url->port, &hints, &list);
    if (rc)
        return ifd_fail(err, INFERD_IO, "%s: %s", url->host, gai_strerror(rc));
    const struct addrinfo *chosen = list;
    if (list->ai_next) { /* a single one needs no probe: its failures are outcomes */
        for (const struct addrinfo *a = list; a; a = a->ai_next) {
            if (accepts(a, timeout_ms)) {
                chosen = a;
                break;
            }
        }
    }
    memcpy(&w->address, chosen->ai_addr, chosen->ai_addrlen);
    w->address_size = chosen->ai_addrlen;
    freeaddrinfo(list);
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (w->epoll < 0)
        return ifd_fail(err, INFERD_IO, "no epoll instance: %s", strerror(errno));
    return INFERD_OK;
}

void ifd_bench_wire_close(struct ifd_bench_wire *w)
{
    if (w->epoll >= 0)
        close(w->epoll);
    w->epoll = -1;
}

/* ---- one connection ------------------------------------------------------------------------ */

void ifd_bench_conn_close(struct ifd_bench_conn *c)
{
    if (c->state == IFD_BENCH_CONN_CLOSED)
        return;
    close(c->fd); /* takes it out of epoll too */
    c->state = IFD_BENCH_CONN_CLOSED;
    c->existed = true;
}

static bool end(struct ifd_bench_conn *c, enum ifd_bench_outcome what,
                enum ifd_bench_outcome *outcome)
{
    ifd_bench_conn_close(c);
    *outcome = what;
    return true;
}

static bool end_unconnected(struct ifd_bench_wire *w, struct ifd_bench_conn *c, int failure,
                            enum ifd_bench_outcome *outcome)
{
    w->connect_errno = failure;
    return end(c, failure == ECONNREFUSED ? IFD_BENCH_CONNECT_REFUSED : IFD_BENCH_CONNECT_FAILED,
               outcome);
}

/* The connection is over before the answer was complete. */
static bool end_early(struct ifd_bench_conn *c, bool reset, enum ifd_bench_outcome *outcome)
{
    if (ifd_bench_answer_begun(&c->answer))
        return end(c, IFD_BENCH_TRUNCATED, outcome);
    if (reset)
        return end(c, c->reused ? IFD_BENCH_RESET_REUSED : IFD_BENCH_RESET_FRESH, outcome);
    return end(c, c->reused ? IFD_BENCH_CLOSED_REUSED : IFD_BENCH_CLOSED_FRESH, outcome);
}

static bool end_answered(struct ifd_bench_wire *w, struct ifd_bench_conn *c,
                         enum ifd_bench_outcome *outcome)
{
    c->status = c->answer.status;
    c->reused = true;
    bool wrong = w->labels && c->status >= 200 && c->status < 300 && c->answer.labels != w->labels;
    w->closes += c->answer.closes;
    /* one that was answered before it was sent is of no further use either */
    if (c->answer.closes || c->state != IFD_BENCH_CONN_READING)
        ifd_bench_conn_close(c);
    else
        c->state = IFD_BENCH_CONN_IDLE;
    *outcome = wrong ? IFD_BENCH_WRONG_ANSWER : IFD_BENCH_ANSWER;
    return true;
}

/* Wait for room to send, or no longer. Only a request that the socket does not take at once, or a
 * new connection, costs these calls. */
static bool watch(struct ifd_bench_wire *w, struct ifd_bench_conn *c, int op, bool out)
{
    struct epoll_event e = {.events = EPOLLIN | (out ? (uint32_t)EPOLLOUT : 0u), .data.ptr = c};
    c->wants_out = out;
    return epoll_ctl(w->epoll, op, c->fd, &e) == 0;
}

static bool receive(struct ifd_bench_wire *w, struct ifd_bench_conn *c,
                    enum ifd_bench_outcome *outcome)
{
    ssize_t n = recv(c->fd, w->buffer, sizeof(w->buffer), 0);
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return false;
        return end_early(c, true, outcome);
    }
    if (n == 0) {
        ifd_bench_answer_end(&c->answer);
        if (c->answer.state == IFD_BENCH_ANSWER_DONE)
            return end_answered(w, c, outcome);
        if (c->answer.state == IFD_BENCH_ANSWER_MALFORMED)
            return end(c, IFD_BENCH_MALFORMED, outcome);
        return end_early(c, false, outcome);
    }
    w->bytes_received += (uint64_t)n;
    size_t taken = ifd_bench_answer_feed(&c->answer, w->buffer, (size_t)n);
    if (c->answer.state == IFD_BENCH_ANSWER_MALFORMED || taken < (size_t)n)
        return end(c, IFD_BENCH_MALFORMED, outcome); /* more than one answer: to which request? */
    return c->answer.state == IFD_BENCH_ANSWER_DONE && end_answered(w, c, outcome);
}

static bool send_more(struct ifd_bench_wire *w, struct ifd_bench_conn *c, uint64_t now_ns,
                      enum ifd_bench_outcome *outcome)
{
    if (!c->sent_ns)
        c->sent_ns = now_ns;
    ssize_t n = send(c->fd, c->request + c->sent, c->request_size - c->sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        /* a server that refuses early has perhaps answered already: the answer counts */
        return receive(w, c, outcome) || end_early(c, true, outcome);
    }
    if (n > 0) {
        c->sent += (size_t)n;
        w->bytes_sent += (uint64_t)n;
    }
    bool all = c->sent == c->request_size;
    if (all)
        c->state = IFD_BENCH_CONN_READING;
    if (all == c->wants_out && !watch(w, c, EPOLL_CTL_MOD, !all))
        return end_unconnected(w, c, errno, outcome);
    return false;
}

static bool begin_connect(struct ifd_bench_wire *w, struct ifd_bench_conn *c, uint64_t now_ns,
                          enum ifd_bench_outcome *outcome)
{
    static const int on = 1;
    int fd = socket(w->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        w->connect_errno = errno;
        *outcome = IFD_BENCH_CONNECT_FAILED;
        return true;
    }
    c->fd = fd;
    c->reused = false;
    c->state = IFD_BENCH_CONN_CONNECTING;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    int failure =
        connect(fd, (const struct sockaddr *)&w->address, w->address_size) == 0 ? 0 : errno;
    if (failure && failure != EINPROGRESS)
        return end_unconnected(w, c, failure, outcome);
    if (!watch(w, c, EPOLL_CTL_ADD, failure != 0))
        return end_unconnected(w, c, errno, outcome);
    if (failure)
        return false;
    w->opened++;
    w->reconnects += c->existed;
    c->state = IFD_BENCH_CONN_SENDING;
    return send_more(w, c, now_ns, outcome);
}

bool ifd_bench_conn_start(struct ifd_bench_wire *w, struct ifd_bench_conn *c, const char *request,
                          size_t size, uint64_t now_ns, enum ifd_bench_outcome *outcome)
{
    IFD_ASSERT(c->state == IFD_BENCH_CONN_CLOSED || c->state == IFD_BENCH_CONN_IDLE);
    c->request = request;
    c->request_size = size;
    c->sent = 0;
    c->sent_ns = 0;
    c->status = 0;
    ifd_bench_answer_init(&c->answer);
    if (c->state == IFD_BENCH_CONN_CLOSED)
        return begin_connect(w, c, now_ns, outcome);
    c->state = IFD_BENCH_CONN_SENDING;
    return send_more(w, c, now_ns, outcome);
}

bool ifd_bench_conn_event(struct ifd_bench_wire *w, struct ifd_bench_conn *c, uint32_t events,
                          uint64_t now_ns, enum ifd_bench_outcome *outcome)
{
    switch (c->state) {
    case IFD_BENCH_CONN_CLOSED:
        return false;
    case IFD_BENCH_CONN_IDLE: /* closed by the server, or bytes that nobody asked for */
        w->idle_closed++;
        ifd_bench_conn_close(c);
        return false;
    case IFD_BENCH_CONN_CONNECTING: {
        int failure = 0;
        socklen_t size = sizeof(failure);
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
            failure = errno;
        if (failure)
            return end_unconnected(w, c, failure, outcome);
        w->opened++;
        w->reconnects += c->existed;
        c->state = IFD_BENCH_CONN_SENDING;
        return send_more(w, c, now_ns, outcome);
    }
    case IFD_BENCH_CONN_SENDING:
        if (events & (EPOLLIN | EPOLLERR | EPOLLHUP) && receive(w, c, outcome))
            return true;
        return events & EPOLLOUT && send_more(w, c, now_ns, outcome);
    case IFD_BENCH_CONN_READING:
        return receive(w, c, outcome);
    }
    return false;
}
