/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/mem.h"

static void sizes_and_zeroes(void **state)
{
    (void)state;
    char *p = ifd_alloc(0);
    assert_non_null(p);
    ifd_free(p);
    unsigned char *z = ifd_zalloc(1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(z[i], 0);
    z = ifd_realloc(z, 2000);
    assert_non_null(z);
    assert_int_equal(z[999], 0);
    ifd_free(z);
    uint64_t *a = ifd_zalloc_array(100, sizeof(*a));
    assert_non_null(a);
    assert_int_equal(a[99], 0);
    ifd_free(a);
    char *s = ifd_strndup("abcdef", 3);
    assert_string_equal(s, "abc");
    ifd_free(s);
    ifd_free(NULL);
}

static void products_are_checked(void **state)
{
    (void)state;
    size_t out = 7;
    assert_false(ifd_size_mul(SIZE_MAX / 2 + 1, 2, &out));
    assert_true(ifd_size_mul(SIZE_MAX / 2, 2, &out));
    assert_int_equal(out, SIZE_MAX - 1);
    assert_false(ifd_size_add(SIZE_MAX, 1, &out));
    assert_true(ifd_size_add(SIZE_MAX - 1, 1, &out));
    assert_null(ifd_alloc_array(SIZE_MAX / 8 + 1, 8));
    assert_null(ifd_zalloc_array((size_t)1 << 33, (size_t)1 << 33));
    assert_null(ifd_zalloc_aligned(SIZE_MAX - 8));
}

static void aligned_blocks(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, (size_t)4 << 20, ((size_t)4 << 20) + 1};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned char *p = ifd_zalloc_aligned(sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % IFD_CACHE_LINE, 0);
        for (size_t k = 0; k < sizes[i]; k += 61)
            assert_int_equal(p[k], 0);
        if (sizes[i])
            assert_int_equal(p[sizes[i] - 1], 0);
        ifd_free(p);
    }
}

static unsigned try_all(void)
{
    unsigned failed = 0;
    void *p;
#define TRY(call) failed = failed << 1 | !(p = (call)), ifd_free(p)
    TRY(ifd_alloc(8));
    TRY(ifd_zalloc(8));
    TRY(ifd_realloc(NULL, 8));
    TRY(ifd_alloc_array(2, 8));
    TRY(ifd_zalloc_array(2, 8));
    TRY(ifd_zalloc_aligned(8));
    TRY(ifd_strndup("x", 1));
#undef TRY
    return failed;
}

static void every_call_counts_and_can_fail(void **state)
{
    (void)state;
    uint64_t before = ifd_mem_calls();
    assert_int_equal(try_all(), 0);
    assert_int_equal(ifd_mem_calls() - before, 7);
    for (unsigned i = 0; i < 7; i++) {
        ifd_mem_fail_after(i, false);
        assert_int_equal(try_all(), 1u << (6 - i));
        ifd_mem_fail_after(i, true);
        assert_int_equal(try_all(), (1u << (7 - i)) - 1);
    }
    ifd_mem_fail_after(UINT64_MAX, false);
    assert_int_equal(try_all(), 0);
}

static void a_failed_realloc_keeps_the_block(void **state)
{
    (void)state;
    char *p = ifd_strndup("keep", 4);
    ifd_mem_fail_after(0, false);
    assert_null(ifd_realloc(p, 1 << 20));
    assert_string_equal(p, "keep");
    ifd_mem_fail_after(UINT64_MAX, false);
    ifd_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_zeroes),
        cmocka_unit_test(products_are_checked),
        cmocka_unit_test(aligned_blocks),
        cmocka_unit_test(every_call_counts_and_can_fail),
        cmocka_unit_test(a_failed_realloc_keeps_the_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
