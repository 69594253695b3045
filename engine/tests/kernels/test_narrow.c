/* SPDX-License-Identifier: Apache-2.0
 *
 * The narrow dtypes of every tier: int32 sums exact, results bitwise those of the reference, any
 * split of rows and panels the same bits, buffers against guard pages, NaN kept to its row.
 */
#include "kernels/guarded.h"

#define EPILOGUES 5 /* all but IFD_EPI_SCALE */
#define CANARY 12345.5f

struct problem {
    enum ifd_dtype dtype;
    const struct ifd_kernels *kernels;
    size_t m, n, k;
    struct guarded x, by, w, a, b, c, bias, residual, a_scale, a_zero, b_scale, b_sum;
    struct ifd_gemm_narrow g;
};

static struct problem problem_new(const struct ifd_kernels *kernels, enum ifd_dtype dtype, size_t m,
                                  size_t n, size_t k, enum ifd_epilogue epilogue, uint64_t seed)
{
    struct problem p = {.dtype = dtype, .kernels = kernels, .m = m, .n = n, .k = k};
    const size_t nr = kernels->nr, panels = (n + nr - 1) / nr, ldc = n + 5, ldr = n + 1;
    const size_t row = ifd_narrow_row_bytes(kernels, dtype, k), ld = row + 64;
    const size_t rows = m < IFD_NARROW_ROWS_MIN ? IFD_NARROW_ROWS_MIN : m;
    p.x = guarded_floats((m - 1) * (k + 3) + k);
    p.by = guarded_floats(k);
    p.w = guarded_floats(n * k);
    p.a = guarded_bytes((rows - 1) * ld + row);
    p.b = guarded_bytes(ifd_packed_bytes(dtype, n, k, nr));
    p.c = guarded_floats((m - 1) * ldc + n);
    p.residual = guarded_floats((m - 1) * ldr + n);
    p.bias = guarded_floats(panels * nr);
    p.b_scale = guarded_floats(panels * nr);
    p.b_sum = guarded_floats(panels * nr);
    p.a_scale = guarded_floats(m);
    p.a_zero = guarded_floats(m);
    noise_fill(p.x.data, (m - 1) * (k + 3) + k, &seed);
    noise_fill(p.w.data, n * k, &seed);
    for (size_t i = 0; i < k; i++)
        p.by.data[i] = 1.0f + 0.5f * noise(&seed);
    noise_fill(p.residual.data, (m - 1) * ldr + n, &seed);
    noise_fill(p.bias.data, n, &seed);
    for (size_t i = 0; i < (m - 1) * ldc + n; i++)
        p.c.data[i] = CANARY;
    for (size_t panel = 0; panel < panels; panel++) {
        const float *w = p.w.data + panel * nr * k;
        size_t count = n - panel * nr < nr ? n - panel * nr : nr;
        if (dtype == IFD_DTYPE_INT8)
            ifd_pack_panel_int8(w, count, k, nr, panel, (int8_t *)p.b.data, p.b_scale.data,
                                p.b_sum.data);
        else
            ifd_pack_panel_bf16(w, count, k, nr, panel, (uint16_t *)p.b.data);
    }
    p.g = (struct ifd_gemm_narrow){.m = m,
                                   .n = n,
                                   .k = k,
                                   .a = {p.a.data, ld, p.a_scale.data, p.a_zero.data},
                                   .b = p.b.data,
                                   .b_scale = p.b_scale.data,
                                   .b_sum = p.b_sum.data,
                                   .bias = p.bias.data,
                                   .c = p.c.data,
                                   .ldc = ldc,
                                   .residual = p.residual.data,
                                   .ldr = ldr,
                                   .epilogue = epilogue};
    (dtype == IFD_DTYPE_INT8 ? kernels->narrow_int8 : kernels->narrow_bf16)(p.x.data, k + 3, k, 0,
                                                                            m, p.by.data, &p.g.a);
    return p;
}

static void problem_free(struct problem *p)
{
    struct guarded *all[] = {&p->x,       &p->by,     &p->w,       &p->a,
                             &p->b,       &p->c,      &p->bias,    &p->residual,
                             &p->a_scale, &p->a_zero, &p->b_scale, &p->b_sum};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        guarded_free(all[i]);
}

static void run(const struct problem *p, size_t row_begin, size_t row_end, size_t panel_begin,
                size_t panel_end)
{
    (p->dtype == IFD_DTYPE_INT8 ? p->kernels->gemm_int8 : p->kernels->gemm_bf16)(
        &p->g, row_begin, row_end, panel_begin, panel_end);
}

