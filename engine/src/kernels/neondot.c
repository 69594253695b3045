/* SPDX-License-Identifier: Apache-2.0
 *
 * The NEON tier with FEAT_DotProd: NEON and the int8 dot product of equal signs.
 * Compiled with its own flags; nothing here may be called before ifd_cpu_has(IFD_TIER_NEONDOT).
 */
#include "kernels/vec_neon-inl.h"

#include "kernels/dot_neon-inl.h"

#define TIER_TABLE ifd_kernels_neondot
#define TIER_ID IFD_TIER_NEONDOT
#define TIER_NAME "neondot"
#define TIER_ROWS_FP32 6
#define TIER_ROWS_INT8 6
#define TIER_ROWS_BF16 6
#define TIER_DOT_INT8 dot_int8_signed
#define TIER_INT8_SUMS vec_of_sums_128
#include "kernels/tier-inl.h"
