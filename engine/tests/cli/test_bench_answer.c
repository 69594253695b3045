/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "cli/bench_answer.h"

#define L "\"label\":"

static const struct answer_case {
    const char *bytes;
    enum ifd_bench_answer_state end; /* after the connection's end */
    int status;
    bool closes;
    unsigned labels;
    size_t left; /* bytes behind the answer */
} cases[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", IFD_BENCH_ANSWER_DONE, 200, false, 0, 0},
    {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", IFD_BENCH_ANSWER_DONE, 200, false, 0, 0},
    {"HTTP/1.1 429 Too Many\nCONTENT-length:3 \n\nabc", IFD_BENCH_ANSWER_DONE, 429, false, 0, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n[{" L "\"a\"},{" L "\"b\"}]",
     IFD_BENCH_ANSWER_DONE, 200, false, 2, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\n\"\"label\"\"lab\"label\"labels\"la",
     IFD_BENCH_ANSWER_DONE, 200, false, 2, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP", IFD_BENCH_ANSWER_DONE, 200, false, 0, 4},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", IFD_BENCH_ANSWER_DONE,
     200, true, 0, 0},
    {"HTTP/1.1 200 OK\r\nconnection: Keep-Alive , CLOSE\r\nContent-Length: 1\r\n\r\na",
     IFD_BENCH_ANSWER_DONE, 200, true, 0, 0},
    {"HTTP/1.1 200 OK\r\nConnection: closed\r\nContent-Length: 1\r\n\r\na", IFD_BENCH_ANSWER_DONE,
     200, false, 0, 0},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", IFD_BENCH_ANSWER_DONE, 200, true, 0, 0},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
     IFD_BENCH_ANSWER_DONE, 200, false, 0, 0},
    {"HTTP/1.0 200 OK\r\n\r\nto the end", IFD_BENCH_ANSWER_DONE, 200, true, 0, 0},
    {"HTTP/1.1 204 No Content\r\n\r\n", IFD_BENCH_ANSWER_DONE, 204, false, 0, 0},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", IFD_BENCH_ANSWER_DONE, 304, false, 0,
     0},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 1\r\n\r\nx",
     IFD_BENCH_ANSWER_DONE, 503, false, 0, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
     "chunked\r\n\r\n4\r\n\"lab\r\n4;x=y\r\nel\":\r\n0\r\n\r\n",
     IFD_BENCH_ANSWER_DONE, 200, false, 1, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nA: b\r\n\r\n",
     IFD_BENCH_ANSWER_DONE, 200, false, 0, 0},
    /* cut short */
    {"", IFD_BENCH_ANSWER_STATUS, 0, false, 0, 0},
    {"HTT", IFD_BENCH_ANSWER_STATUS, 0, false, 0, 0},
    {"HTTP/1.1 200 OK\r\nContent-Len", IFD_BENCH_ANSWER_HEADERS, 200, false, 0, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd", IFD_BENCH_ANSWER_BODY, 200, false, 0, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab", IFD_BENCH_ANSWER_CHUNK, 200,
     false, 0, 0},
    /* malformed */
    {"220 smtp.example ready\r\n", IFD_BENCH_ANSWER_MALFORMED, 0, false, 0, 0},
    {"220 smtp", IFD_BENCH_ANSWER_MALFORMED, 0, false, 0, 0},
    {"HTTP/2 200 OK\r\n", IFD_BENCH_ANSWER_MALFORMED, 0, false, 0, 0},
    {"HTTP/1.1 2000 OK\r\n", IFD_BENCH_ANSWER_MALFORMED, 0, false, 0, 0},
    {"HTTP/1.1 099 OK\r\n", IFD_BENCH_ANSWER_MALFORMED, 0, false, 0, 0},
    {"HTTP/1.1 2x0 OK\r\n", IFD_BENCH_ANSWER_MALFORMED, 0, false, 0, 0},
    {"HTTP/1.1 101 Upgrade\r\n\r\n", IFD_BENCH_ANSWER_MALFORMED, 101, false, 0, 0},
    {"HTTP/1.1 200 OK\r\nno colon\r\n", IFD_BENCH_ANSWER_MALFORMED, 200, false, 0, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n", IFD_BENCH_ANSWER_MALFORMED, 200, false, 0, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: \r\n", IFD_BENCH_ANSWER_MALFORMED, 200, false, 0, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1234567890123456789\r\n", IFD_BENCH_ANSWER_MALFORMED, 200,
     false, 0, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n", IFD_BENCH_ANSWER_MALFORMED,
     200, false, 0, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     IFD_BENCH_ANSWER_MALFORMED, 200, false, 0, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n", IFD_BENCH_ANSWER_MALFORMED, 200, false, 0,
     0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", IFD_BENCH_ANSWER_MALFORMED, 200,
     false, 0, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
     IFD_BENCH_ANSWER_MALFORMED, 200, false, 0, 0},
};

