/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of `inferd serve` against the server's own checks: the same defaults, and for every
 * number the same verdict at n - 1, n and n + 1 of both ends of its range.
 */
#include "test.h"

#include "cli/serve_options.h"

/* clang-format off */
#define NUMBERS(X)                                                                        \
    X(max_length) X(port) X(max_connections) X(threads) X(http_threads) X(max_batch_tokens) \
    X(max_batch_size) X(batch_wait_us) X(max_queue) X(max_queue_tokens) X(max_inputs)      \
    X(max_body_bytes) X(max_header_bytes) X(max_headers) X(max_target_bytes)               \
    X(keepalive_timeout_ms) X(header_timeout_ms) X(body_timeout_ms) X(write_timeout_ms)    \
    X(request_timeout_ms) X(max_queue_wait_ms) X(drain_delay_ms) X(drain_timeout_ms)       \
    X(otlp_sample_percent) X(rate_limit) X(rate_burst)
/* clang-format on */
#define NUMBER_COUNT 26

static inferd_error err;
static struct ifd_options o;

/* The numbers of a configuration (its padding says nothing). */
static void numbers_of(const struct ifd_server_config *c, uint32_t out[NUMBER_COUNT])
{
    size_t n = 0;
#define TAKE(field) out[n++] = c->field;
    NUMBERS(TAKE)
#undef TAKE
    assert_int_equal(n, NUMBER_COUNT);
}

static const char *no_environment(const char *name)
{
    (void)name;
    return NULL;
}

static inferd_status parse(const char *option, const char *text)
{
    char name[64];
    snprintf(name, sizeof(name), "--%s", option);
    char *argv[] = {name, (char *)(uintptr_t)text};
    ifd_options_init(&o, ifd_serve_options, IFD_SERVE_OPTION_COUNT);
    ifd_serve_prepare(&o);
    return ifd_options_parse(&o, 2, argv, no_environment, &err);
}

static void defaults_are_the_servers(void **state)
{
    (void)state;
    struct ifd_server_config want, got;
    ifd_options_init(&o, ifd_serve_options, IFD_SERVE_OPTION_COUNT);
    ifd_serve_prepare(&o);
    assert_ok(ifd_options_parse(&o, 0, NULL, no_environment, &err), err);
    ifd_server_config_defaults(&want);
    ifd_serve_config(&o, &got);
    uint32_t want_numbers[NUMBER_COUNT], got_numbers[NUMBER_COUNT];
    numbers_of(&want, want_numbers);
    numbers_of(&got, got_numbers);
    assert_memory_equal(got_numbers, want_numbers, sizeof(want_numbers));
    assert_string_equal(got.host, want.host);
    assert_null(got.tier);
    assert_string_equal(got.dtype, "auto");
    assert_int_equal(got.access_log, want.access_log);
    assert_int_equal(got.metrics_tei, want.metrics_tei);
    assert_false(got.metrics_tei);
    assert_ok(parse("metrics-compat", "tei"), err);
    struct ifd_server_config compatible;
    ifd_serve_config(&o, &compatible);
    assert_true(compatible.metrics_tei);
    assert_null(got.otlp_endpoint);
    assert_string_equal(got.otlp_service, want.otlp_service);
    assert_int_equal(got.ui, want.ui);
    assert_true(got.ui);
    got.model_dir = "m";
    assert_ok(ifd_server_config_check(&got, &err), err);
}

static bool is_number(const struct ifd_option *row)
{
    return row->kind == IFD_OPTION_COUNT || row->kind == IFD_OPTION_BYTES ||
           row->kind == IFD_OPTION_DURATION;
}

