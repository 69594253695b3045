/* SPDX-License-Identifier: Apache-2.0
 *
 * The AVX-512 tier (F, BW, DQ, VL): tiles of 14 rows x 32 columns, 28 of 32 registers for sums.
 * Compiled with its own flags; nothing here may be called before ifd_cpu_has(IFD_TIER_AVX512).
 */
#include "kernels/tiers.h"
#include "kernels/vec_avx512-inl.h"

#define TILE_ROWS 14
#define TILES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)

#include "kernels/math-inl.h"
#include "kernels/rows-inl.h"
#include "kernels/tile-inl.h"
#include "kernels/gemm-inl.h"
#include "kernels/attention-inl.h"

const struct ifd_kernels ifd_kernels_avx512 = {
    .name = "avx512",
    .tier = IFD_TIER_AVX512,
    .nr = NR,
    .mr = TILE_ROWS,
    .gemm_f32 = gemm_f32,
    .layer_norm_f32 = layer_norm_f32,
    .softmax_f32 = softmax_f32,
    .attention_f32 = attention_f32,
    .f16_to_f32 = f16_to_f32,
    .bf16_to_f32 = bf16_to_f32,
};
