/* SPDX-License-Identifier: Apache-2.0
 *
 * The NEON tier (Advanced SIMD of ARMv8.0-A): tiles of 6 rows x 16 columns, 24 of 32 registers for
 * sums; the narrow dtypes have no instruction of their own here and need more registers.
 * Compiled with its own flags; nothing here may be called before ifd_cpu_has(IFD_TIER_NEON).
 */
#include "kernels/vec_neon-inl.h"

#define TIER_TABLE ifd_kernels_neon
#define TIER_ID IFD_TIER_NEON
#define TIER_NAME "neon"
#define TIER_ROWS_FP32 6
#define TIER_ROWS_INT8 4
#define TIER_ROWS_BF16 6
#define TIER_DOT_INT8 reg_dot_int8
#define TIER_INT8_SUMS vec_of_sums_128
#include "kernels/tier-inl.h"
