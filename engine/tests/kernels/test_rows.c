/* SPDX-License-Identifier: Apache-2.0
 *
 * Layer norm, softmax (and through it exp) and the widening of stored weights, every tier.
 */
#include "kernels/guarded.h"

static const size_t lengths[] = {1,  2,  7,  15, 16, 17, 31, 32,  33,  47,  48,
                                 49, 63, 64, 65, 79, 96, 97, 100, 384, 511, 768};
#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static size_t norm_wrong(const float *x, const float *gamma, const float *beta, size_t n,
                         const float *out)
{
    double mean = 0, squares = 0, worst = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        squares += (x[i] - mean) * (x[i] - mean);
        worst = fmax(worst, fabs(x[i]));
    }
    double scale = 1.0 / sqrt(squares / (double)n + 1e-5f);
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++) {
        double want = (x[i] - mean) * scale * gamma[i] + beta[i];
        double bound = 2e-6 * (1 + fabs(want)) + 4e-7 * worst * scale;
        wrong += !(fabs(out[i] - want) <= bound);
    }
    return wrong;
}

static void test_layer_norm(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    uint64_t seed = 1;
    for (size_t t = 0; t < count; t++) {
        for (size_t l = 0; l < LENGTHS; l++) {
            const size_t n = lengths[l], rows = 3, ldx = n + 3, ldo = n + 1;
            struct guarded x = guarded_floats(2 * ldx + n), out = guarded_floats(2 * ldo + n);
            struct guarded gamma = guarded_floats(n), beta = guarded_floats(n);
            noise_fill(x.data, 2 * ldx + n, &seed);
            noise_fill(gamma.data, n, &seed);
            noise_fill(beta.data, n, &seed);
            for (size_t i = 0; i < n; i++)
                x.data[ldx + i] += 3.0f; /* a row with a mean */
            tiers[t]->layer_norm_f32(x.data, ldx, gamma.data, beta.data, 1e-5f, rows, n, out.data,
                                     ldo);
            for (size_t r = 0; r < rows; r++)
                assert_int_equal(
                    norm_wrong(x.data + r * ldx, gamma.data, beta.data, n, out.data + r * ldo), 0);
            /* one element off must be seen */
            float kept = out.data[n / 2];
            out.data[n / 2] += 1e-3f;
            assert_int_equal(norm_wrong(x.data, gamma.data, beta.data, n, out.data), 1);
            out.data[n / 2] = kept;
            /* in place, and a row alone, give the same bits */
            float *row = x.data + 2 * ldx;
            tiers[t]->layer_norm_f32(row, ldx, gamma.data, beta.data, 1e-5f, 1, n, row, ldx);
            assert_memory_equal(row, out.data + 2 * ldo, n * sizeof(float));
            guarded_free(&x);
            guarded_free(&out);
            guarded_free(&gamma);
            guarded_free(&beta);
        }
    }
}

static void test_softmax(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    uint64_t seed = 2;
    for (size_t t = 0; t < count; t++) {
        for (size_t l = 0; l < LENGTHS; l++) {
            const size_t n = lengths[l], rows = 3;
            struct guarded s = guarded_floats(rows * n); /* lds = n: nothing after a row is free */
            float *alone = calloc(n, sizeof(float));
            double *want = calloc(rows * n, sizeof(double));
            for (size_t i = 0; i < rows * n; i++)
                s.data[i] = noise(&seed) * 20.0f;
            memcpy(alone, s.data + n, n * sizeof(float));
            for (size_t r = 0; r < rows; r++) {
                double sum = 0;
                for (size_t i = 0; i < n; i++)
                    sum += exp(s.data[r * n + i]);
                for (size_t i = 0; i < n; i++)
                    want[r * n + i] = exp(s.data[r * n + i]) / sum;
            }
            tiers[t]->softmax_f32(s.data, n, rows, n);
            for (size_t i = 0; i < rows * n; i++)
                /* s - max is up to 40: half its last place is 1.9e-6, and e^x takes it over */
                assert_true(fabs(s.data[i] - want[i]) <= 3e-6 * want[i] + 1e-37);
            tiers[t]->softmax_f32(alone, n, 1, n);
            assert_memory_equal(alone, s.data + n, n * sizeof(float));
            free(alone);
            free(want);
            guarded_free(&s);
        }
    }
}

