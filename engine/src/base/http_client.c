/* SPDX-License-Identifier: Apache-2.0 */
#include "base/http_client.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define ANSWER_BYTES 8192u

/* ---- addresses ----------------------------------------------------------------------------- */

static bool copy_part(char *to, size_t size, const char *from, size_t n)
{
    if (n >= size)
        return false;
    memcpy(to, from, n);
    to[n] = '\0';
    return true;
}

static bool is_port(const char *s)
{
    size_t n = strspn(s, "0123456789");
    return n > 0 && n <= 5 && !s[n] && strtoul(s, NULL, 10) >= 1 && strtoul(s, NULL, 10) <= 65535;
}

/* "host", "host:port", "[v6]", "[v6]:port" */
static bool split_authority(struct ifd_url *u)
{
    const char *host = u->authority, *rest;
    size_t n;
    if (*host == '[') {
        host++;
        n = strcspn(host, "]");
        if (!host[n])
            return false;
        rest = host + n + 1;
    } else {
        n = strcspn(host, ":");
        rest = host + n;
    }
    if (n == 0 || !copy_part(u->host, sizeof(u->host), host, n))
        return false;
    if (!*rest)
        return copy_part(u->port, sizeof(u->port), "80", 2);
    return *rest == ':' && is_port(rest + 1) &&
           copy_part(u->port, sizeof(u->port), rest + 1, strlen(rest + 1));
}

inferd_status ifd_url_parse(const char *url, struct ifd_url *out, inferd_error *err)
{
    struct ifd_url u = {0};
    for (const char *c = url; *c;
         c++) /* nothing may end or extend the request that is made of it */
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7F)
            return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                            "the URL has a space, a control character or one that is not ASCII");
    if (strncmp(url, "http://", 7) != 0)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        strncmp(url, "https://", 8) == 0
                            ? "%.64s: TLS is not spoken here: give the http:// address of the "
                              "server itself"
                            : "%.64s: must be an http:// URL, such as http://127.0.0.1:8000/",
                        url);
    const char *authority = url + 7;
    size_t n = strcspn(authority, "/?#");
    const char *path = authority + n;
    if (!copy_part(u.authority, sizeof(u.authority), authority, n) || strchr(u.authority, '@') ||
        !split_authority(&u))
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "%.64s: no host, or a port not in 1..65535",
                        url);
    size_t k = strcspn(path, "#");
    bool fits = *path == '/'
                    ? copy_part(u.path, sizeof(u.path), path, k)
                    : (u.path[0] = '/', copy_part(u.path + 1, sizeof(u.path) - 1, path, k));
    if (!fits)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "%.64s...: the path is too long", url);
    *out = u;
    return INFERD_OK;
}

/* ---- answers ------------------------------------------------------------------------------- */

inferd_status ifd_http_answer_parse(const char *bytes, size_t n, struct ifd_http_answer *out,
                                    inferd_error *err)
{
    struct ifd_http_answer a = {0};
    if (n < 13 || memcmp(bytes, "HTTP/1.", 7) != 0 || bytes[8] != ' ')
        return ifd_fail(err, INFERD_INVALID_HTTP, "what answers does not speak HTTP/1");
    for (size_t i = 9; i < 12; i++) {
        if (bytes[i] < '0' || bytes[i] > '9')
            return ifd_fail(err, INFERD_INVALID_HTTP, "the answer has no status");
        a.status = 10 * a.status + (bytes[i] - '0');
    }
    if (a.status < 100 || a.status > 599)
        return ifd_fail(err, INFERD_INVALID_HTTP, "the answer's status is %d", a.status);
    const char *end = memmem(bytes, n, "\r\n\r\n", 4);
    if (end) {
        end += 4;
        size_t left = n - (size_t)(end - bytes);
        copy_part(a.body, sizeof(a.body), end, left < sizeof(a.body) ? left : sizeof(a.body) - 1);
    }
    *out = a;
    return INFERD_OK;
}

/* ---- the exchange -------------------------------------------------------------------------- */

/* Wait for `events`; INFERD_DEADLINE when the time is over. */
static inferd_status wait_for(int fd, short events, uint64_t end_ns, inferd_error *err)
{
    for (;;) {
        uint64_t now = ifd_clock_ns();
        if (now >= end_ns)
            return ifd_fail(err, INFERD_DEADLINE, "no answer in time");
        uint64_t ms = (end_ns - now + 999999) / 1000000;
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, ms > 60000 ? 60000 : (int)ms);
        if (n > 0)
            return INFERD_OK;
        if (n < 0 && errno != EINTR)
            return ifd_fail(err, INFERD_IO, "poll failed: %s", strerror(errno));
    }
}

