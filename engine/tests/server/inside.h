/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.h - a whole server inside the test's process, on a thread of its own, and one plain
 * client.
 */
#ifndef IFD_TESTS_SERVER_INSIDE_H
#define IFD_TESTS_SERVER_INSIDE_H

#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/server.h"

#define MODEL "../model/golden/bert-f32"

struct running {
    struct ifd_server_config config;
    inferd_error err;
    inferd_status status;
    pthread_t thread;
    _Atomic bool ended;
};

static inline void *server_main(void *arg)
{
    struct running *r = arg;
    r->status = ifd_server_run(&r->config, &r->err);
    r->ended = true;
    return NULL;
}

/* A port that was free a moment ago. */
static inline uint32_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static inline void start(struct running *r)
{
    memset(r, 0, sizeof(*r));
    ifd_server_config_defaults(&r->config);
    r->config.model_dir = MODEL;
    r->config.banner = false;
    r->config.threads = 2;
    r->config.port = free_port();
}

static inline void launch(struct running *r)
{
    assert_int_equal(pthread_create(&r->thread, NULL, server_main, r), 0);
}

/* -1 when nobody listens. A read waits for 10 s at most. */
static inline int dial(const struct running *r)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t)r->config.port)};
    const struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Sends a request and reads one answer; its status, or 0 if the connection ended without. */
static inline int ask(int fd, const char *request)
{
    char answer[4096];
    size_t n = 0;
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        return 0;
    while (n < sizeof(answer) - 1) {
        ssize_t got = recv(fd, answer + n, sizeof(answer) - 1 - n, 0);
        if (got <= 0)
            return 0;
        n += (size_t)got;
        answer[n] = '\0';
        const char *length = strstr(answer, "Content-Length: "), *end = strstr(answer, "\r\n\r\n");
        if (length && end && n >= (size_t)(end - answer) + 4 + strtoul(length + 16, NULL, 10))
            return (int)strtol(answer + 9, NULL, 10);
    }
    return 0;
}

static const char infer[] __attribute__((unused)) =
    "POST /infer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    "Content-Length: 47\r\n\r\n{\"inputs\":[\"a good film\",\"not a good film at\"]}";
static const char ready[] __attribute__((unused)) = "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n";

/* A connection to a server that is ready within the time; -1 otherwise, or if it ended before. */
static inline int dial_ready(struct running *r, unsigned seconds)
{
    for (uint64_t end = ifd_clock_ns() + seconds * (uint64_t)1000000000;
         !r->ended && ifd_clock_ns() < end;) {
        int fd = dial(r);
        if (fd >= 0 && ask(fd, ready) == 200)
            return fd;
        if (fd >= 0)
            close(fd);
        usleep(5000);
    }
    return -1;
}

static inline void stop(struct running *r)
{
    if (!r->ended)
        kill(getpid(), SIGTERM);
    pthread_join(r->thread, NULL);
}

#endif
