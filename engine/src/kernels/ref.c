/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference tier: plain C for any machine, and the meaning that the other tiers are tested
 * against. Never optimised beyond what the packed layout gives. Sums of a product are float, in
 * rising k, multiply then add; transcendental functions and the sums of rows are double.
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/tiers.h"

enum { NR = 16, MR = 4 };

/* Of x = sum + bias; *residual is read where the epilogue has one. */
static float epilogue(float x, enum ifd_epilogue e, const float *residual)
{
    switch (e) {
    case IFD_EPI_BIAS_GELU:
        return (float)(0.5 * (double)x * (1.0 + erf((double)x * 0.70710678118654752440)));
    case IFD_EPI_BIAS_RELU:
        return x < 0.0f ? 0.0f : x;
    case IFD_EPI_BIAS_TANH:
        return (float)tanh((double)x);
    case IFD_EPI_BIAS_RESIDUAL:
        return x + *residual;
    case IFD_EPI_BIAS:
    case IFD_EPI_SCALE:
        break;
    }
    return x;
}

static void gemm_f32(const struct ifd_gemm_f32 *g, size_t row_begin, size_t row_end,
                     size_t panel_begin, size_t panel_end)
{
    for (size_t p = panel_begin; p < panel_end; p++) {
        const float *panel = g->b + p * NR * g->k;
        size_t columns = g->n - p * NR < NR ? g->n - p * NR : NR;
        for (size_t m = row_begin; m < row_end; m++) {
            float acc[NR] = {0};
            for (size_t k = 0; k < g->k; k++)
                for (size_t j = 0; j < NR; j++)
                    acc[j] += g->a[m * g->lda + k] * panel[k * NR + j];
            for (size_t j = 0, n = p * NR; j < columns; j++, n++)
                g->c[m * g->ldc + n] =
                    g->epilogue == IFD_EPI_SCALE
                        ? acc[j] * g->scale
                        : epilogue(acc[j] + g->bias[n], g->epilogue,
                                   g->residual ? g->residual + m * g->ldr + n : NULL);
        }
    }
}

static void store_narrow(const struct ifd_gemm_narrow *g, size_t row, size_t column, float x)
{
    const float *residual = g->residual ? g->residual + row * g->ldr + column : NULL;
    g->c[row * g->ldc + column] = epilogue(x, g->epilogue, residual);
}

static void gemm_int8(const struct ifd_gemm_narrow *g, size_t row_begin, size_t row_end,
                      size_t panel_begin, size_t panel_end)
{
    const size_t row_bytes = ifd_narrow_column_bytes(IFD_DTYPE_INT8, g->k);
    for (size_t n = panel_begin * NR; n < panel_end * NR && n < g->n; n++) {
        const int8_t *b = (const int8_t *)g->b + n / NR * NR * row_bytes + n % NR * 4;
        for (size_t m = row_begin; m < row_end; m++) {
            const uint8_t *a = (const uint8_t *)g->a.data + m * g->a.ld;
            int32_t acc = 0;
            for (size_t k = 0; k < g->k; k++)
                acc += (int32_t)a[k] * b[k / 4 * NR * 4 + k % 4];
            float sum = fmaf(-g->a.zero[m], g->b_sum[n], (float)acc);
            store_narrow(g, m, n, fmaf(sum, g->a.scale[m] * g->b_scale[n], g->bias[n]));
        }
    }
}

static void bf16_to_f32(const uint16_t *in, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)in[i] << 16;
        memcpy(out + i, &bits, sizeof(bits));
    }
}

static void gemm_bf16(const struct ifd_gemm_narrow *g, size_t row_begin, size_t row_end,
                      size_t panel_begin, size_t panel_end)
{
    const size_t row_bytes = ifd_narrow_column_bytes(IFD_DTYPE_BF16, g->k);
    for (size_t n = panel_begin * NR; n < panel_end * NR && n < g->n; n++) {
        const uint16_t *b = (const uint16_t *)g->b + n / NR * NR * row_bytes / 2 + n % NR * 2;
        for (size_t m = row_begin; m < row_end; m++) {
            const uint16_t *a = (const uint16_t *)g->a.data + m * g->a.ld / 2;
            float acc = 0;
            for (size_t k = 0; k < g->k; k++) {
                float pair[2];
                bf16_to_f32(a + k, 1, pair);
                bf16_to_f32(b + k / 2 * NR * 2 + k % 2, 1, pair + 1);
                acc += pair[0] * pair[1];
            }
            store_narrow(g, m, n, acc + g->bias[n]);
        }
    }
}