static inferd_status connect_to(const struct addrinfo *a, uint64_t end_ns, int *out,
                                inferd_error *err)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    if (fd < 0)
        return ifd_fail(err, INFERD_IO, "no socket: %s", strerror(errno));
    inferd_status s = INFERD_OK;
    int failure = connect(fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (failure == EINPROGRESS) {
        s = wait_for(fd, POLLOUT, end_ns, err);
        socklen_t size = sizeof(failure);
        if (!s && getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
            failure = errno;
    }
    if (!s && failure)
        s = ifd_fail(err, INFERD_IO, "cannot connect: %s", strerror(failure));
    if (s) {
        close(fd);
        return s;
    }
    *out = fd;
    return INFERD_OK;
}

static inferd_status open_connection(const struct ifd_url *u, uint64_t end_ns, int *out,
                                     inferd_error *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(u->host, u->port, &hints, &list);
    if (rc)
        return ifd_fail(err, INFERD_IO, "%s: %s", u->host, gai_strerror(rc));
    inferd_status s = ifd_fail(err, INFERD_IO, "%s has no address", u->host);
    for (const struct addrinfo *a = list; a && s && s != INFERD_DEADLINE; a = a->ai_next)
        s = connect_to(a, end_ns, out, err);
    freeaddrinfo(list);
    return s;
}

static inferd_status send_all(int fd, const char *bytes, size_t n, uint64_t end_ns,
                              inferd_error *err)
{
    while (n > 0) {
        inferd_status s = wait_for(fd, POLLOUT, end_ns, err);
        if (s)
            return s;
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR && errno != EAGAIN)
            return ifd_fail(err, INFERD_IO, "sending failed: %s", strerror(errno));
        if (sent > 0) {
            bytes += sent;
            n -= (size_t)sent;
        }
    }
    return INFERD_OK;
}

/* Until the other side closes or the buffer is full. */
static inferd_status receive(int fd, char *bytes, size_t size, size_t *got, uint64_t end_ns,
                             inferd_error *err)
{
    *got = 0;
    while (*got < size) {
        inferd_status s = wait_for(fd, POLLIN, end_ns, err);
        if (s)
            return s;
        ssize_t n = recv(fd, bytes + *got, size - *got, 0);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return ifd_fail(err, INFERD_IO, "receiving failed: %s", strerror(errno));
        if (n > 0)
            *got += (size_t)n;
    }
    return INFERD_OK;
}

/* `head` is the request up to its body. */
static inferd_status exchange(const struct ifd_url *u, const char *head, size_t head_size,
                              const void *body, size_t size, uint64_t timeout_ms,
                              struct ifd_http_answer *out, inferd_error *err)
{
    char answer[ANSWER_BYTES];
    const uint64_t end_ns = ifd_clock_ns() + timeout_ms * 1000000u;
    size_t got = 0;
    int fd = -1;
    inferd_status s = open_connection(u, end_ns, &fd, err);
    if (s)
        return s;
    s = send_all(fd, head, head_size, end_ns, err);
    if (!s)
        s = send_all(fd, body, size, end_ns, err);
    if (!s)
        s = receive(fd, answer, sizeof(answer), &got, end_ns, err);
    close(fd);
    return s ? s : ifd_http_answer_parse(answer, got, out, err);
}

inferd_status ifd_http_get(const struct ifd_url *u, uint64_t timeout_ms,
                           struct ifd_http_answer *out, inferd_error *err)
{
    char head[1536];
    int n = snprintf(head, sizeof(head),
                     "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: inferd-healthcheck\r\n"
                     "Accept: */*\r\nConnection: close\r\n\r\n",
                     u->path, u->authority);
    IFD_ASSERT(n > 0 && (size_t)n < sizeof(head));
    return exchange(u, head, (size_t)n, "", 0, timeout_ms, out, err);
}

inferd_status ifd_http_post(const struct ifd_url *u, const char *media_type, const void *body,
                            size_t size, uint64_t timeout_ms, struct ifd_http_answer *out,
                            inferd_error *err)
{
    char head[1792];
    int n = snprintf(head, sizeof(head),
                     "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: inferd\r\nContent-Type: %.64s\r\n"
                     "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                     u->path, u->authority, media_type, size);
    IFD_ASSERT(n > 0 && (size_t)n < sizeof(head));
    return exchange(u, head, (size_t)n, body, size, timeout_ms, out, err);
}
