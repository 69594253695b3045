/* SPDX-License-Identifier: Apache-2.0
 *
 * The AVX2 tier (AVX2, FMA, F16C): tiles of 6 rows x 16 columns, 12 of 16 registers for sums.
 * Compiled with its own flags; nothing here may be called before ifd_cpu_has(IFD_TIER_AVX2).
 */
#include "kernels/tiers.h"
#include "kernels/vec_avx2-inl.h"

#define TILE_ROWS 6
#define TILES(X) X(1) X(2) X(3) X(4) X(5) X(6)

#include "kernels/math-inl.h"
#include "kernels/rows-inl.h"
#include "kernels/tile-inl.h"
#include "kernels/gemm-inl.h"
#include "kernels/attention-inl.h"

const struct ifd_kernels ifd_kernels_avx2 = {
    .name = "avx2",
    .tier = IFD_TIER_AVX2,
    .nr = NR,
    .mr = TILE_ROWS,
    .gemm_f32 = gemm_f32,
    .layer_norm_f32 = layer_norm_f32,
    .softmax_f32 = softmax_f32,
    .attention_f32 = attention_f32,
    .f16_to_f32 = f16_to_f32,
    .bf16_to_f32 = bf16_to_f32,
};
