/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything of a vector tier: the kernels over its vocabulary and its table. A tier file includes
 * its vocabulary (vec_*-inl.h) and then this, with
 *   TIER_TABLE, TIER_ID, TIER_NAME     the table, its value of enum ifd_tier and that one's name
 *   TIER_ROWS_FP32, _INT8, _BF16       most rows of a tile, by how many registers a dot leaves free
 *   TIER_DOT_INT8                      (a, b, sum): the products of one unit
 *   TIER_DOT_BF16 (optional)           the same of bf16; else it is two FMAs, and rows of A are
 *                                      floats that narrow_bf16 has rounded
 *   TIER_INT8_SUMS (optional)          (sum, b_sum): sums that the dot left in another form, as
 * floats TIER_MATRIX_UNIT (optional)        a file with its own gemm_int8 and gemm_bf16
 */
#include "kernels/tiers.h"

#include "kernels/math-inl.h"
#include "kernels/rows-inl.h"

#define TILE_FN(name) name##_f32
#define TILE_DOT reg_fma
#define TILE_ROWS TIER_ROWS_FP32
#include "kernels/tile-inl.h"

#ifndef TIER_MATRIX_UNIT
#define TILE_FN(name) name##_int8
#define TILE_DOT TIER_DOT_INT8
#define TILE_ROWS TIER_ROWS_INT8
#include "kernels/tile-inl.h"

#define TILE_FN(name) name##_bf16
#ifdef TIER_DOT_BF16
#define TILE_DOT TIER_DOT_BF16
#else
#define TILE_DOT reg_fma
#define TILE_PAIRS
#endif
#define TILE_ROWS TIER_ROWS_BF16
#include "kernels/tile-inl.h"
#endif

#ifndef TIER_INT8_SUMS
#define TIER_INT8_SUMS(sum, b_sum) vec_of_ints(sum)
#endif

#if defined(TIER_DOT_BF16) || defined(TIER_MATRIX_UNIT)
#define BF16_ROWS_ARE_FLOATS 0
typedef uint16_t bf16_row_element;
#else
#define BF16_ROWS_ARE_FLOATS 1
typedef float bf16_row_element;
#endif

#include "kernels/gemm-inl.h"
#include "kernels/narrow-inl.h"
#ifdef TIER_MATRIX_UNIT
#include TIER_MATRIX_UNIT
#endif
#include "kernels/attention-inl.h"

const struct ifd_kernels TIER_TABLE = {
    .name = TIER_NAME,
    .tier = TIER_ID,
    .nr = NR,
    .mr = TIER_ROWS_FP32,
#ifdef TIER_MATRIX_UNIT
    .mr_narrow = 2 * AMX_TILE_ROWS,
#else
    .mr_narrow = TIER_ROWS_INT8,
#endif
    .bf16_row_element_bytes = sizeof(bf16_row_element),
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