static inferd_status server_says(const char *option, uint64_t number)
{
    struct ifd_server_config c;
    /* past the range that parsing allows: put in directly */
    struct ifd_options raw;
    ifd_options_init(&raw, ifd_serve_options, IFD_SERVE_OPTION_COUNT);
    ifd_serve_prepare(&raw);
    for (size_t i = 0; i < IFD_SERVE_OPTION_COUNT; i++)
        if (ifd_serve_options[i].kind != IFD_OPTION_SECTION &&
            strcmp(ifd_serve_options[i].name, option) == 0)
            raw.value[i].number = number;
    ifd_serve_config(&raw, &c);
    c.model_dir = "m";
    /* rules between two options are not what is asked here */
    if (strcmp(option, "max-inputs") == 0)
        c.max_queue = 1000000;
    if (strcmp(option, "max-queue") == 0)
        c.max_inputs = 1;
    if (strcmp(option, "max-header-bytes") == 0)
        c.max_target_bytes = 16;
    if (strcmp(option, "max-target-bytes") == 0)
        c.max_header_bytes = 1u << 20;
    return ifd_server_config_check(&c, &err);
}

static void ranges_are_the_servers(void **state)
{
    (void)state;
    unsigned numbers = 0;
    for (size_t i = 0; i < IFD_SERVE_OPTION_COUNT; i++) {
        const struct ifd_option *row = &ifd_serve_options[i];
        if (!is_number(row))
            continue;
        numbers++;
        const uint64_t ends[] = {row->least, row->most};
        for (size_t e = 0; e < 2; e++) {
            for (int d = -1; d <= 1; d++) {
                if (ends[e] == 0 && d < 0)
                    continue;
                uint64_t n = d < 0 ? ends[e] - 1 : ends[e] + (uint64_t)d;
                bool within = n >= row->least && n <= row->most;
                char text[32];
                snprintf(text, sizeof(text), row->kind == IFD_OPTION_DURATION ? "%llums" : "%llu",
                         (unsigned long long)n);
                inferd_status ours = parse(row->name, text);
                assert_int_equal(ours, within ? INFERD_OK : INFERD_INVALID_ARGUMENT);
                inferd_status theirs = server_says(row->name, n);
                if (theirs != ours)
                    fail_msg("--%s %s: the table says %s, the server %s (%s)", row->name, text,
                             inferd_status_type(ours), inferd_status_type(theirs),
                             theirs ? err.message : "");
            }
        }
    }
    assert_int_equal(numbers, NUMBER_COUNT);
}

/* Each number has a field of its own: changing the option changes the configuration, and no two
 * options change it alike. */
static void every_option_reaches_its_field(void **state)
{
    (void)state;
    static uint32_t seen[NUMBER_COUNT][NUMBER_COUNT];
    uint32_t plain[NUMBER_COUNT];
    struct ifd_server_config c;
    size_t count = 0;
    ifd_options_init(&o, ifd_serve_options, IFD_SERVE_OPTION_COUNT);
    ifd_serve_prepare(&o);
    ifd_serve_config(&o, &c);
    numbers_of(&c, plain);
    for (size_t i = 0; i < IFD_SERVE_OPTION_COUNT; i++) {
        const struct ifd_option *row = &ifd_serve_options[i];
        if (!is_number(row))
            continue;
        char text[32];
        snprintf(text, sizeof(text), row->kind == IFD_OPTION_DURATION ? "%llums" : "%llu",
                 (unsigned long long)row->least + 8);
        assert_ok(parse(row->name, text), err);
        ifd_serve_config(&o, &c);
        numbers_of(&c, seen[count]);
        size_t changed = 0;
        for (size_t k = 0; k < NUMBER_COUNT; k++)
            changed += seen[count][k] != plain[k];
        assert_int_equal(changed, 1);
        for (size_t j = 0; j < count; j++)
            assert_memory_not_equal(seen[count], seen[j], sizeof(plain));
        count++;
    }
    assert_int_equal(count, NUMBER_COUNT);
}

static void the_page_can_be_switched_off(void **state)
{
    (void)state;
    struct ifd_server_config c;
    assert_ok(parse("ui", "off"), err);
    ifd_serve_config(&o, &c);
    assert_false(c.ui);
    assert_ok(parse("ui", "on"), err);
    ifd_serve_config(&o, &c);
    assert_true(c.ui);
    assert_int_equal(parse("ui", "yes"), INFERD_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_servers),
        cmocka_unit_test(ranges_are_the_servers),
        cmocka_unit_test(the_page_can_be_switched_off),
        cmocka_unit_test(every_option_reaches_its_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
