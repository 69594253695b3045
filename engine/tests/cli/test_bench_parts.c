/* SPDX-License-Identifier: Apache-2.0
 *
 * Options, requests and outcomes of `inferd bench`; whole runs are in tests/e2e/test_bench.py.
 */
#include "test.h"

#include "base/jsondoc.h"
#include "base/mem.h"
#include "cli/bench_options.h"
#include "cli/bench_report.h"

static inferd_error err;
static struct ifd_options o;

static const char *no_environment(const char *name)
{
    (void)name;
    return NULL;
}

static inferd_status make(const char *const *args, struct ifd_bench_settings *s)
{
    static char *argv[24];
    int n = 0;
    for (; args[n]; n++)
        argv[n] = (char *)(uintptr_t)args[n];
    ifd_options_init(&o, ifd_bench_options, IFD_BENCH_OPTION_COUNT);
    assert_ok(ifd_options_parse(&o, n, argv, no_environment, &err), err);
    return ifd_bench_settings_make(&o, s, &err);
}
#define MAKE(s, ...) make((const char *const[]){__VA_ARGS__, NULL}, s)

static void settings(void **state)
{
    (void)state;
    struct ifd_bench_settings s;
    assert_ok(MAKE(&s, "http://[::1]:8000"), err);
    assert_string_equal(s.url.path, "/infer"); /* no path means this route */
    assert_string_equal(s.url.host, "::1");
    assert_int_equal(s.load.duration_ms, 10000);
    assert_ok(MAKE(&s, "http://h/"), err);
    assert_string_equal(s.url.path, "/"); /* a path is taken as it is */
    assert_ok(MAKE(&s, "http://h?x"), err);
    assert_string_equal(s.url.path, "/?x");
    assert_ok(MAKE(&s, "http://h", "--requests", "5"), err);
    assert_int_equal(s.load.duration_ms, 0);
    assert_ok(MAKE(&s, "http://h", "--header", "A: b", "--rate=7", "--header", "C:"), err);
    assert_int_equal(s.header_count, 2);
    assert_string_equal(s.headers[0], "A: b");
    assert_string_equal(s.headers[1], "C:");
    assert_true(s.load.rate == 7.0);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *args[5], *part;
    } bad[] = {
        {{"https://h/"}, "TLS is not spoken"},
        {{"h:8000"}, "must be an http:// URL, such as"},
        {{"http://h:0"}, "a port not in 1..65535"},
        {{"http://h", "--json", "--csv"}, "one of --json and --csv"},
        {{"http://h", "--arrivals", "poisson"}, "give a --rate too"},
        {{"http://h", "--method=GET", "--texts", "x"}, "leave --texts out"},
        {{"http://h", "--header", "novalue"}, "'Name: value'"},
        {{"http://h", "--header", "a b: c"}, "'Name: value'"},
        {{"http://h", "--header", ": c"}, "'Name: value'"},
        {{"http://h", "--header", "A: b\r\nC: d"}, "control character"},
        {{"http://h", "--header", "content-LENGTH: 5"}, "frames its requests itself"},
        {{"http://h", "--header", "Connection: close"}, "frames its requests itself"},
    };
    struct ifd_bench_settings s;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_fails(make(bad[i].args, &s), INFERD_INVALID_ARGUMENT, err, bad[i].part);
}

/* ---- requests ------------------------------------------------------------------------------ */

static struct ifd_bench_texts texts;
static struct ifd_bench_requests requests;
static struct ifd_url url;

static int three_texts(void **state)
{
    (void)state;
    ifd_bench_texts_init(&texts);
    assert_ok(ifd_url_parse("http://h:1/infer", &url, &err), err);
    assert_ok(ifd_bench_texts_add(&texts, "a\"b", 3, &err), err);
    assert_ok(ifd_bench_texts_add(&texts, "", 0, &err), err);
    assert_ok(ifd_bench_texts_add(&texts, "\xC3\xA9", 2, &err), err);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    ifd_bench_texts_fini(&texts);
    ifd_bench_requests_fini(&requests);
    return 0;
}

static void assert_request(size_t i, const char *want)
{
    size_t n;
    const char *got = ifd_bench_requests_get(&requests, i, &n);
    if (n != strlen(want) || memcmp(got, want, n) != 0)
        fail_msg("request %zu is\n%.*s\nnot\n%s", i, (int)n, got, want);
}

