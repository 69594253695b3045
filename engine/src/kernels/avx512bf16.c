/* SPDX-License-Identifier: Apache-2.0
 *
 * The AVX-512 BF16 tier: AVX-512 with both narrow dot products.
 * Compiled with its own flags; nothing here may be called before ifd_cpu_has(IFD_TIER_AVX512BF16).
 */
#include "kernels/vec_avx512-inl.h"

#include "kernels/dot_avx512-inl.h"

#define TIER_TABLE ifd_kernels_avx512bf16
#define TIER_ID IFD_TIER_AVX512BF16
#define TIER_NAME "avx512bf16"
#define TIER_ROWS_FP32 14
#define TIER_ROWS_INT8 14
#define TIER_ROWS_BF16 14
#define TIER_DOT_INT8 dot_int8
#define TIER_DOT_BF16 dot_bf16
#include "kernels/tier-inl.h"