static void narrow_int8(const float *x, size_t ldx, size_t n, size_t begin, size_t end,
                        const float *by, const struct ifd_narrow *out)
{
    for (size_t r = begin; r < end; r++) {
        const float *in = x + r * ldx;
        uint8_t *to = (uint8_t *)out->data + r * out->ld;
        float low = 0, high = 0, bad = 0; /* bad becomes NaN when an element is not finite */
        for (size_t i = 0; i < n; i++) {
            float v = in[i] * by[i];
            low = v < low ? v : low;
            high = v > high ? v : high;
            bad += v * 0.0f;
        }
        float range = high - low, inverse = range > 1e-30f ? 255.0f / range : 0.0f;
        float zero = nearbyintf(-low * inverse);
        for (size_t i = 0; i < n; i++) {
            float q = nearbyintf(fmaf(in[i] * by[i], inverse, zero));
            to[i] = (uint8_t)(q > 255.0f ? 255.0f : q > 0.0f ? q : 0.0f); /* 0 for NaN */
        }
        memset(to + n, 0, ifd_narrow_column_bytes(IFD_DTYPE_INT8, n) - n);
        out->scale[r] = (inverse > 0.0f ? range / 255.0f : 0.0f) + bad;
        out->zero[r] = zero;
    }
}

static void narrow_bf16(const float *x, size_t ldx, size_t n, size_t begin, size_t end,
                        const float *by, const struct ifd_narrow *out)
{
    (void)by;
    for (size_t r = begin; r < end; r++) {
        uint16_t *to = (uint16_t *)out->data + r * out->ld / sizeof(uint16_t);
        memset(to, 0, ifd_narrow_column_bytes(IFD_DTYPE_BF16, n));
        for (size_t i = 0; i < n; i++) {
            uint32_t bits;
            memcpy(&bits, x + r * ldx + i, sizeof(bits));
            bool nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
            to[i] =
                (uint16_t)(nan ? bits >> 16 | 0x40u : (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
        }
    }
}

static void layer_norm_f32(const float *x, size_t ldx, const float *gamma, const float *beta,
                           float eps, size_t rows, size_t n, float *out, size_t ldo)
{
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * ldx;
        double sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)in[i];
        double mean = sum / (double)n;
        for (size_t i = 0; i < n; i++)
            squares += ((double)in[i] - mean) * ((double)in[i] - mean);
        double scale = 1.0 / sqrt(squares / (double)n + (double)eps);
        for (size_t i = 0; i < n; i++)
            out[r * ldo + i] =
                (float)(((double)in[i] - mean) * scale * (double)gamma[i] + (double)beta[i]);
    }
}

static void softmax_f32(float *s, size_t lds, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++) {
        float *row = s + r * lds;
        float max = row[0];
        for (size_t i = 1; i < n; i++)
            max = row[i] > max ? row[i] : max;
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            row[i] = (float)exp((double)row[i] - (double)max);
            sum += (double)row[i];
        }
        for (size_t i = 0; i < n; i++)
            row[i] = (float)((double)row[i] / sum);
    }
}

static void attention_f32(const float *q, size_t ldq, const float *k, size_t ldk, const float *v,
                          size_t ldv, size_t rows, size_t length, size_t d, float scale, float *o,
                          size_t ldo, float *work)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t t = 0; t < length; t++) {
            float dot = 0;
            for (size_t i = 0; i < d; i++)
                dot += q[r * ldq + i] * k[t * ldk + i];
            work[t] = dot * scale;
        }
        softmax_f32(work, length, 1, length);
        for (size_t i = 0; i < d; i++)
            o[r * ldo + i] = 0;
        for (size_t t = 0; t < length; t++)
            for (size_t i = 0; i < d; i++)
                o[r * ldo + i] += work[t] * v[t * ldv + i];
    }
}

static void f16_to_f32(const uint16_t *in, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t sign = (uint32_t)(in[i] & 0x8000u) << 16;
        uint32_t exponent = in[i] >> 10 & 0x1Fu, fraction = in[i] & 0x3FFu;
        if (exponent == 0) { /* zero or subnormal: fraction * 2^-24 is exact */
            float magnitude = (float)fraction * 0x1p-24f;
            out[i] = sign ? -magnitude : magnitude;
            continue;
        }
        uint32_t bits = sign | fraction << 13;
        if (exponent == 0x1Fu)
            bits |= 0x7F800000u | (fraction ? 0x400000u : 0); /* infinity, or a quiet NaN */
        else
            bits |= (exponent + 112) << 23;
        memcpy(out + i, &bits, sizeof(bits));
    }
}

const struct ifd_kernels ifd_kernels_ref = {
    .name = "ref",
    .tier = IFD_TIER_REF,
    .nr = NR,
    .mr = MR,
    .mr_narrow = MR,
    .bf16_row_element_bytes = sizeof(uint16_t),
    .gemm_f32 = gemm_f32,
    .layer_norm_f32 = layer_norm_f32,
    .softmax_f32 = softmax_f32,
    .attention_f32 = attention_f32,
    .f16_to_f32 = f16_to_f32,
    .bf16_to_f32 = bf16_to_f32,
    .gemm_int8 = gemm_int8,
    .gemm_bf16 = gemm_bf16,
    .narrow_int8 = narrow_int8,
    .narrow_bf16 = narrow_bf16,
};
