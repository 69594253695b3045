/* SPDX-License-Identifier: Apache-2.0
 *
 * The matrix product of every tier against double precision, on shapes around the tile's edges,
 * with buffers against guard pages; and the property that batch invariance rests on: any split of
 * rows and panels gives the same bits.
 */
#include "kernels/guarded.h"

#define EPILOGUES 6
#define CANARY 12345.5f

struct problem {
    size_t m, n, k;
    struct guarded a, w, b, c, bias, residual;
    struct ifd_gemm_f32 g;
};

static struct problem problem_new(const struct ifd_kernels *kernels, size_t m, size_t n, size_t k,
                                  enum ifd_epilogue epilogue, uint64_t seed)
{
    struct problem p = {.m = m, .n = n, .k = k};
    const size_t lda = k + 3, ldc = n + 5, ldr = n + 1,
                 panels = (n + kernels->nr - 1) / kernels->nr;
    p.a = guarded_floats((m - 1) * lda + k);
    p.w = guarded_floats(n * k);
    p.c = guarded_floats((m - 1) * ldc + n);
    p.residual = guarded_floats((m - 1) * ldr + n);
    p.bias = guarded_floats(panels * kernels->nr);
    noise_fill(p.a.data, (m - 1) * lda + k, &seed);
    noise_fill(p.w.data, n * k, &seed);
    noise_fill(p.residual.data, (m - 1) * ldr + n, &seed);
    noise_fill(p.bias.data, n, &seed);
    p.b = guarded_pack(p.w.data, n, k, kernels->nr);
    for (size_t i = 0; i < (m - 1) * ldc + n; i++)
        p.c.data[i] = CANARY;
    p.g = (struct ifd_gemm_f32){.m = m,
                                .n = n,
                                .k = k,
                                .a = p.a.data,
                                .lda = lda,
                                .b = p.b.data,
                                .c = p.c.data,
                                .ldc = ldc,
                                .bias = epilogue == IFD_EPI_SCALE ? NULL : p.bias.data,
                                .residual = p.residual.data,
                                .ldr = ldr,
                                .epilogue = epilogue,
                                .scale = 0.37f};
    return p;
}

static void problem_free(struct problem *p)
{
    guarded_free(&p->a);
    guarded_free(&p->w);
    guarded_free(&p->b);
    guarded_free(&p->c);
    guarded_free(&p->bias);
    guarded_free(&p->residual);
}

static void run_all(const struct ifd_kernels *kernels, const struct problem *p)
{
    kernels->gemm_f32(&p->g, 0, p->m, 0, (p->n + kernels->nr - 1) / kernels->nr);
}

