/* SPDX-License-Identifier: Apache-2.0
 *
 * Histograms: bounds, buckets, sums, and how far a quantile read from the buckets is from the true
 * one. The control is the usual table of eleven coarse buckets, which must fail that bound.
 */
#include "test.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hist.h"

static void bounds_are_close_enough(void **state)
{
    (void)state;
    struct ifd_hist_scale t;
    ifd_hist_scale_times(&t);
    assert_int_equal(t.bounds[0], 100000);
    assert_true(t.bounds[t.count - 1] == UINT64_C(30000000000));
    bool found[4] = {false};
    const uint64_t round[4] = {1000000, 10000000, 100000000, 1000000000};
    for (unsigned i = 0; i < t.count; i++) {
        if (i)
            assert_true(t.bounds[i] > t.bounds[i - 1] &&
                        (double)t.bounds[i] <= 1.2 * (double)t.bounds[i - 1]);
        for (unsigned k = 0; k < 4; k++)
            found[k] = found[k] || t.bounds[i] == round[k];
    }
    assert_true(found[0] && found[1] && found[2] && found[3]);
    ifd_hist_scale_sizes(&t, 4096);
    assert_int_equal(t.bounds[0], 1);
    assert_int_equal(t.bounds[t.count - 1], 4096);
    for (unsigned i = 2; i < t.count; i++)
        assert_true(t.bounds[i] * 2 <= t.bounds[i - 1] * 3);
    ifd_hist_scale_ratios(&t);
    assert_int_equal(t.bounds[t.count - 1], 1000000);
    for (unsigned i = 1; i < t.count; i++)
        assert_true(t.bounds[i] > t.bounds[i - 1]);
}

/* The bucket of a value by definition: the first whose bound is not below it. */
static unsigned plain_bucket(const struct ifd_hist_scale *s, uint64_t v)
{
    unsigned i = 0;
    while (i < s->count && s->bounds[i] < v)
        i++;
    return i;
}

static void every_value_has_its_bucket(void **state)
{
    (void)state;
    struct ifd_hist_scale s[3];
    ifd_hist_scale_times(&s[0]);
    ifd_hist_scale_sizes(&s[1], 1u << 20);
    ifd_hist_scale_ratios(&s[2]);
    for (unsigned k = 0; k < 3; k++) {
        for (unsigned i = 0; i < s[k].count; i++)
            for (int d = -1; d <= 1; d++) {
                uint64_t v = s[k].bounds[i] + (uint64_t)(int64_t)d;
                assert_int_equal(ifd_hist_bucket(&s[k], v), plain_bucket(&s[k], v));
            }
        for (unsigned n = 0; n < 64; n++) {
            uint64_t v = UINT64_C(1) << n;
            assert_int_equal(ifd_hist_bucket(&s[k], v), plain_bucket(&s[k], v));
        }
        assert_int_equal(ifd_hist_bucket(&s[k], 0), 0);
        assert_int_equal(ifd_hist_bucket(&s[k], UINT64_MAX), s[k].count);
    }
}