/* The bytes in pieces of `piece`, or cut once at `piece` when `once`. */
static size_t feed(struct ifd_bench_answer *a, const char *bytes, size_t n, size_t piece, bool once)
{
    size_t at = 0;
    ifd_bench_answer_init(a);
    while (at < n && a->state < IFD_BENCH_ANSWER_DONE) {
        size_t k = once && at >= piece ? n - at : piece < n - at ? piece : n - at;
        size_t taken = ifd_bench_answer_feed(a, bytes + at, k);
        at += taken;
        if (taken < k)
            break;
    }
    ifd_bench_answer_end(a);
    return n - at;
}

static void check(const struct answer_case *c, size_t piece, bool once)
{
    static struct ifd_bench_answer a;
    size_t left = feed(&a, c->bytes, strlen(c->bytes), piece, once);
    if (a.state != c->end || a.status != c->status)
        fail_msg("%s in pieces of %zu: state %d, status %d", c->bytes, piece, (int)a.state,
                 a.status);
    assert_int_equal(a.closes, c->closes);
    if (c->end == IFD_BENCH_ANSWER_DONE) {
        assert_int_equal(a.labels, c->labels);
        assert_int_equal(left, c->left);
    }
}

static void the_same_verdict_whole_and_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = strlen(cases[i].bytes);
        check(&cases[i], n ? n : 1, false);
        check(&cases[i], 1, false);
        for (size_t cut = 1; cut < n; cut++)
            check(&cases[i], cut, true);
    }
}

static void long_lines_and_heads(void **state)
{
    (void)state;
    static struct ifd_bench_answer a;
    static char text[IFD_BENCH_HEAD_BYTES + 4096];
    for (size_t extra = 0; extra < 2; extra++) {
        for (size_t piece = 1; piece < sizeof(text); piece = piece * 37 + 1) {
            static const char begin[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ";
            size_t n = sizeof(begin) - 1;
            memcpy(text, begin, n);
            /* one header fills the head to its limit, or to one byte more */
            memset(text + n, 'x', IFD_BENCH_HEAD_BYTES - n - 4 + extra);
            n = IFD_BENCH_HEAD_BYTES - 4 + extra;
            memcpy(text + n, "\r\n\r\n", 4);
            feed(&a, text, n + 4, piece, false);
            assert_int_equal(a.state, extra ? IFD_BENCH_ANSWER_MALFORMED : IFD_BENCH_ANSWER_DONE);
        }
    }
}

static void begun(void **state)
{
    (void)state;
    static struct ifd_bench_answer a;
    ifd_bench_answer_init(&a);
    assert_false(ifd_bench_answer_begun(&a));
    assert_int_equal(ifd_bench_answer_feed(&a, "H", 1), 1);
    assert_true(ifd_bench_answer_begun(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_verdict_whole_and_cut_anywhere),
        cmocka_unit_test(long_lines_and_heads),
        cmocka_unit_test(begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
