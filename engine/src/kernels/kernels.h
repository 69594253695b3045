/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels.h - the arithmetic of the forward pass, one table of functions per CPU tier.
 *
 * docs/kernels.md is the contract. In short: matrices are row-major; weights are packed once into
 * column panels of `nr` outputs; the sum over k of each output element is taken in rising k, one
 * multiply-add after the other, whatever M, the tile edge, the panel range or the thread: that is
 * what makes results independent of the batch. No tier reads past a stated size. NaN and infinity
 * propagate. All functions are pure and thread-safe.
 */
#ifndef IFD_KERNELS_KERNELS_H
#define IFD_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* What is done to each element acc of a GEMM's result before it is stored. */
enum ifd_epilogue {
    IFD_EPI_BIAS,          /* acc + bias[n] */
    IFD_EPI_BIAS_GELU,     /* gelu(acc + bias[n]), the erf form */
    IFD_EPI_BIAS_RELU,     /* max(acc + bias[n], 0) */
    IFD_EPI_BIAS_TANH,     /* tanh(acc + bias[n]) */
    IFD_EPI_BIAS_RESIDUAL, /* (acc + bias[n]) + residual[m][n] */
    IFD_EPI_SCALE,         /* acc * scale; bias unused */
};

/* C[m][n] = epilogue(sum over k of A[m][k] * B[k][n]) for m < M and the panels asked for. */
struct ifd_gemm_f32 {
    size_t m, n, k;
    const float *a; /* [m][k], rows lda apart */
    size_t lda;
    const float *b; /* packed: ceil(n / nr) panels, each [k][nr], 64-byte aligned, zero-padded */
    float *c;       /* [m][n], rows ldc apart; only columns < n are written; may not alias a or b */
    size_t ldc;
    const float *bias;     /* [n padded to nr], or NULL for IFD_EPI_SCALE */
    const float *residual; /* [m][n], rows ldr apart; may alias c */
    size_t ldr;
    enum ifd_epilogue epilogue;
    float scale;
};

struct ifd_kernels {
    const char *name;
    enum ifd_tier tier;
    size_t nr; /* outputs per packed panel */
    size_t mr; /* rows per register tile: a hint for splitting M */

    /* Panels [panel_begin, panel_end) and rows [row_begin, row_end) of the product. */
    void (*gemm_f32)(const struct ifd_gemm_f32 *g, size_t row_begin, size_t row_end,
                     size_t panel_begin, size_t panel_end);
    /* out[r][i] = (x[r][i] - mean) / sqrt(var + eps) * gamma[i] + beta[i] for each of `rows` rows
     * of n, ldx apart; var is the biased variance. out may alias x. */
    void (*layer_norm_f32)(const float *x, size_t ldx, const float *gamma, const float *beta,
                           float eps, size_t rows, size_t n, float *out, size_t ldo);
    /* Each row of n scores becomes exp(s - max) / sum, in place; rows lds apart. n >= 1. Columns
     * from n to n padded to 16 may be written with zeros when lds allows (lds >= padded n). */
    void (*softmax_f32)(float *s, size_t lds, size_t rows, size_t n);
    /* Attention of one head of one text: o = softmax(q k^T * scale) v.
     * q: [rows][d] (rows <= length: the first `rows` queries), k, v: [length][d], o: [rows][d];
     * row strides ldq, ldk, ldv, ldo. work: ifd_attention_work_floats(rows, length, d, nr) floats,
     * 64-byte aligned. d >= 1 of any value. */
    void (*attention_f32)(const float *q, size_t ldq, const float *k, size_t ldk, const float *v,
                          size_t ldv, size_t rows, size_t length, size_t d, float scale, float *o,
                          size_t ldo, float *work);
    /* Widening of stored weights. n elements, any alignment. */
    void (*f16_to_f32)(const uint16_t *in, size_t n, float *out);
    void (*bf16_to_f32)(const uint16_t *in, size_t n, float *out);
};

/* The table of a tier; NULL if it was not compiled in (another architecture). */
const struct ifd_kernels *ifd_kernels_get(enum ifd_tier tier);

/* Packing of a weight matrix w[n][k] (as Linear layers store it: one row per output) into panels.
 * Work on whole panels so that a loader can stage a few rows at a time:
 * rows: the `count` <= nr rows that panel `panel` starts with, contiguous [count][k];
 * packed: the whole packed matrix, ifd_packed_floats(n, k, nr) floats. */
size_t ifd_packed_floats(size_t n, size_t k, size_t nr); /* 0 on overflow */
void ifd_pack_panel_f32(const float *rows, size_t count, size_t k, size_t nr, size_t panel,
                        float *packed);
size_t ifd_attention_work_floats(size_t rows, size_t length, size_t d, size_t nr);

#endif
