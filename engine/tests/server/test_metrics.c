/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of the metrics that need no server: names of requests, the text format, shards with
 * more routes and labels than places, what a status means, and the signal to scale on.
 */
#include "test.h"

#include <string.h>

#include "base/mem.h"
#include "server/ident.h"
#include "sched/load_signal.h"
#include "server/metrics.h"
#include "server/metrics_text.h"
#include "server/outcome.h"
#include "server/process_stats.h"

static void safe_ids(void **state)
{
    (void)state;
    char id[IFD_REQUEST_ID_MAX + 2];
    memset(id, 'a', sizeof(id));
    id[IFD_REQUEST_ID_MAX] = '\0';
    assert_true(ifd_ident_is_safe(id));
    assert_true(ifd_ident_is_safe(id + IFD_REQUEST_ID_MAX - 1));
    id[IFD_REQUEST_ID_MAX] = 'a';
    id[IFD_REQUEST_ID_MAX + 1] = '\0';
    assert_false(ifd_ident_is_safe(id));
    assert_false(ifd_ident_is_safe(""));
    assert_true(ifd_ident_is_safe("Root=1-67891233-abcdef012345678912345678"));
    assert_true(ifd_ident_is_safe("a/b+c=@:._-Z09"));
    for (int c = 1; c < 256; c++) {
        const char one[] = {'a', (char)c, '\0'};
        const bool plain =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        assert_int_equal(ifd_ident_is_safe(one), plain || strchr("-_.:/+=@", c) != NULL);
    }
}

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static void traceparents(void **state)
{
    (void)state;
    static const char *const good[] = {
        "00-" TRACE "-" PARENT "-01",
        "00-" TRACE "-" PARENT "-00",
        "cc-" TRACE "-" PARENT "-01",
        "cc-" TRACE "-" PARENT "-01-what-comes-later",
    };
    static const char *const bad[] = {
        "",
        "0",
        "00-",
        "00-" TRACE,
        "00-" TRACE "-" PARENT,
        "00-" TRACE "-" PARENT "-0",
        "00-" TRACE "-" PARENT "-01-more", /* version 00 has no more */
        "00-" TRACE "-" PARENT "-01 ",
        "cc-" TRACE "-" PARENT "-01.more",
        "ff-" TRACE "-" PARENT "-01",
        "0x-" TRACE "-" PARENT "-01",
        "00_" TRACE "-" PARENT "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-" TRACE "-00f067aa0ba902bg-01",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct ifd_ident id;
        ifd_ident_clear(&id);
        assert_true(ifd_ident_parse_traceparent(good[i], &id));
        assert_string_equal(id.trace, TRACE);
        assert_string_equal(id.parent, PARENT);
        assert_int_equal(id.sampled, good[i][54] == '1');
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ifd_ident id = {.trace = "kept", .parent = "too"};
        assert_false(ifd_ident_parse_traceparent(bad[i], &id));
        assert_string_equal(id.trace, "kept");
        assert_string_equal(id.parent, "too");
        assert_false(id.sampled);
    }
}

static void made_ids_differ(void **state)
{
    (void)state;
    struct ifd_ident_source a, b;
    static char seen[4000][IFD_TRACE_ID_SIZE + 1];
    ifd_ident_source_init(&a);
    ifd_ident_source_init(&b);
    for (unsigned i = 0; i < 4000; i++) {
        struct ifd_ident id;
        ifd_ident_clear(&id);
        const char *s = ifd_ident_id(&id, i % 2 ? &a : &b);
        assert_int_equal(strlen(s), 32);
        assert_int_equal(strspn(s, "0123456789abcdef"), 32);
        assert_ptr_equal(ifd_ident_id(&id, &a), s); /* once made, it stays */
        memcpy(seen[i], s, 33);
        for (unsigned k = i >= 50 ? i - 50 : 0; k < i; k++)
            assert_string_not_equal(seen[k], s);
    }
}

