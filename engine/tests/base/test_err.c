/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/utf8.h"

static void the_table_is_consistent(void **state)
{
    (void)state;
#define ROW(name, code, type, text, http, retry)                  \
    assert_int_equal(INFERD_##name, code);                        \
    assert_string_equal(inferd_status_type(INFERD_##name), type); \
    assert_string_equal(inferd_status_text(INFERD_##name), text); \
    assert_int_equal(ifd_status_http(INFERD_##name), http);       \
    assert_int_equal(!!ifd_status_retryable(INFERD_##name), retry);
    INFERD_STATUS_MAP(ROW)
#undef ROW
    static const char *const types[] = {
#define TYPE(name, code, type, text, http, retry) type,
        INFERD_STATUS_MAP(TYPE)
#undef TYPE
    };
    const size_t n = sizeof(types) / sizeof(types[0]);
    for (size_t i = 0; i < n; i++) /* metrics labels and clients tell errors apart by type */
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(types[i], types[j]);
    /* only success is a 2xx; what may be retried says so by its status too */
    for (size_t i = 1; i < n; i++) {
        assert_true(ifd_status_http((inferd_status)i) >= 400);
        assert_true(ifd_status_http((inferd_status)i) < 600);
    }
}

static void unknown_codes_are_harmless(void **state)
{
    (void)state;
    assert_string_equal(inferd_status_type((inferd_status)9999), "unknown");
    assert_string_equal(inferd_status_text((inferd_status)9999), "unknown status");
    assert_string_equal(inferd_status_type((inferd_status)-1), "unknown");
    assert_int_equal(ifd_status_http((inferd_status)9999), 500);
    assert_int_equal(ifd_status_retryable((inferd_status)9999), 0);
}

static void failing_fills_the_error(void **state)
{
    (void)state;
    inferd_error err = {0};
    assert_int_equal(ifd_fail(&err, INFERD_IO, "%s: %d", "file", 7), INFERD_IO);
    assert_int_equal(err.status, INFERD_IO);
    assert_string_equal(err.message, "file: 7");
    assert_int_equal(ifd_fail_prefix(&err, "model %d", 3), INFERD_IO);
    assert_string_equal(err.message, "model 3: file: 7");
    assert_int_equal(ifd_fail(NULL, INFERD_DEADLINE, "nobody reads this"), INFERD_DEADLINE);
    assert_int_equal(ifd_fail_prefix(NULL, "nor this"), INFERD_INTERNAL);
}

/* Messages carry file names and tokens: a cut must not leave half a character. */
static void long_messages_are_cut_at_a_character(void **state)
{
    (void)state;
    static const char *const units[] = {"a", "\xC3\xA9", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80"};
    for (size_t u = 0; u < 4; u++) {
        for (size_t lead = 0; lead < 8; lead++) {
            char text[1024];
            size_t n = lead, k = strlen(units[u]);
            memset(text, 'x', lead);
            while (n + k < sizeof(text) - 1) {
                memcpy(text + n, units[u], k);
                n += k;
            }
            text[n] = '\0';
            inferd_error err;
            ifd_fail(&err, INFERD_IO, "%s", text);
            size_t size = strlen(err.message);
            assert_true(size < sizeof(err.message) && size > sizeof(err.message) - 8);
            assert_int_equal(ifd_utf8_check(err.message, size), size);
            ifd_fail_prefix(&err, "prefix");
            size = strlen(err.message);
            assert_int_equal(ifd_utf8_check(err.message, size), size);
            assert_memory_equal(err.message, "prefix: ", 8);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_consistent),
        cmocka_unit_test(unknown_codes_are_harmless),
        cmocka_unit_test(failing_fills_the_error),
        cmocka_unit_test(long_messages_are_cut_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
