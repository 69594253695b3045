/* SPDX-License-Identifier: Apache-2.0
 *
 * All vector tiers give the same bits in fp32 and int8, those of other architectures too, which no
 * one machine can compare. So each kernel's results are made into a checksum that stands here:
 * every tier must reproduce it. Inputs are whole numbers times powers of two, the same everywhere.
 */
#include "kernels/guarded.h"

#define EPILOGUES 6
#define M 23
#define N 83
#define K 129

static uint64_t checksum(uint64_t sum, const void *data, size_t bytes) /* FNV-1a */
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        sum = (sum ^ p[i]) * 0x100000001B3u;
    return sum;
}

static uint64_t gemm_f32(const struct ifd_kernels *kernels, uint64_t sum)
{
    static float a[M * K], w[N * K], c[M * N], residual[M * N];
    static float bias[N + 64] __attribute__((aligned(64)));
    uint64_t seed = 1;
    noise_fill(a, M * K, &seed);
    noise_fill(w, N * K, &seed);
    noise_fill(residual, M * N, &seed);
    noise_fill(bias, N, &seed);
    struct guarded b = guarded_pack(w, N, K, kernels->nr);
    for (int e = 0; e < EPILOGUES; e++) {
        const struct ifd_gemm_f32 g = {.m = M,
                                       .n = N,
                                       .k = K,
                                       .a = a,
                                       .lda = K,
                                       .b = b.data,
                                       .c = c,
                                       .ldc = N,
                                       .bias = bias,
                                       .residual = residual,
                                       .ldr = N,
                                       .epilogue = (enum ifd_epilogue)e,
                                       .scale = 0.37f};
        kernels->gemm_f32(&g, 0, M, 0, (N + kernels->nr - 1) / kernels->nr);
        sum = checksum(sum, c, sizeof(c));
    }
    guarded_free(&b);
    return sum;
}

/* The values of the rows: where they stand as floats, those must be whole bf16. */
static uint64_t checksum_rows(const struct ifd_kernels *kernels, enum ifd_dtype dtype, uint64_t sum,
                              const void *data)
{
    static uint16_t half[M * (K + 32)];
    const size_t row = ifd_narrow_column_bytes(dtype, K);
    if (dtype == IFD_DTYPE_INT8 || kernels->bf16_row_element_bytes == sizeof(*half))
        return checksum(sum, data, M * row);
    const uint32_t *bits = data;
    for (size_t i = 0; i < M * row / sizeof(*half); i++) {
        assert_int_equal(bits[i] & 0xFFFFu, 0);
        half[i] = (uint16_t)(bits[i] >> 16);
    }
    return checksum(sum, half, M * row);
}

/* The narrow rows, and a product in each epilogue. */
static uint64_t narrow(const struct ifd_kernels *kernels, enum ifd_dtype dtype, uint64_t sum)
{
    static float x[M * K], by[K], w[N * K], c[M * N], residual[M * N], scale[M], zero[M];
    static float bias[N + 64], b_scale[N + 64], b_sum[N + 64];
    const size_t nr = kernels->nr, panels = (N + nr - 1) / nr;
    const size_t ld = ifd_narrow_row_bytes(kernels, dtype, K);
    struct guarded a = guarded_bytes(M * ld);
    struct guarded b = guarded_bytes(ifd_packed_bytes(dtype, N, K, nr));
    uint64_t seed = 2;
    noise_fill(x, M * K, &seed);
    noise_fill(w, N * K, &seed);
    noise_fill(residual, M * N, &seed);
    noise_fill(bias, N, &seed);
    for (size_t i = 0; i < K; i++)
        by[i] = 1.0f + 0.5f * noise(&seed);
    for (size_t p = 0; p < panels; p++) {
        const size_t count = N - p * nr < nr ? N - p * nr : nr;
        if (dtype == IFD_DTYPE_INT8)
            ifd_pack_panel_int8(w + p * nr * K, count, K, nr, p, (int8_t *)b.data, b_scale, b_sum);
        else
            ifd_pack_panel_bf16(w + p * nr * K, count, K, nr, p, (uint16_t *)b.data);
    }
    const struct ifd_narrow rows = {a.data, ld, scale, zero};
    (dtype == IFD_DTYPE_INT8 ? kernels->narrow_int8 : kernels->narrow_bf16)(x, K, K, 0, M, by,
                                                                            &rows);
    sum = checksum_rows(kernels, dtype, sum, a.data);
    if (dtype == IFD_DTYPE_INT8) {
        sum = checksum(sum, scale, sizeof(scale));
        sum = checksum(sum, zero, sizeof(zero));
    }
    for (int e = 0; e < IFD_EPI_SCALE; e++) {
        const struct ifd_gemm_narrow g = {.m = M,
                                          .n = N,
                                          .k = K,
                                          .a = rows,
                                          .b = b.data,
                                          .b_scale = b_scale,
                                          .b_sum = b_sum,
                                          .bias = bias,
                                          .c = c,
                                          .ldc = N,
                                          .residual = residual,
                                          .ldr = N,
                                          .epilogue = (enum ifd_epilogue)e};
        (dtype == IFD_DTYPE_INT8 ? kernels->gemm_int8 : kernels->gemm_bf16)(&g, 0, M, 0, panels);
        sum = checksum(sum, c, sizeof(c));
    }
    guarded_free(&a);
    guarded_free(&b);
    return sum;
}