static void requests_in_order(void **state)
{
    (void)state;
    static const char *const headers[] = {"X-Request-Timeout-Ms: 5"};
    struct ifd_bench_head head = {.url = &url, .method = "POST"};
    assert_ok(ifd_bench_requests_make(&requests, &head, &texts, 2, false, 0, &err), err);
    assert_int_equal(requests.count, 3); /* two of three: the third begins as the first did */
    assert_request(0, "POST /infer HTTP/1.1\r\nHost: h:1\r\nUser-Agent: inferd-bench\r\n"
                      "Content-Type: application/json\r\nContent-Length: 22\r\n\r\n"
                      "{\"inputs\":[\"a\\\"b\",\"\"]}");
    assert_request(1, "POST /infer HTTP/1.1\r\nHost: h:1\r\nUser-Agent: inferd-bench\r\n"
                      "Content-Type: application/json\r\nContent-Length: 24\r\n\r\n"
                      "{\"inputs\":[\"\xC3\xA9\",\"a\\\"b\"]}");
    ifd_bench_requests_fini(&requests);
    assert_ok(ifd_bench_requests_make(&requests, &head, &texts, 6, false, 0, &err), err);
    assert_int_equal(requests.count, 1);
    ifd_bench_requests_fini(&requests);
    head = (struct ifd_bench_head){
        .url = &url, .method = "GET", .headers = headers, .header_count = 1};
    assert_ok(ifd_bench_requests_make(&requests, &head, NULL, 1, false, 0, &err), err);
    assert_request(7, "GET /infer HTTP/1.1\r\nHost: h:1\r\nUser-Agent: inferd-bench\r\n"
                      "X-Request-Timeout-Ms: 5\r\n\r\n");
}

static void requests_at_random(void **state)
{
    (void)state;
    const struct ifd_bench_head head = {.url = &url, .method = "POST"};
    struct ifd_bench_requests again, other;
    size_t n, m, same = 0;
    assert_ok(ifd_bench_requests_make(&requests, &head, &texts, 1, true, 5, &err), err);
    assert_ok(ifd_bench_requests_make(&again, &head, &texts, 1, true, 5, &err), err);
    assert_ok(ifd_bench_requests_make(&other, &head, &texts, 1, true, 6, &err), err);
    assert_int_equal(requests.count, IFD_BENCH_REQUESTS_RANDOM);
    for (size_t i = 0; i < requests.count; i++) {
        const char *a = ifd_bench_requests_get(&requests, i, &n);
        const char *b = ifd_bench_requests_get(&again, i, &m);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n);
        b = ifd_bench_requests_get(&other, i, &m);
        same += n == m && memcmp(a, b, n) == 0;
    }
    assert_true(same > requests.count / 4 && same < requests.count / 2); /* a third by chance */
    ifd_bench_requests_fini(&again);
    ifd_bench_requests_fini(&other);
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    const struct ifd_bench_head head = {.url = &url, .method = "POST"};
    inferd_status s = INFERD_NO_MEMORY;
    for (uint64_t after = 0; s; after++) {
        assert_true(after < 1000);
        ifd_bench_texts_fini(&texts);
        ifd_bench_texts_init(&texts);
        ifd_mem_fail_after(after, false);
        s = ifd_bench_texts_built_in(&texts, &err);
        if (!s)
            s = ifd_bench_requests_make(&requests, &head, &texts, 7, true, 1, &err);
        ifd_mem_fail_after(UINT64_MAX, false);
        assert_true(s == INFERD_OK || s == INFERD_NO_MEMORY);
    }
    assert_int_equal(requests.count, IFD_BENCH_REQUESTS_RANDOM);
}

static void the_built_in_texts(void **state)
{
    (void)state;
    ifd_bench_texts_fini(&texts);
    ifd_bench_texts_init(&texts);
    assert_ok(ifd_bench_texts_built_in(&texts, &err), err);
    assert_int_equal(texts.count, 40); /* the number that --help names */
}

/* ---- outcomes ------------------------------------------------------------------------------ */

static struct ifd_bench_tally tally;

static void the_law(void **state)
{
    (void)state;
    ifd_bench_tally_init(&tally);
    assert_true(ifd_bench_tally_holds(&tally));
    for (int i = 0; i < IFD_BENCH_OUTCOMES; i++) {
        ifd_bench_tally_begin(&tally);
        assert_false(ifd_bench_tally_holds(&tally)); /* one in flight */
        ifd_bench_tally_end(&tally, &(struct ifd_bench_end){.outcome = (enum ifd_bench_outcome)i,
                                                            .status = 200,
                                                            .due_ns = 1,
                                                            .sent_ns = 2,
                                                            .end_ns = 3});
        assert_true(ifd_bench_tally_holds(&tally));
    }
    assert_int_equal(ifd_bench_tally_ended(&tally), IFD_BENCH_OUTCOMES);
    /* broken twins: lost, counted twice, an answer without a status */
    tally.outcome[IFD_BENCH_TIMEOUT]--;
    assert_false(ifd_bench_tally_holds(&tally));
    tally.outcome[IFD_BENCH_TIMEOUT] += 2;
    assert_false(ifd_bench_tally_holds(&tally));
    tally.outcome[IFD_BENCH_TIMEOUT]--;
    tally.status[200]--;
    tally.status[500] += 2;
    assert_false(ifd_bench_tally_holds(&tally));
    ifd_bench_tally_fini(&tally);
}