/* Elements outside the bound: rounding of k products and sums, then of the epilogue. */
static size_t count_wrong(const struct problem *p)
{
    size_t wrong = 0;
    for (size_t m = 0; m < p->m; m++) {
        for (size_t n = 0; n < p->n; n++) {
            double sum = 0, magnitude = 0;
            for (size_t k = 0; k < p->k; k++) {
                double product = (double)p->a.data[m * p->g.lda + k] * p->w.data[n * p->k + k];
                sum += product;
                magnitude += fabs(product);
            }
            double x = sum + p->bias.data[n],
                   bound = (double)(p->k + 2) * 0x1p-24 * (magnitude + 1);
            double want = x;
            switch (p->g.epilogue) {
            case IFD_EPI_BIAS:
                break;
            case IFD_EPI_BIAS_GELU:
                want = 0.5 * x * erfc(-x * M_SQRT1_2);
                bound = 1.13 * bound + 2e-7 * fmax(1, fabs(x));
                break;
            case IFD_EPI_BIAS_RELU:
                want = fmax(x, 0);
                break;
            case IFD_EPI_BIAS_TANH:
                want = tanh(x);
                bound += 2e-7;
                break;
            case IFD_EPI_BIAS_RESIDUAL:
                want = x + p->residual.data[m * p->g.ldr + n];
                bound += 0x1p-23 * (fabs(x) + 1);
                break;
            case IFD_EPI_SCALE:
                want = sum * p->g.scale;
                break;
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

static void test_shapes(void **state)
{
    (void)state;
    static const size_t k_list[] = {1, 2, 3, 5, 31, 68};
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers), tried = 0;
    for (size_t t = 0; t < count; t++) {
        for (size_t m = 1; m <= tiers[t]->mr + 1; m++) {
            for (size_t i = 1; i <= tiers[t]->nr + 2; i++) {
                size_t n = i <= tiers[t]->nr + 1 ? i : 2 * tiers[t]->nr + 3;
                for (size_t k = 0; k < sizeof(k_list) / sizeof(k_list[0]); k++) {
                    enum ifd_epilogue e = (enum ifd_epilogue)((m + i + k) % EPILOGUES);
                    struct problem p = problem_new(tiers[t], m, n, k_list[k], e, m * 1000 + n);
                    run_all(tiers[t], &p);
                    if (count_wrong(&p) || count_overwritten(&p))
                        fail_msg("%s: m %zu n %zu k %zu epilogue %d: %zu wrong, %zu overwritten",
                                 tiers[t]->name, m, n, k_list[k], (int)e, count_wrong(&p),
                                 count_overwritten(&p));
                    problem_free(&p);
                    tried++;
                }
            }
        }
    }
    print_message("%zu products on %zu tiers\n", tried, count);
}

static void test_epilogues_and_model_shapes(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{29, 50, 77}, {1, 384, 384}, {60, 96, 1536}, {131, 33, 64}};
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t t = 0; t < count; t++) {
        for (int e = 0; e < EPILOGUES; e++) {
            for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
                struct problem p = problem_new(tiers[t], shapes[s][0], shapes[s][1], shapes[s][2],
                                               (enum ifd_epilogue)e, 7);
                run_all(tiers[t], &p);
                assert_int_equal(count_wrong(&p), 0);
                assert_int_equal(count_overwritten(&p), 0);
                problem_free(&p);
            }
        }
    }
}

/* The check above must be able to fail: one weight off by a thousandth. */
static void test_perturbed_weight_is_caught(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t t = 0; t < count; t++) {
        for (int e = 0; e < EPILOGUES; e++) {
            struct problem p = problem_new(tiers[t], 7, 20, 33, (enum ifd_epilogue)e, 3);
            p.b.data[5 * tiers[t]->nr + 3] += 1e-3f;
            run_all(tiers[t], &p);
            assert_true(count_wrong(&p) > 0);
            problem_free(&p);
        }
    }
}

static void test_residual_may_be_the_result(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t t = 0; t < count; t++) {
        struct problem p = problem_new(tiers[t], 31, 70, 40, IFD_EPI_BIAS_RESIDUAL, 5);
        for (size_t m = 0; m < p.m; m++)
            memcpy(p.c.data + m * p.g.ldc, p.residual.data + m * p.g.ldr, p.n * sizeof(float));
        p.g.residual = p.c.data;
        p.g.ldr = p.g.ldc;
        run_all(tiers[t], &p);
        p.g.ldr = p.n + 1; /* as count_wrong reads it */
        assert_int_equal(count_wrong(&p), 0);
        problem_free(&p);
    }
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

static void test_any_split_gives_the_same_bits(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{37, 75, 51}, {300, 40, 1536}, {5, 200, 96}, {1, 1, 1}};
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers), splits = 0;
    uint64_t seed = 99;
    for (size_t t = 0; t < count; t++) {
        for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
            for (int e = 0; e < EPILOGUES; e++) {
                const size_t *d = shapes[s];
                struct problem whole =
                    problem_new(tiers[t], d[0], d[1], d[2], (enum ifd_epilogue)e, 11);
                struct problem parts =
                    problem_new(tiers[t], d[0], d[1], d[2], (enum ifd_epilogue)e, 11);
                size_t panels = (d[1] + tiers[t]->nr - 1) / tiers[t]->nr;
                run_all(tiers[t], &whole);
                for (size_t row = 0, rows; row < d[0]; row += rows) {
                    rows = 1 + (size_t)((noise(&seed) + 1) * 12);
                    rows = rows < d[0] - row ? rows : d[0] - row;
                    for (size_t panel = 0, n; panel < panels; panel += n, splits++) {
                        n = 1 + (size_t)((noise(&seed) + 1) * 2);
                        n = n < panels - panel ? n : panels - panel;
                        tiers[t]->gemm_f32(&parts.g, row, row + rows, panel, panel + n);
                    }
                }
                assert_int_equal(count_different(&whole, &parts), 0);
                /* and a changed bit is a difference */
                uint32_t bits;
                memcpy(&bits, parts.c.data, sizeof(bits));
                bits ^= 1;
                memcpy(parts.c.data, &bits, sizeof(bits));
                assert_int_equal(count_different(&whole, &parts), 1);
                problem_free(&whole);
                problem_free(&parts);
            }
        }
    }
    print_message("%zu parts, 0 differences\n", splits);
}

