/* SPDX-License-Identifier: Apache-2.0
 *
 * The NEON tier with FEAT_I8MM and FEAT_BF16: both narrow dot products.
 * Compiled with its own flags; nothing here may be called before ifd_cpu_has(IFD_TIER_NEONBF16).
 */
#include "kernels/vec_neon-inl.h"

#include "kernels/dot_neon-inl.h"

#define TIER_TABLE ifd_kernels_neonbf16
#define TIER_ID IFD_TIER_NEONBF16
#define TIER_NAME "neonbf16"
#define TIER_ROWS_FP32 6
#define TIER_ROWS_INT8 6
#define TIER_ROWS_BF16 6
#define TIER_DOT_INT8 dot_int8
#define TIER_DOT_BF16 dot_bf16
#include "kernels/tier-inl.h"
