/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention of one head against double precision, on every size around the panels' edges, with
 * buffers (the work memory too) against guard pages.
 */
#include "kernels/guarded.h"

struct head {
    size_t length, d, ld;
    struct guarded q, k, v;
};

static struct head head_new(size_t length, size_t d, uint64_t seed)
{
    struct head h = {.length = length, .d = d, .ld = d + 5};
    size_t n = (length - 1) * h.ld + d;
    h.q = guarded_floats(n);
    h.k = guarded_floats(n);
    h.v = guarded_floats(n);
    noise_fill(h.q.data, n, &seed);
    noise_fill(h.k.data, n, &seed);
    noise_fill(h.v.data, n, &seed);
    for (size_t i = 0; i < n; i++)
        h.q.data[i] *= 4.0f; /* uneven weights */
    return h;
}

static void head_free(struct head *h)
{
    guarded_free(&h->q);
    guarded_free(&h->k);
    guarded_free(&h->v);
}

static void run(const struct ifd_kernels *kernels, const struct head *h, size_t rows, float *o,
                size_t ldo)
{
    struct guarded work =
        guarded_floats(ifd_attention_work_floats(rows, h->length, h->d, kernels->nr));
    kernels->attention_f32(h->q.data, h->ld, h->k.data, h->ld, h->v.data, h->ld, rows, h->length,
                           h->d, 1.0f / sqrtf((float)h->d), o, ldo, work.data);
    guarded_free(&work);
}

static size_t count_wrong(const struct head *h, size_t rows, const float *o, size_t ldo)
{
    double *p = calloc(h->length, sizeof(*p));
    size_t wrong = 0;
    for (size_t r = 0; r < rows; r++) {
        double sum = 0;
        for (size_t t = 0; t < h->length; t++) {
            double dot = 0;
            for (size_t i = 0; i < h->d; i++)
                dot += (double)h->q.data[r * h->ld + i] * h->k.data[t * h->ld + i];
            p[t] = exp(dot / sqrt((double)h->d));
            sum += p[t];
        }
        for (size_t i = 0; i < h->d; i++) {
            double want = 0;
            for (size_t t = 0; t < h->length; t++)
                want += p[t] / sum * h->v.data[t * h->ld + i];
            wrong += !(fabs(o[r * ldo + i] - want) <= 3e-6);
        }
    }
    free(p);
    return wrong;
}

static void check(const struct ifd_kernels *kernels, size_t length, size_t d)
{
    struct head h = head_new(length, d, length * 131 + d);
    const size_t ldo = d + 3;
    struct guarded o = guarded_floats((length - 1) * ldo + d);
    for (size_t i = 0; i < (length - 1) * ldo + d; i++)
        o.data[i] = 777.0f;
    run(kernels, &h, length, o.data, ldo);
    if (count_wrong(&h, length, o.data, ldo))
        fail_msg("%s: length %zu, d %zu: %zu wrong", kernels->name, length, d,
                 count_wrong(&h, length, o.data, ldo));
    for (size_t r = 0; r + 1 < length; r++)
        for (size_t i = d; i < ldo; i++)
            assert_true(o.data[r * ldo + i] == 777.0f);
    /* fewer queries: the same bits */
    size_t rows = length > 3 ? length - 3 : 1;
    for (int i = 0; i < 2; i++, rows = 1) {
        struct guarded part = guarded_floats((rows - 1) * ldo + d);
        run(kernels, &h, rows, part.data, ldo);
        for (size_t r = 0; r < rows; r++)
            assert_memory_equal(part.data + r * ldo, o.data + r * ldo, d * sizeof(float));
        guarded_free(&part);
    }
    guarded_free(&o);
    head_free(&h);
}

static void test_sizes(void **state)
{
    (void)state;
    static const size_t d_list[] = {1, 3, 12, 16, 17, 32, 33, 64, 80, 128};
    static const size_t lengths[] = {1, 2, 15, 16, 17, 24, 31, 32, 33, 56, 57, 100, 512};
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < sizeof(d_list) / sizeof(d_list[0]); i++)
            for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++)
                if (lengths[l] <= 33 || d_list[i] == 32 || !test_emulated())
                    check(tiers[t], lengths[l], d_list[i]);
}

static void test_changed_key_is_caught(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t t = 0; t < count; t++) {
        struct head h = head_new(20, 32, 5);
        float o[20 * 32];
        h.k.data[7 * h.ld + 3] += 0.01f;
        run(tiers[t], &h, 20, o, 32);
        h.k.data[7 * h.ld + 3] -= 0.01f;
        assert_true(count_wrong(&h, 20, o, 32) > 0);
        head_free(&h);
    }
}

static void test_nan_reaches_what_reads_it(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t t = 0; t < count; t++) {
        struct head h = head_new(20, 24, 6);
        float o[20 * 24];
        h.q.data[4 * h.ld + 2] = NAN;
        run(tiers[t], &h, 20, o, 24);
        for (size_t i = 0; i < 20 * 24; i++)
            assert_true(!!isnan(o[i]) == (i / 24 == 4));
        h.v.data[9 * h.ld + 5] = NAN;
        run(tiers[t], &h, 20, o, 24);
        for (size_t i = 0; i < 20 * 24; i++)
            assert_true(!!isnan(o[i]) == (i / 24 == 4 || i % 24 == 5));
        head_free(&h);
    }
}

static void test_vector_tiers_agree_bitwise(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = vector_tiers_here(tiers);
    if (count < 2)
        skip();
    static float o[2][70 * 48];
    for (size_t length = 1; length <= 70; length += 3) {
        struct head h = head_new(length, 48, length);
        run(tiers[0], &h, length, o[0], 48);
        for (size_t t = 1; t < count; t++) {
            run(tiers[t], &h, length, o[1], 48);
            assert_memory_equal(o[0], o[1], length * 48 * sizeof(float));
        }
        head_free(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_changed_key_is_caught),
        cmocka_unit_test(test_nan_reaches_what_reads_it),
        cmocka_unit_test(test_vector_tiers_agree_bitwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