static double uniform(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(*seed >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *seed)
{
    return sqrt(-2.0 * log(uniform(seed))) * cos(6.283185307179586 * uniform(seed));
}

/* Seconds. */
static double draw(unsigned kind, uint64_t *seed)
{
    switch (kind) {
    case 0:
        return 0.001 + 0.009 * uniform(seed);
    case 1:
        return 0.02 * exp(0.8 * normal(seed));
    case 2:
        return -0.05 * log(uniform(seed)) + 0.0001;
    case 3:
        return uniform(seed) < 0.98 ? 0.0003 + 0.0002 * uniform(seed) : 1.5 + 0.1 * uniform(seed);
    case 4:
        return 0.0071;
    case 5:
        return 0.0005 * pow(uniform(seed), -0.6); /* a heavy tail */
    default:
        return 0.15 + 0.002 * normal(seed);
    }
}
#define KINDS 7u
#define SAMPLES 40000u

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The largest relative error of p50, p90, p99 and p99.9 over all distributions. */
static double worst_error(const struct ifd_hist_scale *scale)
{
    static uint64_t values[SAMPLES];
    const double quantiles[] = {0.5, 0.9, 0.99, 0.999};
    double worst = 0.0;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        static struct ifd_hist h;
        struct ifd_hist_view v = {0};
        uint64_t seed = 17 + kind, sum = 0;
        memset(&h, 0, sizeof(h));
        ifd_hist_init(&h, scale);
        for (unsigned i = 0; i < SAMPLES; i++) {
            values[i] = (uint64_t)(1e9 * fmin(draw(kind, &seed), 29.0));
            sum += values[i];
            ifd_hist_add(&h, values[i]);
        }
        qsort(values, SAMPLES, sizeof(values[0]), by_value);
        ifd_hist_view_add(&v, &h);
        assert_int_equal(v.count, SAMPLES);
        assert_true(v.sum == sum); /* exact */
        for (unsigned q = 0; q < 4; q++) {
            const double want = (double)values[(unsigned)ceil(quantiles[q] * SAMPLES) - 1];
            const double got = ifd_hist_view_quantile(&v, quantiles[q]);
            worst = fmax(worst, fabs(got - want) / want);
        }
    }
    return worst;
}

static void a_quantile_is_within_a_fifth(void **state)
{
    (void)state;
    struct ifd_hist_scale fine, coarse;
    static const uint64_t usual_ms[] = {5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000};
    uint64_t usual[11];
    for (unsigned i = 0; i < 11; i++)
        usual[i] = usual_ms[i] * 1000000;
    ifd_hist_scale_times(&fine);
    ifd_hist_scale_make(&coarse, usual, 11, 9);
    const double good = worst_error(&fine), bad = worst_error(&coarse);
    print_message("worst error of a quantile: %.1f %% (coarse buckets: %.0f %%)\n", good * 100,
                  bad * 100);
    assert_true(good < 0.2);
    assert_true(bad > 0.2); /* the control */
}

static void views_add_up(void **state)
{
    (void)state;
    struct ifd_hist_scale s;
    static struct ifd_hist a, b;
    struct ifd_hist_view v = {0};
    assert_true(ifd_hist_view_quantile(&v, 0.5) == 0.0);
    ifd_hist_scale_sizes(&s, 64);
    ifd_hist_init(&a, &s);
    ifd_hist_init(&b, &s);
    ifd_hist_add(&a, 1);
    ifd_hist_add(&b, 64);
    ifd_hist_add(&b, 1000);
    ifd_hist_view_add(&v, &a);
    ifd_hist_view_add(&v, &b);
    assert_int_equal(v.count, 3);
    assert_int_equal(v.sum, 1065);
    assert_int_equal(v.counts[0], 1);
    assert_int_equal(v.counts[s.count], 1);
    assert_true(ifd_hist_view_quantile(&v, 1.0) == 64.0);
}

struct shared {
    struct ifd_hist hist;
    _Atomic bool done;
};

static void *write_many(void *arg)
{
    struct shared *s = arg;
    for (uint64_t i = 0; i < 200000; i++)
        ifd_hist_add(&s->hist, i % 100);
    s->done = true;
    return NULL;
}

/* Under the thread sanitizer this is what shows that a reader may be any thread. */
static void a_reader_on_another_thread(void **state)
{
    (void)state;
    struct ifd_hist_scale scale;
    static struct shared s;
    pthread_t writer;
    uint64_t last = 0;
    ifd_hist_scale_sizes(&scale, 64);
    ifd_hist_init(&s.hist, &scale);
    assert_int_equal(pthread_create(&writer, NULL, write_many, &s), 0);
    for (bool done = false; !done;) {
        struct ifd_hist_view v = {0};
        done = s.done;
        ifd_hist_view_add(&v, &s.hist);
        assert_true(v.count >= last);
        last = v.count;
    }
    pthread_join(writer, NULL);
    assert_int_equal(last, 200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_are_close_enough),
        cmocka_unit_test(every_value_has_its_bucket),
        cmocka_unit_test(a_quantile_is_within_a_fifth),
        cmocka_unit_test(views_add_up),
        cmocka_unit_test(a_reader_on_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