/* softmax of {0, x} is {1, e^x} / sum: their quotient is e^x within two roundings. */
static void test_exp_error(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t t = 0; t < count; t++) {
        double worst = 0;
        for (int i = 0; i <= 86000; i++) {
            float x = (float)-i / 1000.0f, s[2] = {0.0f, x};
            tiers[t]->softmax_f32(s, 2, 1, 2);
            worst = fmax(worst, fabs((double)s[1] / s[0] / exp(x) - 1));
        }
        print_message("%s: exp relative error %.2g (two roundings of 6e-8 included)\n",
                      tiers[t]->name, worst);
        assert_true(worst <= 3.6e-7);
        float far[3] = {0.0f, -1e30f, -INFINITY};
        tiers[t]->softmax_f32(far, 3, 1, 3);
        assert_true(far[0] == 1.0f && far[1] == 0.0f && far[2] == 0.0f);
        float large[2] = {3e38f, 3e38f};
        tiers[t]->softmax_f32(large, 2, 1, 2);
        assert_true(large[0] == 0.5f && large[1] == 0.5f);
    }
}

static void test_nan_stays_in_its_row(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t t = 0; t < count; t++) {
        for (size_t at = 0; at < 21; at++) {
            float s[3][21], gamma[21], beta[21];
            for (size_t i = 0; i < 63; i++)
                s[i / 21][i % 21] = (float)i * 0.1f;
            for (size_t i = 0; i < 21; i++)
                gamma[i] = beta[i] = 1.0f;
            s[1][at] = NAN;
            float norm[3][21];
            tiers[t]->layer_norm_f32(s[0], 21, gamma, beta, 1e-5f, 3, 21, norm[0], 21);
            tiers[t]->softmax_f32(s[0], 21, 3, 21);
            for (size_t i = 0; i < 63; i++) {
                assert_true(!!isnan(s[i / 21][i % 21]) == (i / 21 == 1));
                assert_true(!!isnan(norm[i / 21][i % 21]) == (i / 21 == 1));
            }
        }
    }
}

static float half(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    float sign = h & 0x8000 ? -1.0f : 1.0f;
    if (exponent == 31)
        return fraction ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexpf((float)(1024 + fraction), exponent - 25)
                            : ldexpf((float)fraction, -24));
}

static void test_widening_of_every_half(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    enum { ALL = 65536 };
    uint16_t *in = calloc(ALL, sizeof(*in));
    float *out = calloc(ALL, sizeof(*out));
    for (int i = 0; i < ALL; i++)
        in[i] = (uint16_t)i;
    for (size_t t = 0; t < count; t++) {
        tiers[t]->f16_to_f32(in, ALL, out);
        for (int i = 0; i < ALL; i++) {
            float want = half((uint16_t)i);
            assert_true(isnan(want) ? isnan(out[i]) : memcmp(&want, out + i, sizeof(want)) == 0);
        }
        tiers[t]->bf16_to_f32(in, ALL, out);
        for (int i = 0; i < ALL; i++) {
            uint32_t bits;
            memcpy(&bits, out + i, sizeof(bits));
            assert_int_equal(bits, (uint32_t)i << 16);
        }
    }
    free(in);
    free(out);
}

static void test_widening_stays_within_its_size(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t t = 0; t < count; t++) {
        for (size_t n = 0; n <= 70; n++) {
            struct guarded in = guarded_floats(n / 2 + 1), out = guarded_floats(n + 1);
            uint16_t *from = (uint16_t *)(void *)(in.data + n / 2 + 1) - n;
            for (size_t i = 0; i < n; i++)
                from[i] = (uint16_t)(0x3C00u + i);
            out.data[0] = 5.0f;
            tiers[t]->f16_to_f32(from, n, out.data + 1);
            for (size_t i = 0; i < n; i++)
                assert_true(out.data[1 + i] == half(from[i]));
            tiers[t]->bf16_to_f32(from, n, out.data + 1);
            assert_true(out.data[0] == 5.0f);
            guarded_free(&in);
            guarded_free(&out);
        }
    }
}

static void test_vector_tiers_agree_bitwise(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = vector_tiers_here(tiers);
    if (count < 2)
        skip();
    uint64_t seed = 4;
    for (size_t n = 1; n <= 400; n++) {
        float x[400], gamma[400], beta[400], norm[IFD_TIER_COUNT][400], soft[IFD_TIER_COUNT][400];
        noise_fill(x, n, &seed);
        noise_fill(gamma, n, &seed);
        noise_fill(beta, n, &seed);
        for (size_t t = 0; t < count; t++) {
            tiers[t]->layer_norm_f32(x, n, gamma, beta, 1e-12f, 1, n, norm[t], n);
            memcpy(soft[t], x, n * sizeof(float));
            tiers[t]->softmax_f32(soft[t], n, 1, n);
            assert_memory_equal(norm[0], norm[t], n * sizeof(float));
            assert_memory_equal(soft[0], soft[t], n * sizeof(float));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_exp_error),
        cmocka_unit_test(test_nan_stays_in_its_row),
        cmocka_unit_test(test_widening_of_every_half),
        cmocka_unit_test(test_widening_stays_within_its_size),
        cmocka_unit_test(test_vector_tiers_agree_bitwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
