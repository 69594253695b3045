/* SPDX-License-Identifier: Apache-2.0
 *
 * The small parts of the server: the timer wheel, answer heads, dates, errors, and the
 * configuration.
 */
#include "test.h"

#include "server/http_response.h"
#include "server/server.h"
#include "server/wheel.h"

/* Every timer fires once, not before its time, and at most a tick after the wheel is asked. */
static void timers_fire_in_time(void **state)
{
    (void)state;
    enum { COUNT = 400 };
    static struct ifd_wheel w;
    static struct ifd_timer timers[COUNT];
    static uint64_t due[COUNT], fired[COUNT];
    uint32_t seed = 1;
    uint64_t now = 1234567;
    memset(timers, 0, sizeof(timers));
    memset(fired, 0, sizeof(fired));
    ifd_wheel_init(&w, now);
    for (unsigned i = 0; i < COUNT; i++) {
        seed = seed * 1664525u + 1013904223u;
        /* from 1 ms to three turns of the wheel */
        uint64_t ms = 1 + (seed >> 8) % (3 * IFD_WHEEL_TICK_MS * IFD_WHEEL_SLOTS);
        ifd_wheel_arm(&w, &timers[i], now, 99999999);
        ifd_wheel_arm(&w, &timers[i], now, ms); /* a re-arm counts, the first does not */
        due[i] = now + ms;
    }
    for (unsigned i = 0; i < COUNT; i += 10)
        ifd_wheel_disarm(&w, &timers[i]);
    assert_int_equal(w.armed, COUNT - COUNT / 10);
    while (w.armed > 0) {
        now += 37;
        for (struct ifd_timer *t; (t = ifd_wheel_expire(&w, now));) {
            size_t i = (size_t)(t - timers);
            assert_int_equal(fired[i], 0);
            fired[i] = now;
        }
    }
    for (unsigned i = 0; i < COUNT; i++) {
        if (i % 10 == 0) {
            assert_int_equal(fired[i], 0);
            continue;
        }
        assert_true(fired[i] >= due[i]);
        assert_true(fired[i] < due[i] + IFD_WHEEL_TICK_MS + 37);
    }
}

static void a_wheel_that_slept_wakes_up_right(void **state)
{
    (void)state;
    static struct ifd_wheel w;
    struct ifd_timer a = {0}, b = {0};
    ifd_wheel_init(&w, 0);
    uint64_t now = 86400000u * 400u; /* nothing was armed for 400 days */
    ifd_wheel_arm(&w, &a, now, 100);
    assert_null(ifd_wheel_expire(&w, now + 99));
    ifd_wheel_arm(&w, &b, now + 99, 0); /* at once is the next tick */
    assert_ptr_equal(ifd_wheel_expire(&w, now + 150), &a);
    assert_ptr_equal(ifd_wheel_expire(&w, now + 150), &b);
    assert_null(ifd_wheel_expire(&w, now + 10000));
    ifd_wheel_disarm(&w, &a); /* disarmed twice is fine */
    assert_int_equal(w.armed, 0);
}

static void answers_have_their_headers(void **state)
{
    (void)state;
    struct ifd_buf out;
    struct ifd_response r = {.status = 200,
                             .media_type = "application/json",
                             .keep_alive = true,
                             .body_size = 12,
                             .date = "D"};
    ifd_buf_init(&out, 4096);
    ifd_response_head(&out, &r);
    ifd_buf_add_char(&out, '\0');
    assert_string_equal(out.data, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                  "Content-Length: 12\r\nDate: D\r\n\r\n");
    ifd_buf_reset(&out);
    r = (struct ifd_response){
        .status = 405, .media_type = "m", .allow = "POST", .retry_after_s = 1, .date = "D"};
    ifd_response_head(&out, &r);
    ifd_buf_add_char(&out, '\0');
    assert_string_equal(out.data, "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: m\r\n"
                                  "Content-Length: 0\r\nDate: D\r\nAllow: POST\r\n"
                                  "Retry-After: 1\r\nConnection: close\r\n\r\n");
    ifd_buf_fini(&out);
}