static void the_text_format(void **state)
{
    (void)state;
    struct ifd_buf out;
    ifd_buf_init(&out, 1 << 20);
    struct ifd_mtext m = {.out = &out};
    ifd_mtext_family(&m, IFD_MTYPE_COUNTER, "a_total", "Some.");
    const struct ifd_mlabel labels[] = {{"k", "q\"b\\n\nu\xC3\xA9"}, {"l", "bad\xFF"}};
    ifd_mtext_u64(&m, labels, 2, UINT64_MAX);
    ifd_mtext_scaled(&m, NULL, 0, 1500000000, 9);
    ifd_mtext_scaled(&m, NULL, 0, 7, 9);
    ifd_mtext_scaled(&m, NULL, 0, 0, 6);
    ifd_mtext_f64(&m, NULL, 0, 0.25);
    static const uint64_t bounds[] = {100000, 2000000000};
    struct ifd_hist_scale scale;
    struct ifd_hist_view v = {.scale = &scale, .sum = 2000000001, .count = 3, .counts = {1, 1, 1}};
    ifd_hist_scale_make(&scale, bounds, 2, 9);
    ifd_mtext_family(&m, IFD_MTYPE_HISTOGRAM, "h_seconds", "H.");
    ifd_mtext_hist(&m, &(const struct ifd_mlabel){"s", "x"}, 1, &v);
    ifd_buf_add_char(&out, '\0');
    assert_false(out.failed);
    assert_string_equal(out.data,
                        "# HELP a_total Some.\n# TYPE a_total counter\n"
                        "a_total{k=\"q\\\"b\\\\n\\nu\xC3\xA9\",l=\"bad?\"} 18446744073709551615\n"
                        "a_total 1.5\na_total 0.000000007\na_total 0\na_total 0.25\n"
                        "# HELP h_seconds H.\n# TYPE h_seconds histogram\n"
                        "h_seconds_bucket{s=\"x\",le=\"0.0001\"} 1\n"
                        "h_seconds_bucket{s=\"x\",le=\"2\"} 2\n"
                        "h_seconds_bucket{s=\"x\",le=\"+Inf\"} 3\n"
                        "h_seconds_sum{s=\"x\"} 2.000000001\nh_seconds_count{s=\"x\"} 3\n");
    ifd_buf_fini(&out);
}

static void the_openmetrics_format(void **state)
{
    (void)state;
    struct ifd_buf out;
    ifd_buf_init(&out, 1 << 20);
    struct ifd_mtext m = {.out = &out, .open_metrics = true};
    ifd_mtext_family(&m, IFD_MTYPE_COUNTER, "a_total", "Some.");
    ifd_mtext_u64(&m, NULL, 0, 7);
    ifd_mtext_family(&m, IFD_MTYPE_COUNTER, "te_request_count", "Theirs.");
    ifd_mtext_u64(&m, NULL, 0, 8);
    ifd_mtext_family(&m, IFD_MTYPE_GAUGE, "b_total", "No counter.");
    ifd_mtext_u64(&m, NULL, 0, 9);
    ifd_mtext_family(&m, IFD_MTYPE_GAUGE, "c", "Now.");
    ifd_mtext_family(&m, IFD_MTYPE_COUNTER, "c_total", "Ever.");
    ifd_mtext_u64(&m, NULL, 0, 10);
    static const uint64_t bounds[] = {100000, 2000000000};
    static struct ifd_exemplars kept;
    struct ifd_exemplar shown[IFD_EXEMPLARS] = {0};
    struct ifd_hist_scale scale;
    struct ifd_hist_view v = {.scale = &scale, .sum = 2000000001, .count = 3, .counts = {1, 1, 1}};
    ifd_hist_scale_make(&scale, bounds, 2, 9);
    ifd_exemplars_init(&kept);
    ifd_exemplars_keep(&kept, &scale, "00000000000000000000000000000001", 1900000000, 16);
    ifd_exemplars_keep(&kept, &scale, TRACE, 54000000, 17); /* the last of its bucket stays */
    ifd_exemplars_keep(&kept, &scale, "00000000000000000000000000000002", 2000000001, 18);
    ifd_exemplars_merge(&kept, shown);
    ifd_exemplars_keep(&kept, &scale, "00000000000000000000000000000003", 3000000000, 12);
    ifd_exemplars_merge(&kept, shown); /* another thread's, but it is older */
    ifd_exemplars_fini(&kept);
    for (unsigned i = 0; i < 2; i++) { /* of one histogram only */
        m.exemplars = i ? m.exemplars : shown;
        ifd_mtext_family(&m, IFD_MTYPE_HISTOGRAM, i ? "i" : "h", "H.");
        ifd_mtext_hist(&m, NULL, 0, &v);
    }
    ifd_mtext_end(&m);
    ifd_buf_add_char(&out, '\0');
    assert_false(out.failed);
    assert_string_equal(out.data,
                        "# HELP a Some.\n# TYPE a counter\na_total 7\n"
                        "# HELP te_request_count Theirs.\n# TYPE te_request_count unknown\n"
                        "te_request_count 8\n"
                        "# HELP b_total No counter.\n# TYPE b_total gauge\nb_total 9\n"
                        "# HELP c Now.\n# TYPE c gauge\n"
                        "# HELP c_total Ever.\n# TYPE c_total unknown\nc_total 10\n"
                        "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"0.0001\"} 1\n"
                        "h_bucket{le=\"2\"} 2 # {trace_id=\"" TRACE "\"} 0.054 17\n"
                        "h_bucket{le=\"+Inf\"} 3 # {trace_id=\"00000000000000000000000000000002\"} "
                        "2.000000001 18\n"
                        "h_sum 2.000000001\nh_count 3\n"
                        "# HELP i H.\n# TYPE i histogram\ni_bucket{le=\"0.0001\"} 1\n"
                        "i_bucket{le=\"2\"} 2\ni_bucket{le=\"+Inf\"} 3\n"
                        "i_sum 2.000000001\ni_count 3\n# EOF\n");
    ifd_buf_fini(&out);
}

