/* SPDX-License-Identifier: Apache-2.0
 *
 * The AVX2 tier (AVX2, FMA, F16C): tiles of 6 rows x 16 columns, 12 of 16 registers for sums; the
 * narrow dtypes have no instruction of their own here and need more registers.
 * Compiled with its own flags; nothing here may be called before ifd_cpu_has(IFD_TIER_AVX2).
 */
#include "kernels/vec_avx2-inl.h"

#define TIER_TABLE ifd_kernels_avx2
#define TIER_ID IFD_TIER_AVX2
#define TIER_NAME "avx2"
#define TIER_ROWS_FP32 6
#define TIER_ROWS_INT8 4
#define TIER_ROWS_BF16 6
#define TIER_DOT_INT8 reg_dot_int8
#include "kernels/tier-inl.h"
