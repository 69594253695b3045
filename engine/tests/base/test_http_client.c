/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/http_client.h"

static inferd_error err;

static void urls(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host, *port, *path;
    } good[] = {
        {"http://127.0.0.1:8000/readyz", "127.0.0.1", "8000", "/readyz"},
        {"http://example.org", "example.org", "80", "/"},
        {"http://[::1]:65535/a?b=c", "::1", "65535", "/a?b=c"},
        {"http://[::1]", "::1", "80", "/"},
        {"http://h?q", "h", "80", "/?q"},
        {"http://h:1/x#fragment", "h", "1", "/x"},
    };
    struct ifd_url u;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_ok(ifd_url_parse(good[i].url, &u, &err), err);
        assert_string_equal(u.host, good[i].host);
        assert_string_equal(u.port, good[i].port);
        assert_string_equal(u.path, good[i].path);
    }
    static const char *const bad[] = {
        "",
        "localhost:8000",
        "https://h/",
        "http://",
        "http:///x",
        "http://:80/",
        "http://h:",
        "http://h:0/",
        "http://h:65536/",
        "http://h:1a/",
        "http://[::1",
        "http://[::1]x/",
        "http://a b/",
        "http://h/\r\nX: y",
        "http://u@h/",
        "http://h/\xC3\xA9",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (ifd_url_parse(bad[i], &u, &err) != INFERD_INVALID_ARGUMENT)
            fail_msg("'%s' was accepted", bad[i]);
    char longest[3000] = "http://h/";
    memset(longest + 9, 'a', sizeof(longest) - 10);
    longest[sizeof(longest) - 1] = '\0';
    assert_fails(ifd_url_parse(longest, &u, &err), INFERD_INVALID_ARGUMENT, err, "too long");
}

static void answers(void **state)
{
    (void)state;
    struct ifd_http_answer a;
    static const char ok[] = "HTTP/1.1 503 Unavailable\r\nA: b\r\n\r\nnot yet";
    assert_ok(ifd_http_answer_parse(ok, sizeof(ok) - 1, &a, &err), err);
    assert_int_equal(a.status, 503);
    assert_string_equal(a.body, "not yet");
    static char large[8192] = "HTTP/1.0 200 OK\r\n\r\n";
    memset(large + 19, 'x', sizeof(large) - 19);
    assert_ok(ifd_http_answer_parse(large, sizeof(large), &a, &err), err);
    assert_int_equal(strlen(a.body), sizeof(a.body) - 1);
    static const char *const bad[] = {"",
                                      "HTTP/1.1 20",
                                      "SSH-2.0-OpenSSH_9.2\r\n",
                                      "HTTP/2.0 200 OK\r\n",
                                      "HTTP/1.1 2x0 OK\r\n",
                                      "HTTP/1.1 099 No\r\n",
                                      "HTTP/1.1 600 No\r\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(ifd_http_answer_parse(bad[i], strlen(bad[i]), &a, &err),
                         INFERD_INVALID_HTTP);
}

/* A server of one answer; `answer` NULL: accepts and says nothing. */
struct peer {
    int listener;
    const char *answer;
    char request[2048];
};

static void *peer_main(void *arg)
{
    struct peer *p = arg;
    int fd = accept(p->listener, NULL, NULL);
    size_t n = 0;
    while (n < sizeof(p->request) - 1 && !strstr(p->request, "\r\n\r\n")) {
        ssize_t got = recv(fd, p->request + n, sizeof(p->request) - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    if (p->answer)
        send(fd, p->answer, strlen(p->answer), MSG_NOSIGNAL);
    else
        recv(fd, p->request, 1, 0); /* until the client gives up */
    close(fd);
    return NULL;
}

static inferd_status exchange(struct peer *p, uint64_t timeout_ms, struct ifd_http_answer *a)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    p->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(p->listener, 1), 0);
    getsockname(p->listener, (struct sockaddr *)&address, &size);
    char url[64];
    struct ifd_url u;
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/readyz?x", ntohs(address.sin_port));
    assert_ok(ifd_url_parse(url, &u, &err), err);
    pthread_t thread;
    pthread_create(&thread, NULL, peer_main, p);
    inferd_status s = ifd_http_get(&u, timeout_ms, a, &err);
    pthread_join(thread, NULL);
    close(p->listener);
    if (s == INFERD_OK || p->answer)
        assert_int_equal(strncmp(p->request, "GET /readyz?x HTTP/1.1\r\nHost: 127.0.0.1:", 40), 0);
    return s;
}

static void exchanges(void **state)
{
    (void)state;
    struct ifd_http_answer a;
    struct peer fine = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"};
    assert_ok(exchange(&fine, 5000, &a), err);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "ok");
    struct peer other = {.answer = "hello, this is no web server\r\n"};
    assert_int_equal(exchange(&other, 5000, &a), INFERD_INVALID_HTTP);
    struct peer silent = {0};
    uint64_t began = ifd_clock_ns();
    assert_fails(exchange(&silent, 200, &a), INFERD_DEADLINE, err, "no answer in time");
    uint64_t ms = (ifd_clock_ns() - began) / 1000000;
    assert_true(ms >= 190 && ms < 5000);
}

static void nobody_listens(void **state)
{
    (void)state;
    /* bound and not listening: the port is surely refused */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    getsockname(fd, (struct sockaddr *)&address, &size);
    char url[64];
    struct ifd_url u;
    struct ifd_http_answer a;
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", ntohs(address.sin_port));
    assert_ok(ifd_url_parse(url, &u, &err), err);
    assert_fails(ifd_http_get(&u, 5000, &a, &err), INFERD_IO, err, "cannot connect");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),
        cmocka_unit_test(answers),
        cmocka_unit_test(exchanges),
        cmocka_unit_test(nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
