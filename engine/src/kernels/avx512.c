/* SPDX-License-Identifier: Apache-2.0
 *
 * The AVX-512 tier (F, BW, DQ, VL): tiles of 14 rows x 32 columns, 28 of 32 registers for sums; the
 * narrow dtypes have no instruction of their own here and need more registers.
 * Compiled with its own flags; nothing here may be called before ifd_cpu_has(IFD_TIER_AVX512).
 */
#include "kernels/vec_avx512-inl.h"

#define TIER_TABLE ifd_kernels_avx512
#define TIER_ID IFD_TIER_AVX512
#define TIER_NAME "avx512"
#define TIER_ROWS_FP32 14
#define TIER_ROWS_INT8 10
#define TIER_ROWS_BF16 14
#define TIER_DOT_INT8 reg_dot_int8
#include "kernels/tier-inl.h"
