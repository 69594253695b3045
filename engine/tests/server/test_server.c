/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole server inside the test's process, over the golden BERT: what can only be seen from
 * inside. No allocation on the hot path; memory that runs out at every single allocation of start
 * and of serving gives an error and never a crash, a hang or a leak.
 */
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/server.h"

#define MODEL "../model/golden/bert-f32"

struct running {
    struct ifd_server_config config;
    inferd_error err;
    inferd_status status;
    pthread_t thread;
    _Atomic bool ended;
};

static void *server_main(void *arg)
{
    struct running *r = arg;
    r->status = ifd_server_run(&r->config, &r->err);
    r->ended = true;
    return NULL;
}

/* A port that was free a moment ago. */
static uint32_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void start(struct running *r)
{
    memset(r, 0, sizeof(*r));
    ifd_server_config_defaults(&r->config);
    r->config.model_dir = MODEL;
    r->config.banner = false;
    r->config.threads = 2;
    r->config.port = free_port();
}

static void launch(struct running *r)
{
    assert_int_equal(pthread_create(&r->thread, NULL, server_main, r), 0);
}

/* -1 when nobody listens. A read waits for 10 s at most. */
static int dial(const struct running *r)
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
static int ask(int fd, const char *request)
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

static const char infer[] =
    "POST /infer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    "Content-Length: 47\r\n\r\n{\"inputs\":[\"a good film\",\"not a good film at\"]}";
static const char ready[] = "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n";

/* A connection to a server that is ready within the time; -1 otherwise, or if it ended before. */
static int dial_ready(struct running *r, unsigned seconds)
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

static void stop(struct running *r)
{
    if (!r->ended)
        kill(getpid(), SIGTERM);
    pthread_join(r->thread, NULL);
}

static void the_hot_path_allocates_nothing(void **state)
{
    (void)state;
    struct running r;
    start(&r);
    launch(&r);
    int fd = dial_ready(&r, 60);
    assert_true(fd >= 0);
    for (unsigned i = 0; i < 50; i++) /* buffers reach their size */
        assert_int_equal(ask(fd, infer), 200);
    uint64_t calls = ifd_mem_calls();
    for (unsigned i = 0; i < 500; i++)
        assert_int_equal(ask(fd, infer), 200);
    assert_int_equal(ifd_mem_calls(), calls);
    int other = dial(&r); /* the control: a new connection does allocate */
    assert_int_equal(ask(other, ready), 200);
    assert_true(ifd_mem_calls() > calls);
    close(other);
    close(fd);
    stop(&r);
    assert_ok(r.status, r.err);
}

static void start_survives_want_of_memory(void **state)
{
    (void)state;
    unsigned failed = 0, served = 0;
    uint64_t step = 1;
    for (uint64_t n = 0; n < 4000 && served < 3; n += step) {
        struct running r;
        start(&r);
        ifd_mem_fail_after(n, true);
        launch(&r);
        /* not long: a server that is up but has no memory for any connection is never ready */
        int fd = dial_ready(&r, 2);
        ifd_mem_fail_after(UINT64_MAX, false);
        if (fd >= 0) {
            served++;
            close(fd);
        }
        stop(&r);
        assert_true(r.status == INFERD_OK || r.status == INFERD_NO_MEMORY);
        failed += r.status == INFERD_NO_MEMORY;
        step = n < 60 ? 1 : 17; /* the server's own first, then a sample of the model's */
    }
    assert_true(failed > 30);
}

static void serving_survives_want_of_memory(void **state)
{
    (void)state;
    struct running r;
    start(&r);
    launch(&r);
    int fd = dial_ready(&r, 60);
    assert_true(fd >= 0);
    close(fd);
    unsigned refused = 0, cut = 0;
    for (uint64_t n = 0; n < 40; n++) {
        int c = dial(&r);
        assert_true(c >= 0);
        ifd_mem_fail_after(n % 20, n >= 20);
        int status = ask(c, infer);
        ifd_mem_fail_after(UINT64_MAX, false);
        assert_true(status == 0 || status == 200 || status == 503);
        refused += status == 503;
        cut += status == 0;
        close(c);
    }
    assert_true(refused + cut > 0); /* some failures did hit */
    fd = dial_ready(&r, 60);
    assert_int_equal(ask(fd, infer), 200);
    close(fd);
    stop(&r);
    assert_ok(r.status, r.err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hot_path_allocates_nothing),
        cmocka_unit_test(start_survives_want_of_memory),
        cmocka_unit_test(serving_survives_want_of_memory),
    };
    ifd_log_init(IFD_LOG_ERROR, IFD_LOG_JSON);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