static void run_all(const struct problem *p)
{
    run(p, 0, p->m, 0, (p->n + p->kernels->nr - 1) / p->kernels->nr);
}

/* Element k of row m as it stands in memory, and of column n of the panels. */
static double element_a(const struct problem *p, size_t m, size_t k)
{
    const char *row = (const char *)p->a.data + m * p->g.a.ld;
    float wide;
    if (p->dtype == IFD_DTYPE_INT8)
        return ((const uint8_t *)row)[k];
    if (p->kernels->bf16_row_element_bytes == sizeof(float))
        return ((const float *)(const void *)row)[k];
    p->kernels->bf16_to_f32((const uint16_t *)(const void *)row + k, 1, &wide);
    return wide;
}

static double element_b(const struct problem *p, size_t n, size_t k)
{
    const size_t nr = p->kernels->nr, per = p->dtype == IFD_DTYPE_INT8 ? 4 : 2;
    const size_t row = ifd_narrow_column_bytes(p->dtype, p->k) / (4 / per);
    const size_t at = n / nr * nr * row + (k / per * nr + n % nr) * per + k % per;
    float wide;
    if (p->dtype == IFD_DTYPE_INT8)
        return ((const int8_t *)p->b.data)[at];
    p->kernels->bf16_to_f32((const uint16_t *)p->b.data + at, 1, &wide);
    return wide;
}

/* Elements outside the bound of the whole computation in double precision. int8 sums are exact, so
 * only the epilogue rounds; bf16 sums round at each of k steps. */
static size_t count_wrong(const struct problem *p)
{
    size_t wrong = 0;
    const bool int8 = p->dtype == IFD_DTYPE_INT8;
    for (size_t m = 0; m < p->m; m++) {
        for (size_t n = 0; n < p->n; n++) {
            double sum = 0, magnitude = 0;
            for (size_t k = 0; k < p->k; k++) {
                double product = element_a(p, m, k) * element_b(p, n, k);
                sum += product;
                magnitude += fabs(product);
            }
            double x = sum, bound = (double)(p->k + 2) * 0x1p-24 * (magnitude + 1);
            if (int8) {
                double scale = (double)p->a_scale.data[m] * p->b_scale.data[n];
                x = (sum - (double)p->a_zero.data[m] * p->b_sum.data[n]) * scale;
                bound = 4 * 0x1p-24 * (fabs(x) + magnitude * scale + 1);
            }
            x += p->bias.data[n];
            double want = x;
            if (p->g.epilogue == IFD_EPI_BIAS_GELU) {
                want = 0.5 * x * erfc(-x * M_SQRT1_2);
                bound = 1.13 * bound + 1.5e-4;
            } else if (p->g.epilogue == IFD_EPI_BIAS_RELU) {
                want = fmax(x, 0);
            } else if (p->g.epilogue == IFD_EPI_BIAS_TANH) {
                want = tanh(x);
                bound += 2e-7;
            } else if (p->g.epilogue == IFD_EPI_BIAS_RESIDUAL) {
                want = x + p->residual.data[m * p->g.ldr + n];
                bound += 0x1p-23 * (fabs(x) + 1);
            }
            wrong += !(fabs(p->c.data[m * p->g.ldc + n] - want) <= bound);
        }
    }
    return wrong;
}

static size_t count_overwritten(const struct problem *p)
{
    size_t bad = 0;
    for (size_t m = 0; m + 1 < p->m; m++)
        for (size_t n = p->n; n < p->g.ldc; n++)
            bad += p->c.data[m * p->g.ldc + n] != CANARY;
    return bad;
}

static size_t count_different(const struct problem *p, const struct problem *q)
{
    size_t different = 0;
    for (size_t m = 0; m < p->m; m++)
        for (size_t n = 0; n < p->n; n++)
            different += memcmp(p->c.data + m * p->g.ldc + n, q->c.data + m * q->g.ldc + n,
                                sizeof(float)) != 0;
    return different;
}

static const enum ifd_dtype narrow[] = {IFD_DTYPE_BF16, IFD_DTYPE_INT8};