static void test_empty_ranges_write_nothing(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t t = 0; t < count; t++) {
        struct problem p = problem_new(tiers[t], 3, 9, 4, IFD_EPI_BIAS, 1);
        tiers[t]->gemm_f32(&p.g, 2, 2, 0, 1);
        tiers[t]->gemm_f32(&p.g, 0, 3, 1, 1);
        for (size_t i = 0; i < 2 * p.g.ldc + 9; i++)
            assert_true(p.c.data[i] == CANARY);
        problem_free(&p);
    }
}

static void test_vector_tiers_agree_bitwise(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = vector_tiers_here(tiers);
    if (count < 2)
        skip();
    for (int e = 0; e < EPILOGUES; e++) {
        struct problem p = problem_new(tiers[0], 67, 83, 129, (enum ifd_epilogue)e, 21);
        run_all(tiers[0], &p);
        for (size_t t = 1; t < count; t++) {
            struct problem q = problem_new(tiers[t], 67, 83, 129, (enum ifd_epilogue)e, 21);
            run_all(tiers[t], &q);
            assert_int_equal(count_different(&p, &q), 0);
            problem_free(&q);
        }
        problem_free(&p);
    }
}

static void test_nan_and_infinity_propagate(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t t = 0; t < count; t++) {
        for (int e = 0; e < EPILOGUES; e++) {
            struct problem p = problem_new(tiers[t], 9, 21, 12, (enum ifd_epilogue)e, 31);
            p.a.data[4 * p.g.lda + 11] = NAN;
            p.a.data[6 * p.g.lda] = INFINITY;
            run_all(tiers[t], &p);
            for (size_t m = 0; m < p.m; m++) {
                for (size_t n = 0; n < p.n; n++) {
                    float c = p.c.data[m * p.g.ldc + n];
                    bool up = p.w.data[n * p.k] > 0;
                    if (m == 4)
                        assert_true(isnan(c));
                    else if (m != 6)
                        assert_true(isfinite(c));
                    else if (e == IFD_EPI_BIAS_TANH)
                        assert_true(c == (up ? 1.0f : -1.0f));
                    else if (e == IFD_EPI_BIAS_RELU)
                        assert_true(c == (up ? INFINITY : 0.0f));
                    else if (e == IFD_EPI_BIAS_GELU) /* -inf * 0 is NaN, as in the formula */
                        assert_true(up ? c == INFINITY : isnan(c));
                    else
                        assert_true(c == (up ? INFINITY : -INFINITY));
                }
            }
            problem_free(&p);
        }
    }
}

/* One product of one element with weight 1 is the epilogue itself. */
static float through(const struct ifd_kernels *kernels, enum ifd_epilogue epilogue, float x)
{
    static float b[64] __attribute__((aligned(64))), bias[64] __attribute__((aligned(64)));
    float c = 0;
    b[0] = 1.0f;
    const struct ifd_gemm_f32 g = {.m = 1,
                                   .n = 1,
                                   .k = 1,
                                   .a = &x,
                                   .lda = 1,
                                   .b = b,
                                   .c = &c,
                                   .ldc = 1,
                                   .bias = bias,
                                   .epilogue = epilogue};
    kernels->gemm_f32(&g, 0, 1, 0, 1);
    return c;
}