static void end_with(int status, uint64_t due, uint64_t sent, uint64_t end)
{
    ifd_bench_tally_begin(&tally);
    ifd_bench_tally_end(&tally, &(struct ifd_bench_end){.outcome = IFD_BENCH_ANSWER,
                                                        .status = status,
                                                        .due_ns = due,
                                                        .sent_ns = sent,
                                                        .end_ns = end,
                                                        .in_time = end < 1000});
}

static void classes_times_and_rows(void **state)
{
    (void)state;
    size_t count;
    ifd_bench_tally_init(&tally);
    end_with(200, 10, 60, 100);
    end_with(204, 10, 60, 2000);
    end_with(429, 20, 30, 50);
    end_with(503, 20, 30, 50);
    end_with(404, 20, 30, 50);
    ifd_bench_tally_row(&tally, 1.0);
    ifd_bench_tally_last_row(&tally, 1.5); /* nothing in it: no row */
    end_with(200, 10, 60, 100);
    ifd_bench_tally_last_row(&tally, 2.0);
    assert_int_equal(tally.ok, 3);
    assert_int_equal(tally.ok_in_time, 2);
    assert_int_equal(tally.refused, 2);
    assert_int_equal(tally.ok_latency.min_ns, 90);
    assert_int_equal(tally.ok_service.min_ns, 40);
    assert_int_equal(tally.refused_latency.max_ns, 30);
    const struct ifd_bench_row *row = ifd_bench_tally_rows(&tally, &count);
    assert_int_equal(count, 2);
    assert_int_equal(row[0].begun, 5);
    assert_int_equal(row[0].ok, 2);
    assert_int_equal(row[0].refused, 2);
    assert_int_equal(row[0].failed, 1);
    assert_int_equal(row[1].ok, 1);
    assert_true(row[1].at_s == 2.0);
    ifd_bench_tally_fini(&tally);
}

static size_t cells(const char *line, size_t n)
{
    size_t count = 1;
    for (size_t i = 0; i < n; i++)
        count += line[i] == ',';
    return count;
}

static void reports(void **state)
{
    (void)state;
    static struct ifd_bench_wire wire;
    struct ifd_bench_settings s;
    struct ifd_bench_load_result result = {.window_s = 2.0, .elapsed_s = 2.5, .cpu_user_s = 2.4};
    const struct ifd_bench_report r = {
        .settings = &s, .wire = &wire, .tally = &tally, .result = &result};
    struct ifd_buf b;
    struct ifd_jsondoc *doc;
    assert_ok(MAKE(&s, "http://h/x", "--inputs", "3"), err);
    ifd_bench_tally_init(&tally);
    ifd_buf_init(&b, 1 << 20);
    ifd_bench_report_json(&r, &b); /* before anything happened: still JSON */
    assert_ok(ifd_jsondoc_parse(b.data, b.size, 1 << 20, &doc, &err), err);
    ifd_jsondoc_free(doc);
    ifd_buf_reset(&b);
    end_with(200, 10, 60, 100);
    end_with(503, 10, 60, 100);
    ifd_bench_tally_row(&tally, 1.0);
    assert_true(ifd_bench_saturated(&r));
    assert_true(ifd_bench_rates_of(&r).ok_per_s == 0.5);
    assert_true(ifd_bench_rates_of(&r).inputs_per_s == 1.5);
    ifd_bench_report_json(&r, &b);
    assert_ok(ifd_jsondoc_parse(b.data, b.size, 1 << 20, &doc, &err), err);
    ifd_jsondoc_free(doc);
    ifd_buf_reset(&b);
    ifd_bench_report_csv(&r, &b);
    const char *lf = memchr(b.data, '\n', b.size);
    assert_non_null(lf);
    size_t first = (size_t)(lf - b.data), second = b.size - first - 2;
    assert_int_equal(b.data[b.size - 1], '\n');
    assert_int_equal(cells(b.data, first), cells(lf + 1, second));
    ifd_buf_reset(&b);
    ifd_bench_report_text(&r, &b);
    assert_non_null(memmem(b.data, b.size, "holds", 5));
    assert_null(memmem(b.data, b.size, "DOES NOT", 8));
    ifd_buf_reset(&b);
    tally.begun++; /* broken twin */
    ifd_bench_report_text(&r, &b);
    assert_non_null(memmem(b.data, b.size, "DOES NOT HOLD", 13));
    ifd_buf_fini(&b);
    ifd_bench_tally_fini(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings),
        cmocka_unit_test(refusals),
        cmocka_unit_test_setup_teardown(requests_in_order, three_texts, drop),
        cmocka_unit_test_setup_teardown(requests_at_random, three_texts, drop),
        cmocka_unit_test_setup_teardown(no_memory_is_an_error, three_texts, drop),
        cmocka_unit_test_setup_teardown(the_built_in_texts, three_texts, drop),
        cmocka_unit_test(the_law),
        cmocka_unit_test(classes_times_and_rows),
        cmocka_unit_test(reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