static void test_shapes(void **state)
{
    (void)state;
    static const size_t k_list[] = {1, 3, 63, 64, 65, 130};
    static const size_t m_more[] = {24, 31, 32, 33, 49, 60};
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers), tried = 0;
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 1; i <= 23; i += i == 3 || i == 6 || i == 9 ? 3 : 1) {
            size_t m = i <= 17 ? i : m_more[i - 18];
            for (size_t n = 1; n <= tiers[t]->nr + 2; n += n == 1 ? tiers[t]->nr - 3 : 1) {
                for (size_t k = 0; k < sizeof(k_list) / sizeof(k_list[0]); k++) {
                    for (size_t d = 0; d < 2; d++) {
                        enum ifd_epilogue e = (enum ifd_epilogue)((m + n + k) % EPILOGUES);
                        struct problem p =
                            problem_new(tiers[t], narrow[d], m, n, k_list[k], e, m * 1000 + n);
                        run_all(&p);
                        if (count_wrong(&p) || count_overwritten(&p))
                            fail_msg("%s dtype %d: m %zu n %zu k %zu epilogue %d: %zu wrong",
                                     tiers[t]->name, (int)narrow[d], m, n, k_list[k], (int)e,
                                     count_wrong(&p));
                        problem_free(&p);
                        tried++;
                    }
                }
            }
        }
    }
    print_message("%zu products on %zu tiers\n", tried, count);
}

/* Random bytes at both ends of their range, where an instruction that saturates would show. */
static void test_int8_sums_are_exact(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{7, 40, 64}, {33, 33, 200}, {20, 64, 516}, {1, 96, 130}};
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers), sums = 0;
    for (size_t t = 0; t < count; t++) {
        for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
            const size_t *d = shapes[s];
            struct problem p =
                problem_new(tiers[t], IFD_DTYPE_INT8, d[0], d[1], d[2], IFD_EPI_BIAS, s + 1);
            uint64_t seed = s;
            for (size_t m = 0; m < d[0]; m++) {
                for (size_t k = 0; k < d[2]; k++) {
                    float r = noise(&seed);
                    uint8_t *a = (uint8_t *)p.a.data + m * p.g.a.ld + k;
                    *a = m % 2 ? 255 : (uint8_t)(r > 0 ? 255 : 127 + 127 * (double)r);
                }
                p.a_scale.data[m] = 1;
                p.a_zero.data[m] = 0;
            }
            int8_t *b = (int8_t *)p.b.data;
            for (size_t i = 0; i < p.b.map_bytes &&
                               i < ifd_packed_bytes(IFD_DTYPE_INT8, d[1], d[2], tiers[t]->nr);
                 i++)
                if (b[i])
                    b[i] = noise(&seed) > 0 ? 127 : -127;
            for (size_t n = 0; n < d[1]; n++) {
                p.b_scale.data[n] = 1;
                p.bias.data[n] = 0;
                p.b_sum.data[n] = 0;
                for (size_t k = 0; k < d[2]; k++)
                    p.b_sum.data[n] += (float)element_b(&p, n, k);
            }
            run_all(&p);
            for (size_t m = 0; m < d[0]; m++) {
                for (size_t n = 0; n < d[1]; n++, sums++) {
                    int64_t want = 0;
                    for (size_t k = 0; k < d[2]; k++)
                        want += (int64_t)element_a(&p, m, k) * (int64_t)element_b(&p, n, k);
                    assert_true(llabs(want) <= 1 << 24); /* so that a float holds it */
                    assert_true((int64_t)p.c.data[m * p.g.ldc + n] == want);
                }
            }
            problem_free(&p);
        }
    }
    print_message("%zu sums exact on %zu tiers\n", sums, count);
}

static void test_int8_is_bitwise_the_reference(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    static const enum ifd_epilogue exact[] = {IFD_EPI_BIAS, IFD_EPI_BIAS_RELU,
                                              IFD_EPI_BIAS_RESIDUAL};
    for (size_t i = 0; i < 3; i++) {
        struct problem ref = problem_new(tiers[0], IFD_DTYPE_INT8, 61, 83, 333, exact[i], 5);
        run_all(&ref);
        for (size_t t = 1; t < count; t++) {
            struct problem p = problem_new(tiers[t], IFD_DTYPE_INT8, 61, 83, 333, exact[i], 5);
            for (size_t m = 0; m < 61; m++) {
                assert_memory_equal((char *)p.a.data + m * p.g.a.ld,
                                    (char *)ref.a.data + m * ref.g.a.ld, 384);
                assert_true(p.a_scale.data[m] == ref.a_scale.data[m]);
                assert_true(p.a_zero.data[m] == ref.a_zero.data[m]);
            }
            run_all(&p);
            assert_int_equal(count_different(&ref, &p), 0);
            problem_free(&p);
        }
        problem_free(&ref);
    }
}