static uint64_t gemm_int8(const struct ifd_kernels *kernels, uint64_t sum)
{
    return narrow(kernels, IFD_DTYPE_INT8, sum);
}

/* For the tiers whose bf16 is two FMAs; a dot product of bf16 rounds in its own way. */
static uint64_t gemm_bf16(const struct ifd_kernels *kernels, uint64_t sum)
{
    switch (kernels->tier) {
    case IFD_TIER_AVX512BF16:
    case IFD_TIER_AMX:
    case IFD_TIER_NEONBF16:
        return 0;
    default:
        return narrow(kernels, IFD_DTYPE_BF16, sum);
    }
}

static uint64_t layer_norm(const struct ifd_kernels *kernels, uint64_t sum)
{
    float x[400], gamma[400], beta[400], out[400];
    uint64_t seed = 3;
    for (size_t n = 1; n <= 400; n += n < 70 ? 1 : 11) {
        noise_fill(x, n, &seed);
        noise_fill(gamma, n, &seed);
        noise_fill(beta, n, &seed);
        kernels->layer_norm_f32(x, n, gamma, beta, 1e-12f, 1, n, out, n);
        sum = checksum(sum, out, n * sizeof(float));
    }
    return sum;
}

static uint64_t softmax(const struct ifd_kernels *kernels, uint64_t sum)
{
    float s[400];
    uint64_t seed = 4;
    for (size_t n = 1; n <= 400; n += n < 70 ? 1 : 11) {
        noise_fill(s, n, &seed);
        for (size_t i = 0; i < n; i++)
            s[i] *= 32.0f;
        kernels->softmax_f32(s, n, 1, n);
        sum = checksum(sum, s, n * sizeof(float));
    }
    return sum;
}

static uint64_t attention(const struct ifd_kernels *kernels, uint64_t sum)
{
    enum { LENGTH_MOST = 70, D = 37 };
    static float q[LENGTH_MOST * D], k[LENGTH_MOST * D], v[LENGTH_MOST * D], o[LENGTH_MOST * D];
    uint64_t seed = 5;
    noise_fill(q, LENGTH_MOST * D, &seed);
    noise_fill(k, LENGTH_MOST * D, &seed);
    noise_fill(v, LENGTH_MOST * D, &seed);
    for (size_t length = 1; length <= LENGTH_MOST; length += 3) {
        struct guarded work =
            guarded_floats(ifd_attention_work_floats(length, length, D, kernels->nr));
        kernels->attention_f32(q, D, k, D, v, D, length, length, D, 0.5f, o, D, work.data);
        sum = checksum(sum, o, length * D * sizeof(float));
        guarded_free(&work);
    }
    return sum;
}

static uint64_t widening(const struct ifd_kernels *kernels, uint64_t sum)
{
    enum { FINITE = 0x7C00 }; /* from here on: infinity and NaN, whose bits are not promised */
    static uint16_t in[FINITE];
    static float out[FINITE];
    for (size_t i = 0; i < FINITE; i++)
        in[i] = (uint16_t)i;
    kernels->f16_to_f32(in, FINITE, out);
    sum = checksum(sum, out, sizeof(out));
    kernels->bf16_to_f32(in, FINITE, out);
    return checksum(sum, out, sizeof(out));
}

static const struct {
    const char *name;
    uint64_t (*run)(const struct ifd_kernels *kernels, uint64_t sum); /* 0: not of this tier */
    uint64_t want;
    bool as_ref; /* the reference has these bits too */
} kernels_of_all[] = {
    {"gemm_f32", gemm_f32, 0x907CD3860E83B4BC, false},
    {"gemm_int8", gemm_int8, 0x231B302655D3E5DC, false},
    {"gemm_bf16", gemm_bf16, 0x7BDF3271110B0134, false},
    {"layer_norm_f32", layer_norm, 0x18096E88EAA09FE9, false},
    {"softmax_f32", softmax, 0xEFE7EA49AAE1C72F, false},
    {"attention_f32", attention, 0x216DCF3EB115C938, false},
    {"f16_to_f32, bf16_to_f32", widening, 0x6C132473256A907C, true},
};
#define KERNELS (sizeof(kernels_of_all) / sizeof(kernels_of_all[0]))
#define START 0xCBF29CE484222325u

static void test_bits_are_those_of_every_architecture(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = vector_tiers_here(tiers), wrong = 0, compared = 0;
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 0; i < KERNELS; i++) {
            const uint64_t sum = kernels_of_all[i].run(tiers[t], START);
            if (sum == 0)
                continue;
            compared++;
            if (sum != kernels_of_all[i].want) {
                print_message("%s: %s has the bits 0x%016llX\n", tiers[t]->name,
                              kernels_of_all[i].name, (unsigned long long)sum);
                wrong++;
            }
        }
    }
    print_message("%zu checksums on %zu vector tiers\n", compared, count);
    assert_int_equal(wrong, 0);
}

/* The reference adds in another order, or without fusing: the checksum must tell. */
static void test_other_roundings_are_seen(void **state)
{
    (void)state;
    const struct ifd_kernels *ref = ifd_kernels_get(IFD_TIER_REF);
    for (size_t i = 0; i < KERNELS; i++)
        assert_int_equal(kernels_of_all[i].run(ref, START) == kernels_of_all[i].want,
                         kernels_of_all[i].as_ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_are_those_of_every_architecture),
        cmocka_unit_test(test_other_roundings_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
