/* SPDX-License-Identifier: Apache-2.0
 *
 * The NEON tier with FEAT_I8MM: the int8 dot product of unsigned by signed.
 * Compiled with its own flags; nothing here may be called before ifd_cpu_has(IFD_TIER_NEONI8MM).
 */
#include "kernels/vec_neon-inl.h"

#include "kernels/dot_neon-inl.h"

#define TIER_TABLE ifd_kernels_neoni8mm
#define TIER_ID IFD_TIER_NEONI8MM
#define TIER_NAME "neoni8mm"
#define TIER_ROWS_FP32 6
#define TIER_ROWS_INT8 6
#define TIER_ROWS_BF16 6
#define TIER_DOT_INT8 dot_int8
#include "kernels/tier-inl.h"