static uint64_t total_of_labels(const struct ifd_metrics_io *m)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < m->labels; i++)
        total += m->label[i].count;
    return total;
}

static void labels_are_bounded_and_lose_nothing(void **state)
{
    (void)state;
    struct ifd_metrics_io *m = ifd_zalloc(sizeof(*m));
    char name[200];
    ifd_metrics_io_init(m);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 100; i++) {
            snprintf(name, sizeof(name), "label %u", i);
            ifd_metrics_count_result(m, name, 0.75f);
        }
    assert_int_equal(m->labels, IFD_METRICS_LABELS_MAX);
    assert_string_equal(m->label[0].name, "label 0");
    assert_int_equal(m->label[0].count, 2);
    assert_string_equal(m->label[IFD_METRICS_LABELS_MAX - 1].name, "__other__");
    assert_int_equal(m->label[IFD_METRICS_LABELS_MAX - 1].count, 2 * (100 - 63));
    assert_int_equal(total_of_labels(m), 200);
    assert_int_equal(m->confidence.sum, 200 * UINT64_C(750000));
    ifd_free(m);
    m = ifd_zalloc(sizeof(*m)); /* a long name is cut at a character, and found again */
    ifd_metrics_io_init(m);
    memset(name, 'x', sizeof(name));
    memcpy(name + 62, "\xC3\xA9", 2);
    name[150] = '\0';
    ifd_metrics_count_result(m, name, 2.0f);
    ifd_metrics_count_result(m, name, -1.0f);
    assert_int_equal(m->labels, 1);
    assert_int_equal(strlen(m->label[0].name), 62);
    assert_int_equal(m->label[0].count, 2);
    assert_int_equal(m->confidence.sum, 1000000);
    ifd_free(m);
}

static void routes_and_codes_are_bounded(void **state)
{
    (void)state;
    static const char paths[80][4];
    struct ifd_metrics_io *m = ifd_zalloc(sizeof(*m));
    ifd_metrics_io_init(m);
    for (unsigned i = 0; i < 80; i++)
        for (int code = 200; code < 600; code++)
            ifd_metrics_count_answer(m, i ? paths[i] : NULL, code);
    uint64_t total = 0, other_code = 0;
    for (unsigned i = 0; i < IFD_METRICS_ROUTES_MAX; i++)
        for (unsigned c = 0; c < IFD_METRICS_CODES_MAX; c++) {
            total += m->routes[i].codes[c];
            if (strcmp(ifd_metrics_code_name(c), "other") == 0)
                other_code += m->routes[i].codes[c];
        }
    assert_int_equal(total, 80 * 400);
    assert_int_equal(other_code, 80 * (400 - 24));
    assert_string_equal(m->routes[0].path, "other");
    assert_string_equal(m->routes[IFD_METRICS_ROUTES_MAX - 1].path, "other");
    assert_null(ifd_metrics_code_name(IFD_METRICS_CODES_MAX));
    ifd_free(m);
}

