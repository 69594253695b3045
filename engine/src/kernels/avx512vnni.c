/* SPDX-License-Identifier: Apache-2.0
 *
 * The AVX-512 VNNI tier: AVX-512 with the int8 dot product.
 * Compiled with its own flags; nothing here may be called before ifd_cpu_has(IFD_TIER_AVX512VNNI).
 */
#include "kernels/vec_avx512-inl.h"

#include "kernels/dot_avx512-inl.h"

#define TIER_TABLE ifd_kernels_avx512vnni
#define TIER_ID IFD_TIER_AVX512VNNI
#define TIER_NAME "avx512vnni"
#define TIER_ROWS_FP32 14
#define TIER_ROWS_INT8 14
#define TIER_ROWS_BF16 14
#define TIER_DOT_INT8 dot_int8
#include "kernels/tier-inl.h"
