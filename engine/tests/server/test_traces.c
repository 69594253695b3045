/* SPDX-License-Identifier: Apache-2.0
 *
 * Spans to OTLP's JSON, who is sampled, and the queue's bound. The way to a collector is
 * tests/e2e/test_traces.py.
 */
#include "test.h"

#include "server/otlp.h"
#include "server/traces.h"

static inferd_error err;

static const struct ifd_span example = {
    .ident = {.id = "req-1",
              .trace = "4bf92f3577b34da6a3ce929d0e0e4736",
              .parent = "00f067aa0ba902b7",
              .sampled = true},
    .route = "/infer",
    .outcome = "ok",
    .method = "POST",
    .code = 200,
    .texts = 2,
    .tokens = 11,
    .began_ns = 1000,
    .ended_ns = 7000,
    .staged = true,
    .at_ns = {1000, 2000, 3000, 4000, 6000, 7000},
};

static unsigned occurrences(const char *text, const char *what)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

static char *body_of(const struct ifd_span *spans, size_t count, int64_t epoch_ns)
{
    static struct ifd_buf b;
    static struct ifd_ident_source ids;
    ifd_ident_source_init(&ids);
    ifd_buf_fini(&b);
    ifd_buf_init(&b, 1 << 20);
    const struct ifd_otlp_resource r = {
        .service = "a \"service\"", .instance = "http://h:1", .epoch_ns = epoch_ns};
    ifd_otlp_body(&b, &r, spans, count, &ids);
    ifd_buf_add_char(&b, '\0');
    assert_false(b.failed);
    return b.data;
}

static void a_request_is_a_span_with_its_stages_below(void **state)
{
    (void)state;
    const char *body = body_of(&example, 1, 1700000000000000000);
    assert_int_equal(occurrences(body, "\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\""), 6);
    assert_int_equal(occurrences(body, "\"parentSpanId\":\"00f067aa0ba902b7\""), 1);
    assert_int_equal(occurrences(body, "\"parentSpanId\""), 6);
    assert_non_null(strstr(body, "\"kind\":2,\"name\":\"POST /infer\","
                                 "\"startTimeUnixNano\":\"1700000000000001000\","
                                 "\"endTimeUnixNano\":\"1700000000000007000\""));
    assert_non_null(strstr(body, "\"name\":\"infer\",\"startTimeUnixNano\":\"1700000000000004000\","
                                 "\"endTimeUnixNano\":\"1700000000000006000\""));
    assert_non_null(strstr(body, "{\"key\":\"inferd.tokens\",\"value\":{\"intValue\":\"11\"}}"));
    assert_non_null(strstr(body, "{\"stringValue\":\"a \\\"service\\\"\"}"));
    assert_null(strstr(body, "\"status\":{"));
}

static void what_has_no_stages_route_or_caller_says_so_by_leaving_it_out(void **state)
{
    (void)state;
    struct ifd_span s = example;
    s.staged = false;
    s.route = NULL;
    s.ident.parent[0] = '\0';
    s.code = 503;
    const char *body = body_of(&s, 1, 0);
    assert_int_equal(occurrences(body, "\"spanId\""), 1);
    assert_null(strstr(body, "parentSpanId"));
    assert_null(strstr(body, "http.route"));
    assert_null(strstr(body, "inferd.tokens"));
    assert_non_null(strstr(body, "\"name\":\"POST\""));
    assert_non_null(strstr(body, "\"status\":{\"code\":2}"));
    s.code = 400; /* the client's fault is not the server's error */
    assert_null(strstr(body_of(&s, 1, 0), "\"status\":{"));
}

static void a_clock_that_was_read_late_gives_no_negative_time(void **state)
{
    (void)state;
    struct ifd_span s = example;
    s.at_ns[3] = 2500; /* started before it was queued: another thread's reading */
    const char *body = body_of(&s, 1, 0);
    assert_non_null(strstr(body, "\"name\":\"queue\",\"startTimeUnixNano\":\"3000\","
                                 "\"endTimeUnixNano\":\"3000\""));
}

static void only_a_share_of_the_requests_begins_a_trace(void **state)
{
    (void)state;
    struct ifd_ident_source ids;
    ifd_ident_source_init(&ids);
    static const unsigned shares[] = {0, 25, 100};
    for (size_t k = 0; k < 3; k++) {
        unsigned sampled = 0;
        ids.sample_percent = shares[k];
        for (unsigned i = 0; i < 4000; i++) {
            struct ifd_buf head;
            struct ifd_http http;
            struct ifd_ident id;
            const struct ifd_http_limits limits = {
                .head_bytes = 4096, .headers = 8, .target_bytes = 64, .body_bytes = 64};
            ifd_buf_init(&head, 8192);
            ifd_http_init(&http, &limits, &head);
            ifd_ident_take(&id, &http, &ids);
            sampled += id.sampled;
            assert_int_equal(strlen(id.trace), id.sampled ? IFD_TRACE_ID_SIZE : 0);
            assert_int_equal(id.parent[0], '\0');
            ifd_buf_fini(&head);
        }
        const unsigned want = 40 * shares[k];
        assert_true(sampled <= want + 150 && sampled + 150 >= want);
        if (shares[k] != 25)
            assert_int_equal(sampled, want);
    }
}

static void a_full_queue_drops_and_counts(void **state)
{
    (void)state;
    struct ifd_traces t;
    assert_ok(ifd_traces_init(&t, "http://127.0.0.1:9", "inferd", &err), err);
    assert_string_equal(t.collector.path, "/v1/traces");
    for (unsigned i = 0; i < IFD_TRACES_QUEUE + 7; i++)
        ifd_traces_add(&t, &example);
    assert_int_equal(t.waiting, IFD_TRACES_QUEUE);
    assert_int_equal(atomic_load(&t.dropped), 7);
    ifd_traces_fini(&t);

    assert_ok(ifd_traces_init(&t, "http://h:1/x/traces", "inferd", &err), err);
    assert_string_equal(t.collector.path, "/x/traces");
    ifd_traces_fini(&t);
    assert_fails(ifd_traces_init(&t, "https://h:1", "inferd", &err), INFERD_INVALID_ARGUMENT, err,
                 "--otlp-endpoint: https://h:1: TLS is not spoken");
    assert_ok(ifd_traces_init(&t, NULL, "inferd", &err), err);
    assert_false(t.on);
    ifd_traces_stop(&t);
    ifd_traces_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_a_span_with_its_stages_below),
        cmocka_unit_test(what_has_no_stages_route_or_caller_says_so_by_leaving_it_out),
        cmocka_unit_test(a_clock_that_was_read_late_gives_no_negative_time),
        cmocka_unit_test(only_a_share_of_the_requests_begins_a_trace),
        cmocka_unit_test(a_full_queue_drops_and_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
