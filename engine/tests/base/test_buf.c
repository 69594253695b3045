/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/buf.h"
#include "base/mem.h"

/* For limits around the growth steps: n - 1, n and n + 1 bytes, in one append and in many. */
static void the_maximum_is_exact(void **state)
{
    (void)state;
    static const size_t limits[] = {1, 2, 255, 256, 257, 1000, 4096, 100000};
    static char bytes[100001];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 31);
    for (size_t l = 0; l < sizeof(limits) / sizeof(limits[0]); l++) {
        for (size_t n = limits[l] - 1; n <= limits[l] + 1; n++) {
            for (size_t step = 1; step <= n + 1; step = step * 7 + 1) {
                struct ifd_buf b;
                ifd_buf_init(&b, limits[l]);
                for (size_t at = 0; at < n; at += step)
                    ifd_buf_add(&b, bytes + at, n - at < step ? n - at : step);
                assert_int_equal(b.failed, n > limits[l]);
                assert_true(b.size <= limits[l]);
                if (!b.failed)
                    assert_int_equal(b.size, n);
                if (b.size)
                    assert_memory_equal(b.data, bytes, b.size);
                ifd_buf_fini(&b);
            }
        }
    }
}

static void after_a_failure_nothing_is_added(void **state)
{
    (void)state;
    struct ifd_buf b;
    ifd_buf_init(&b, 10);
    ifd_buf_add_str(&b, "12345");
    ifd_buf_add_str(&b, "too long for it");
    assert_true(b.failed);
    ifd_buf_add_char(&b, 'x'); /* would fit, but a hole before it would be a lie */
    ifd_buf_printf(&b, "%d", 1);
    assert_null(ifd_buf_reserve(&b, 1));
    assert_int_equal(b.size, 5);
    ifd_buf_reset(&b);
    assert_false(b.failed);
    ifd_buf_add_str(&b, "1234567890");
    assert_false(b.failed);
    assert_int_equal(b.size, 10);
    ifd_buf_fini(&b);
    assert_null(b.data);
}

static void printf_and_pieces(void **state)
{
    (void)state;
    struct ifd_buf b;
    ifd_buf_init(&b, 10000);
    ifd_buf_printf(&b, "%s-%d", "a", 5);
    ifd_buf_printf(&b, "%0600d", 1); /* longer than the buffer that vprintf starts with */
    assert_int_equal(b.size, 603);
    assert_int_equal(b.data[602], '1');
    ifd_buf_consume(&b, 600);
    assert_int_equal(b.size, 3);
    assert_memory_equal(b.data, "001", 3);
    ifd_buf_consume(&b, 3);
    ifd_buf_consume(&b, 0);
    assert_int_equal(b.size, 0);
    char *to = ifd_buf_reserve(&b, 4);
    assert_non_null(to);
    memcpy(to, "abcd", 4);
    ifd_buf_commit(&b, 2);
    assert_int_equal(b.size, 2);
    assert_memory_equal(b.data, "ab", 2);
    ifd_buf_fini(&b);
}

static void huge_sizes_do_not_wrap(void **state)
{
    (void)state;
    struct ifd_buf b;
    ifd_buf_init(&b, SIZE_MAX);
    ifd_buf_add_str(&b, "abc");
    assert_null(ifd_buf_reserve(&b, SIZE_MAX - 2)); /* 3 + that wraps */
    assert_true(b.failed);
    assert_int_equal(b.size, 3);
    ifd_buf_fini(&b);
}

static void no_memory_is_a_failure_like_the_limit(void **state)
{
    (void)state;
    struct ifd_buf b;
    ifd_buf_init(&b, 10000);
    ifd_buf_add_str(&b, "kept");
    ifd_mem_fail_after(0, true);
    for (unsigned i = 0; i < 1000; i++)
        ifd_buf_add_char(&b, 'x');
    ifd_mem_fail_after(UINT64_MAX, false);
    assert_true(b.failed);
    assert_memory_equal(b.data, "kept", 4);
    ifd_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_maximum_is_exact),
        cmocka_unit_test(after_a_failure_nothing_is_added),
        cmocka_unit_test(printf_and_pieces),
        cmocka_unit_test(huge_sizes_do_not_wrap),
        cmocka_unit_test(no_memory_is_a_failure_like_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