static void test_any_split_gives_the_same_bits(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{37, 75, 51}, {300, 40, 1536}, {5, 200, 96}, {1, 1, 1}};
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers), splits = 0;
    uint64_t seed = 99;
    for (size_t t = 0; t < count; t++) {
        for (size_t s = 0; s < 2 * sizeof(shapes) / sizeof(shapes[0]); s++) {
            const size_t *d = shapes[s / 2];
            const enum ifd_epilogue e = (enum ifd_epilogue)(s % EPILOGUES);
            struct problem whole = problem_new(tiers[t], narrow[s % 2], d[0], d[1], d[2], e, 11);
            struct problem parts = problem_new(tiers[t], narrow[s % 2], d[0], d[1], d[2], e, 11);
            size_t panels = (d[1] + tiers[t]->nr - 1) / tiers[t]->nr;
            run_all(&whole);
            for (size_t row = 0, rows; row < d[0]; row += rows) {
                rows = 1 + (size_t)((noise(&seed) + 1) * 12);
                rows = rows < d[0] - row ? rows : d[0] - row;
                for (size_t panel = 0, n; panel < panels; panel += n, splits++) {
                    n = 1 + (size_t)((noise(&seed) + 1) * 2);
                    n = n < panels - panel ? n : panels - panel;
                    run(&parts, row, row + rows, panel, panel + n);
                }
            }
            assert_int_equal(count_different(&whole, &parts), 0);
            uint32_t bits;
            memcpy(&bits, parts.c.data, sizeof(bits)); /* and a changed bit is a difference */
            bits ^= 1;
            memcpy(parts.c.data, &bits, sizeof(bits));
            assert_int_equal(count_different(&whole, &parts), 1);
            problem_free(&whole);
            problem_free(&parts);
        }
    }
    print_message("%zu parts, 0 differences\n", splits);
}

static void test_changed_weight_is_caught(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t t = 0; t < count; t++) {
        for (size_t d = 0; d < 2; d++) {
            struct problem p = problem_new(tiers[t], narrow[d], 20, 20, 33, IFD_EPI_BIAS, 3);
            run_all(&p);
            ((uint8_t *)p.b.data)[tiers[t]->nr * 4 + 8] ^= 1;
            assert_true(count_wrong(&p) > 0);
            problem_free(&p);
        }
    }
}

static void test_nan_and_infinity_stay_in_their_row(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t t = 0; t < count; t++) {
        for (size_t d = 0; d < 2; d++) {
            for (int e = 0; e < EPILOGUES; e++) {
                struct problem p =
                    problem_new(tiers[t], narrow[d], 35, 21, 70, (enum ifd_epilogue)e, 31);
                p.x.data[4 * 73 + 69] = NAN;
                p.x.data[20 * 73] = INFINITY;
                (d ? tiers[t]->narrow_int8 : tiers[t]->narrow_bf16)(p.x.data, 73, 70, 0, 35,
                                                                    p.by.data, &p.g.a);
                run_all(&p);
                for (size_t m = 0; m < p.m; m++)
                    for (size_t n = 0; n < p.n; n++)
                        if (m == 4 || (m == 20 && d)) /* int8 has no infinity */
                            assert_true(isnan(p.c.data[m * p.g.ldc + n]));
                        else if (m != 20)
                            assert_true(isfinite(p.c.data[m * p.g.ldc + n]));
                problem_free(&p);
            }
        }
    }
}