/* Every status of the table that an answer can have has a reason phrase and the one shape. */
static void errors_have_one_shape(void **state)
{
    (void)state;
    for (int s = 1; strcmp(inferd_status_type((inferd_status)s), "unknown") != 0; s++) {
        struct ifd_buf out;
        inferd_error err = {.status = (inferd_status)s, .message = "say \"why\""};
        ifd_buf_init(&out, 4096);
        ifd_response_error(&out, &err, NULL);
        ifd_buf_add_char(&out, '\0');
        char want[300];
        snprintf(want, sizeof(want),
                 "{\"error\":{\"code\":%d,\"type\":\"%s\",\"message\":\"say \\\"why\\\"\"}}\n",
                 ifd_status_http(err.status), inferd_status_type(err.status));
        assert_string_equal(out.data, want);
        if (err.status != INFERD_CANCELLED) { /* nobody is there to read that one */
            struct ifd_response r = {
                .status = ifd_status_http(err.status), .media_type = "m", .date = "D"};
            ifd_buf_reset(&out);
            ifd_response_head(&out, &r);
            assert_true(out.size > 14 && out.data[13] != '\r'); /* "HTTP/1.1 400 " and a phrase */
        }
        ifd_buf_fini(&out);
    }
    struct ifd_buf out;
    inferd_error silent = {.status = INFERD_LOADING, .message = ""};
    ifd_buf_init(&out, 4096);
    ifd_response_error(&out, &silent, NULL);
    ifd_buf_add_char(&out, '\0');
    assert_non_null(strstr(out.data, inferd_status_text(INFERD_LOADING)));
    ifd_buf_fini(&out);
}

static void dates_are_those_of_http(void **state)
{
    (void)state;
    char date[IFD_HTTP_DATE_SIZE];
    ifd_http_date(date, 784111777);
    assert_string_equal(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    ifd_http_date(date, 1709164800);
    assert_string_equal(date, "Thu, 29 Feb 2024 00:00:00 GMT");
    ifd_http_date(date, (time_t)1 << 60); /* beyond the calendar: some date, no overrun */
    assert_int_equal(strlen(date), IFD_HTTP_DATE_SIZE - 1);
}

static void options_have_ranges(void **state)
{
    (void)state;
    inferd_error err;
    struct ifd_server_config c;
    ifd_server_config_defaults(&c);
    assert_fails(ifd_server_config_check(&c, &err), INFERD_INVALID_ARGUMENT, err, "--model");
    c.model_dir = "m";
    assert_ok(ifd_server_config_check(&c, &err), err);
#define EDGE(field, option, least, most)                                                           \
    do {                                                                                           \
        struct ifd_server_config e = c;                                                            \
        e.field = (least);                                                                         \
        assert_ok(ifd_server_config_check(&e, &err), err);                                         \
        e.field = (most);                                                                          \
        assert_ok(ifd_server_config_check(&e, &err), err);                                         \
        e.field = (most) + 1;                                                                      \
        assert_fails(ifd_server_config_check(&e, &err), INFERD_INVALID_ARGUMENT, err, option);     \
        if ((least) > 0) {                                                                         \
            e.field = (least)-1;                                                                   \
            assert_fails(ifd_server_config_check(&e, &err), INFERD_INVALID_ARGUMENT, err, option); \
        }                                                                                          \
    } while (0)
    EDGE(port, "--port", 0u, 65535u);
    EDGE(max_connections, "--max-connections", 1u, 1000000u);
    EDGE(threads, "--threads", 0u, 1024u);
    EDGE(http_threads, "--http-threads", 1u, 64u);
    EDGE(max_batch_tokens, "--max-batch-tokens", 3u, 1048576u);
    EDGE(max_batch_size, "--max-batch-size", 1u, 65536u);
    EDGE(batch_wait_us, "--batch-wait-us", 0u, 1000000u);
    EDGE(max_queue, "--max-queue", 128u, 1000000u); /* not below max_inputs */
    EDGE(max_queue_tokens, "--max-queue-tokens", 3u, 1073741824u);
    EDGE(max_inputs, "--max-inputs", 1u, 1024u); /* not above max_queue */
    EDGE(max_body_bytes, "--max-body-bytes", 2u, 1073741824u);
    EDGE(max_header_bytes, "--max-", 4096u, 1048576u); /* not below max_target_bytes */
    EDGE(max_headers, "--max-headers", 1u, 10000u);
    EDGE(max_target_bytes, "--max-target-bytes", 16u, 16384u);
    EDGE(keepalive_timeout_ms, "--keepalive-timeout", 1u, 86400000u);
    EDGE(header_timeout_ms, "--header-timeout", 1u, 86400000u);
    EDGE(body_timeout_ms, "--body-timeout", 1u, 86400000u);
    EDGE(write_timeout_ms, "--write-timeout", 1u, 86400000u);
    EDGE(request_timeout_ms, "--request-timeout", 1u, 86400000u);
    EDGE(drain_delay_ms, "--drain-delay", 0u, 86400000u);
    EDGE(drain_timeout_ms, "--drain-timeout", 1u, 86400000u);
    c.host = "";
    assert_fails(ifd_server_config_check(&c, &err), INFERD_INVALID_ARGUMENT, err, "--host");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_time),
        cmocka_unit_test(a_wheel_that_slept_wakes_up_right),
        cmocka_unit_test(answers_have_their_headers),
        cmocka_unit_test(errors_have_one_shape),
        cmocka_unit_test(dates_are_those_of_http),
        cmocka_unit_test(options_have_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