static void test_gelu_and_tanh_errors(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    const int step = test_emulated() ? 11 : 1; /* kernels.vector_bits ties these bits to x86's */
    for (size_t t = 0; t < count; t++) {
        double gelu_worst = 0, tanh_worst = 0, tanh_relative = 0;
        for (int i = -120000; i <= 120000; i += step) {
            float x = (float)i / 10007.0f;
            double gelu = 0.5 * x * erfc(-x * M_SQRT1_2), want = tanh(x);
            double e = fabs(through(tiers[t], IFD_EPI_BIAS_GELU, x) - gelu) / fmax(1, fabs(x));
            gelu_worst = e > gelu_worst ? e : gelu_worst;
            double d = fabs(through(tiers[t], IFD_EPI_BIAS_TANH, x) - want);
            tanh_worst = d > tanh_worst ? d : tanh_worst;
            if (i)
                tanh_relative = fmax(tanh_relative, d / fabs(want));
        }
        print_message("%s: gelu error %.2g of max(1, |x|), tanh error %.2g, relative %.2g\n",
                      tiers[t]->name, gelu_worst, tanh_worst, tanh_relative);
        assert_true(gelu_worst <= 2e-7);
        assert_true(tanh_worst <= 1.5e-7);
        assert_true(tanh_relative <= 3e-7);
        assert_true(through(tiers[t], IFD_EPI_BIAS_GELU, -100.0f) == 0.0f);
        assert_true(through(tiers[t], IFD_EPI_BIAS_GELU, 100.0f) == 100.0f);
        assert_true(through(tiers[t], IFD_EPI_BIAS_TANH, 1e30f) == 1.0f);
        assert_true(through(tiers[t], IFD_EPI_BIAS_TANH, -50.0f) == -1.0f);
    }
}

static void test_packing(void **state)
{
    (void)state;
    float w[7 * 3], packed[2 * 4 * 3];
    for (int i = 0; i < 21; i++)
        w[i] = (float)(i + 1);
    memset(packed, 0xFF, sizeof(packed));
    assert_int_equal(ifd_packed_floats(7, 3, 4), 24);
    ifd_pack_panel_f32(w, 4, 3, 4, 0, packed);
    ifd_pack_panel_f32(w + 12, 3, 3, 4, 1, packed);
    for (size_t n = 0; n < 8; n++)
        for (size_t k = 0; k < 3; k++)
            assert_true(packed[n / 4 * 12 + k * 4 + n % 4] == (n < 7 ? w[n * 3 + k] : 0.0f));
    assert_int_equal(ifd_packed_floats(SIZE_MAX, 2, 32), 0);
    assert_int_equal(ifd_packed_floats(SIZE_MAX / 2, 64, 32), 0);
    assert_int_equal(ifd_attention_work_floats(SIZE_MAX, SIZE_MAX / 2, 64, 32), 0);
}

static void test_tables(void **state)
{
    (void)state;
    assert_non_null(ifd_kernels_get(IFD_TIER_REF));
    assert_null(ifd_kernels_get(IFD_TIER_COUNT));
    for (int t = 0; t < IFD_TIER_COUNT; t++) {
        const struct ifd_kernels *k = ifd_kernels_get((enum ifd_tier)t);
        if (!k)
            continue;
        assert_int_equal(k->tier, t);
        assert_string_equal(k->name, ifd_tier_name((enum ifd_tier)t));
        assert_true(k->nr % 16 == 0 && k->mr >= 1);
        assert_true(k->gemm_f32 && k->layer_norm_f32 && k->softmax_f32 && k->attention_f32 &&
                    k->f16_to_f32 && k->bf16_to_f32);
        assert_true(k->gemm_int8 && k->gemm_bf16 && k->narrow_int8 && k->narrow_bf16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_epilogues_and_model_shapes),
        cmocka_unit_test(test_perturbed_weight_is_caught),
        cmocka_unit_test(test_residual_may_be_the_result),
        cmocka_unit_test(test_any_split_gives_the_same_bits),
        cmocka_unit_test(test_empty_ranges_write_nothing),
        cmocka_unit_test(test_vector_tiers_agree_bitwise),
        cmocka_unit_test(test_nan_and_infinity_propagate),
        cmocka_unit_test(test_gelu_and_tanh_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