/* Rows that stress the quantiser: zero, one-sided, tiny, huge, constant. */
static void test_quantised_rows(void **state)
{
    (void)state;
    enum { ROWS = 7, N = 37 };
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    float x[ROWS][N], by[N], scale[ROWS], zero[ROWS];
    uint8_t data[ROWS][64] __attribute__((aligned(64)));
    uint64_t seed = 8;
    for (size_t i = 0; i < N; i++) {
        float r = noise(&seed);
        by[i] = 1.0f;
        const float values[ROWS] = {0, fabsf(r), -fabsf(r), 1e-38f * r, 1e30f * r, -3.5f, r};
        for (size_t row = 0; row < ROWS; row++)
            x[row][i] = values[row];
    }
    for (size_t t = 0; t < count; t++) {
        const struct ifd_narrow out = {data, 64, scale, zero};
        memset(data, 0xAA, sizeof(data));
        tiers[t]->narrow_int8(x[0], N, N, 0, ROWS, by, &out);
        for (size_t row = 0; row < ROWS; row++) {
            float low = 0, high = 0;
            for (size_t i = 0; i < N; i++) {
                low = fminf(low, x[row][i]);
                high = fmaxf(high, x[row][i]);
            }
            assert_true(zero[row] >= 0 && zero[row] <= 255);
            for (size_t i = 0; i < N; i++) {
                double back = (data[row][i] - (double)zero[row]) * scale[row];
                assert_true(fabs(back - x[row][i]) <= 0.501 * scale[row] + 1e-30);
            }
            assert_true(fabs(scale[row] * 255.0 - ((double)high - low)) <=
                        1e-5 * scale[row] * 255 + 1e-30);
            for (size_t i = N; i < 64; i++)
                assert_int_equal(data[row][i], 0);
        }
    }
}

static void test_packing(void **state)
{
    (void)state;
    const float w[3][5] = {{1, -2, 0.5f, 0, 0.25f}, {0, 0, 0, 0, 0}, {-3, 3, 1.5f, 0, 3}};
    int8_t packed[4 * 64];
    uint16_t half[4 * 32];
    float scale[4], sum[4];
    memset(packed, 0x55, sizeof(packed));
    ifd_pack_panel_int8(w[0], 3, 5, 4, 0, packed, scale, sum);
    static const int8_t want[3][5] = {
        {64, -127, 32, 0, 16}, {0, 0, 0, 0, 0}, {-127, 127, 64, 0, 127}};
    for (size_t n = 0; n < 4; n++)
        for (size_t k = 0; k < 64; k++)
            assert_int_equal(packed[(k / 4 * 4 + n) * 4 + k % 4], n < 3 && k < 5 ? want[n][k] : 0);
    assert_true(scale[0] == 2.0f / 127 && scale[1] == 0 && scale[2] == 3.0f / 127 && scale[3] == 0);
    assert_true(sum[0] == -15 && sum[1] == 0 && sum[2] == 191 && sum[3] == 0);
    ifd_pack_panel_bf16(w[0], 3, 5, 4, 0, half);
    assert_int_equal(half[(0 * 4 + 0) * 2 + 1], 0xC000); /* n 0, k 1: -2 */
    assert_int_equal(half[(2 * 4 + 2) * 2 + 0], 0x4040); /* n 2, k 4: 3 */
    assert_int_equal(half[(2 * 4 + 2) * 2 + 1], 0);
    assert_int_equal(ifd_packed_bytes(IFD_DTYPE_INT8, 33, 65, 32), 64 * 128);
    assert_int_equal(ifd_packed_bytes(IFD_DTYPE_BF16, 33, 65, 32), 64 * 192);
    assert_int_equal(ifd_packed_bytes(IFD_DTYPE_FP32, 33, 65, 32), 64 * 260);
    assert_int_equal(ifd_packed_bytes(IFD_DTYPE_BF16, 1, SIZE_MAX / 2 + 1, 32), 0);
    assert_int_equal(ifd_packed_bytes(IFD_DTYPE_INT8, SIZE_MAX / 64, 128, 32), 0);
}

static void test_short_gelu_error(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t t = 0; t < count; t++) {
        struct problem p = problem_new(tiers[t], IFD_DTYPE_INT8, 1, 1, 1, IFD_EPI_BIAS_GELU, 1);
        double worst = 0;
        p.a_scale.data[0] = 0; /* what is left is gelu(bias) */
        for (int i = -20000; i <= 20000; i++) {
            double x = p.bias.data[0] = (float)i / 2003.0f;
            run_all(&p);
            worst = fmax(worst, fabs(p.c.data[0] - 0.5 * x * erfc(-x * M_SQRT1_2)));
        }
        print_message("%s: short gelu within %.2g\n", tiers[t]->name, worst);
        assert_true(worst <= 1.5e-4);
        problem_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_quantised_rows),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_int8_sums_are_exact),
        cmocka_unit_test(test_int8_is_bitwise_the_reference),
        cmocka_unit_test(test_any_split_gives_the_same_bits),
        cmocka_unit_test(test_changed_weight_is_caught),
        cmocka_unit_test(test_nan_and_infinity_stay_in_their_row),
        cmocka_unit_test(test_short_gelu_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
