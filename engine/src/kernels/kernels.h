/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels.h - the arithmetic of the forward pass, one table of functions per CPU tier.
 *
 * docs/kernels.md is the contract. In short: matrices are row-major; weights are packed once into
 * column panels of `nr` outputs; the sum over k of each output element is taken in rising k, one
 * multiply-add after the other, whatever M, the tile edge, the panel range or the thread: that is
 * what makes results independent of the batch. No tier reads past a stated size. NaN and infinity
 * propagate. All functions are pure and thread-safe.
 *
 * Three dtypes: fp32, and two "narrow" ones, where both factors of a product have fewer bits and
 * everything around it stays fp32: int8 (sums exact in int32) and bf16 (sums in fp32).
 */
#ifndef IFD_KERNELS_KERNELS_H
#define IFD_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* Arithmetic of the products of a forward pass. */
enum ifd_dtype {
    IFD_DTYPE_FP32,
    IFD_DTYPE_BF16,
    IFD_DTYPE_INT8,
    IFD_DTYPE_COUNT,
};

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

/* Rows of activations as a narrow product takes them. A row is a whole number of cache lines: its k
 * elements and zeros after them. Memory of the caller.
 *   int8  u8 = round(x / scale) + zero, scale and zero of the row alone, so that the row's least
 * and greatest value (0 included) are 0 and 255; a row with a NaN or infinity has scale NaN bf16  x
 * rounded to nearest even, as bf16 or as the float of that value (bf16_row_element_bytes); scale
 * and zero unused */
struct ifd_narrow {
    void *data;   /* [rows][ifd_narrow_row_bytes], 64-byte aligned */
    size_t ld;    /* bytes from row to row, a multiple of 64 */
    float *scale; /* [rows] */
    float *zero;  /* [rows], whole numbers 0 .. 255 */
};

/* C[m][n] = epilogue(sum over k of A[m][k] * B[k][n]), as in ifd_gemm_f32, with narrow factors.
 * int8: the sum is exact in int32 for k <= IFD_INT8_K_MAX, the same in every tier; it becomes
 * fma(fma(-zero, b_sum[n], sum), scale * b_scale[n], bias[n]). GELU here is a short polynomial, see
 * docs/kernels.md. IFD_EPI_SCALE is not for these. */
struct ifd_gemm_narrow {
    size_t m, n, k;
    struct ifd_narrow
        a;         /* [m]; of data, IFD_NARROW_ROWS_MIN rows must be readable even if m is less */
    const void *b; /* packed: ifd_pack_panel_int8 or _bf16 */
    const float *b_scale; /* int8: [n padded to nr] */
    const float *b_sum;   /* int8: [n padded to nr], sum over k of B[k][n] */
    const float *bias;    /* [n padded to nr] */
    float *c;
    size_t ldc;
    const float *residual; /* may alias c */
    size_t ldr;
    enum ifd_epilogue epilogue;
};
#define IFD_INT8_K_MAX ((size_t)65536) /* 65536 * 255 * 127 < 2^31 */
#define IFD_NARROW_ROWS_MIN 16u

typedef void ifd_gemm_narrow_fn(const struct ifd_gemm_narrow *g, size_t row_begin, size_t row_end,
                                size_t panel_begin, size_t panel_end);
/* Rows [begin, end) of x (ldx apart, n each) into the same rows of `out`, padding included; element
 * i is first multiplied by by[i] (int8 only; not NULL there). */
typedef void ifd_narrow_fn(const float *x, size_t ldx, size_t n, size_t begin, size_t end,
                           const float *by, const struct ifd_narrow *out);

struct ifd_kernels {
    const char *name;
    enum ifd_tier tier;
    size_t nr;        /* outputs per packed panel */
    size_t mr;        /* rows per register tile: a hint for splitting M */
    size_t mr_narrow; /* the same for the narrow dtypes */
    /* Of rows that narrow_bf16 makes: 2, or 4 where bf16 is two FMAs, which take floats: widened
     * once here, and not again for every 32 columns of the product. */
    size_t bf16_row_element_bytes;

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

    ifd_gemm_narrow_fn *gemm_int8, *gemm_bf16;
    ifd_narrow_fn *narrow_int8, *narrow_bf16;
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
/* The same for the narrow dtypes, whose panels are [k / 4][nr][4] int8 and [k / 2][nr][2] bf16, k
 * padded with zeros to a cache line of elements (64 or 32). A column's int8 scale is its greatest
 * magnitude / 127. scale, sum: of the whole matrix, [n padded to nr]. */
size_t ifd_packed_bytes(enum ifd_dtype dtype, size_t n, size_t k, size_t nr); /* 0 on overflow */
void ifd_pack_panel_int8(const float *rows, size_t count, size_t k, size_t nr, size_t panel,
                         int8_t *packed, float *scale, float *sum);
void ifd_pack_panel_bf16(const float *rows, size_t count, size_t k, size_t nr, size_t panel,
                         uint16_t *packed);
/* Bytes of a row of k elements that narrow_* of `kernels` makes, with its padding; 0 on overflow.
 */
size_t ifd_narrow_row_bytes(const struct ifd_kernels *kernels, enum ifd_dtype dtype, size_t k);
/* Bytes of a column of k elements in a panel of a narrow dtype, with its padding; 0 on overflow. */
size_t ifd_narrow_column_bytes(enum ifd_dtype dtype, size_t k);
size_t ifd_attention_work_floats(size_t rows, size_t length, size_t d, size_t nr);

#endif
