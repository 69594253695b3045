/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "cli/bench_arrivals.h"
#include "cli/bench_hist.h"

static struct ifd_bench_hist h; /* too large for some stacks */

static int empty(void **state)
{
    (void)state;
    ifd_bench_hist_clear(&h);
    return 0;
}

static void nothing_in_it(void **state)
{
    (void)state;
    assert_int_equal(ifd_bench_hist_percentile(&h, 500000), 0);
    assert_true(ifd_bench_hist_mean(&h) == 0.0);
}

/* From nanoseconds to minutes, at, below and above each bucket's and each power's edge. */
static void one_value_comes_back_within_half_a_percent(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < IFD_BENCH_HIST_TOP; bit++) {
        for (int off = -1; off <= 1; off++) {
            for (uint64_t part = 0; part < 256; part++) {
                uint64_t base = (uint64_t)1 << bit, v = base + base * part / 256 + (uint64_t)off;
                if (v == 0 || v >> IFD_BENCH_HIST_TOP)
                    continue;
                /* beside a larger and a smaller one: alone it would be clipped to itself */
                ifd_bench_hist_clear(&h);
                ifd_bench_hist_add(&h, 0);
                ifd_bench_hist_add(&h, v);
                ifd_bench_hist_add(&h, UINT64_MAX / 4);
                double got = (double)ifd_bench_hist_percentile(&h, 500000);
                double error = (got - (double)v) / (double)v;
                if (error > 0.005 || error < -0.005)
                    fail_msg("%llu came back as %.0f", (unsigned long long)v, got);
            }
        }
    }
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void percentiles_are_those_of_the_sorted_values(void **state)
{
    (void)state;
    enum { N = 20000 };
    static uint64_t v[N];
    static const uint32_t ppm[] = {1, 500000, 900000, 950000, 990000, 999000, 1000000};
    uint64_t seed = 7, sum = 0;
    for (size_t i = 0; i < N; i++) {
        v[i] = ifd_bench_random(&seed) >> (24 + ifd_bench_random(&seed) % 36);
        sum += v[i];
        ifd_bench_hist_add(&h, v[i]);
    }
    qsort(v, N, sizeof(v[0]), ascending);
    for (size_t i = 0; i < sizeof(ppm) / sizeof(ppm[0]); i++) {
        size_t rank = (size_t)(((uint64_t)N * ppm[i] + 999999) / 1000000);
        double want = (double)v[rank - 1], got = (double)ifd_bench_hist_percentile(&h, ppm[i]);
        if (got < want * 0.995 - 1 || got > want * 1.005 + 1)
            fail_msg("%u ppm: want %.0f, got %.0f", ppm[i], want, got);
    }
    assert_true(ifd_bench_hist_mean(&h) == (double)sum / N);
    assert_int_equal(h.min_ns, v[0]);
    assert_int_equal(h.max_ns, v[N - 1]);
}

static void the_rank_is_exact(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 1000; i++) /* p99.9 of 1000 values is the 999th, not the largest */
        ifd_bench_hist_add(&h, i == 1000 ? 1000000 : 10);
    assert_int_equal(ifd_bench_hist_percentile(&h, 999000), 10);
    assert_int_equal(ifd_bench_hist_percentile(&h, 999001), 1000000);
    ifd_bench_hist_add(&h, UINT64_MAX / 2); /* beyond the top: counted, and its size kept */
    assert_int_equal(h.count, 1001);
    assert_int_equal(ifd_bench_hist_percentile(&h, 1000000), UINT64_MAX / 2);
}

static void constant_arrivals_do_not_drift(void **state)
{
    (void)state;
    struct ifd_bench_arrivals a;
    ifd_bench_arrivals_init(&a, 3.0, false, 0);
    for (uint64_t i = 0; i < 3000000; i++) {
        uint64_t at = ifd_bench_arrivals_next(&a);
        if (at + 1 < i * 1000000000u / 3 || at > i * 1000000000u / 3 + 1)
            fail_msg("arrival %llu is at %llu", (unsigned long long)i, (unsigned long long)at);
    }
}

/* The gaps' mean and variance, which for a Poisson process are the same after scaling. */
static void poisson_arrivals(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct ifd_bench_arrivals a, b;
    double sum = 0, squares = 0;
    uint64_t last = 0, longer = 0;
    ifd_bench_arrivals_init(&a, 1000.0, true, 42);
    b = a;
    for (size_t i = 0; i < N; i++) {
        uint64_t at = ifd_bench_arrivals_next(&a);
        assert_int_equal(at, ifd_bench_arrivals_next(&b)); /* one seed, one schedule */
        assert_true(at >= last);
        double gap = (double)(at - last) / 1e6;
        sum += gap;
        squares += gap * gap;
        longer += gap > 1.0;
        last = at;
    }
    double mean = sum / N, variance = squares / N - mean * mean;
    assert_true(mean > 0.99 && mean < 1.01);
    assert_true(variance > 0.97 && variance < 1.03);
    assert_true((double)longer / N > 0.36 && (double)longer / N < 0.375); /* 1/e */
    ifd_bench_arrivals_init(&a, 1000.0, true, 43);
    ifd_bench_arrivals_init(&b, 1000.0, true, 42);
    assert_int_not_equal(ifd_bench_arrivals_next(&a), ifd_bench_arrivals_next(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_in_it, empty),
        cmocka_unit_test_setup(one_value_comes_back_within_half_a_percent, empty),
        cmocka_unit_test_setup(percentiles_are_those_of_the_sorted_values, empty),
        cmocka_unit_test_setup(the_rank_is_exact, empty),
        cmocka_unit_test_setup(constant_arrivals_do_not_drift, empty),
        cmocka_unit_test_setup(poisson_arrivals, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