static void what_a_status_means(void **state)
{
    (void)state;
#define CHECK(name, code, type, text, http, retry)                               \
    {                                                                            \
        enum ifd_outcome o = ifd_outcome_of(INFERD_##name);                      \
        assert_true(o != IFD_OUTCOME_CANCELLED && o != IFD_OUTCOME_DRAINED);     \
        assert_int_equal(o == IFD_OUTCOME_OK, (http) == 200);                    \
        assert_int_equal(o == IFD_OUTCOME_SHED, (http) == 429 || (http) == 503); \
        assert_int_equal(o == IFD_OUTCOME_DEADLINE, (http) == 504);              \
        if ((http) == 500)                                                       \
            assert_int_equal(o, IFD_OUTCOME_FAULT);                              \
        if ((http) >= 400 && (http) < 429)                                       \
            assert_int_equal(o, IFD_OUTCOME_CLIENT_ERROR);                       \
    }
    INFERD_STATUS_MAP(CHECK)
    assert_int_equal(ifd_outcome_of(INFERD_NOT_IMPLEMENTED), IFD_OUTCOME_CLIENT_ERROR);
}

#define S UINT64_C(1000000000)

static struct ifd_load_sample sample(uint64_t at_ns, uint64_t busy_ns, uint64_t tokens)
{
    return (struct ifd_load_sample){.at_ns = at_ns, .busy_ns = busy_ns, .tokens = tokens};
}

static void assert_near(double got, double want)
{
    assert_true(got > want - 1e-9 && got < want + 1e-9);
}

static void saturation(void **state)
{
    (void)state;
    struct ifd_load_signal s;
    ifd_load_signal_init(&s, 2, 0);
    struct ifd_load_reading l = ifd_load_signal_read(&s, sample(S, 0, 0), 0);
    assert_near(l.saturation_ratio, 0.0);
    /* both threads busy for 10 s, 1000 tokens a second: at capacity, nothing waits */
    l = ifd_load_signal_read(&s, sample(11 * S, 20 * S, 10000), 0);
    assert_near(l.saturation_ratio, 1.0); /* since the sample at 1 s */
    l = ifd_load_signal_read(&s, sample(21 * S, 40 * S, 20000), 0);
    assert_near(l.saturation_ratio, 1.0);
    /* a queue of half a second on top */
    l = ifd_load_signal_read(&s, sample(31 * S, 60 * S, 30000), 500);
    assert_near(l.wait_s, 0.5);
    assert_near(l.saturation_ratio, 1.5);
    /* reads in quick succession share one window */
    for (unsigned i = 0; i < 100; i++)
        l = ifd_load_signal_read(&s, sample(31 * S + i * 1000000, 60 * S, 30000), 1000);
    assert_near(l.wait_s, 1.0);
    /* idle again: what waits is judged by the speed since the start */
    for (unsigned i = 0; i < 12; i++)
        l = ifd_load_signal_read(&s, sample((32 + i) * S, 60 * S, 30000), 100);
    assert_near(l.busy_ratio, 0.0);
    assert_near(l.wait_s, 0.1);
    ifd_load_signal_fini(&s);
}

static void the_process(void **state)
{
    (void)state;
    struct ifd_process_stats p;
    ifd_process_stats_read(&p);
    assert_true(p.cpu_seconds >= 0.0 && p.cpu_seconds < 3600.0);
    assert_true(p.resident_bytes > 65536.0 && p.open_fds >= 3.0);
    if (!test_emulated()) /* qemu's /proc/self/stat has few fields */
        assert_true(p.virtual_bytes >= p.resident_bytes && p.threads >= 1.0);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    assert_true(p.start_seconds > (double)now.tv_sec - 3600.0 &&
                p.start_seconds <= (double)now.tv_sec + 2.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safe_ids),
        cmocka_unit_test(traceparents),
        cmocka_unit_test(made_ids_differ),
        cmocka_unit_test(the_text_format),
        cmocka_unit_test(the_openmetrics_format),
        cmocka_unit_test(labels_are_bounded_and_lose_nothing),
        cmocka_unit_test(routes_and_codes_are_bounded),
        cmocka_unit_test(what_a_status_means),
        cmocka_unit_test(saturation),
        cmocka_unit_test(the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
