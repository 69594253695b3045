/* SPDX-License-Identifier: Apache-2.0
 *
 * The AVX-VNNI tier: AVX2 with the int8 dot product, on client CPUs without AVX-512.
 * Compiled with its own flags; nothing here may be called before ifd_cpu_has(IFD_TIER_AVXVNNI).
 */
#include "kernels/vec_avx2-inl.h"

static inline reg dot_int8(reg a, reg b, reg sum)
{
    return _mm256_castsi256_ps(_mm256_dpbusd_avx_epi32(
        _mm256_castps_si256(sum), _mm256_castps_si256(a), _mm256_castps_si256(b)));
}

#define TIER_TABLE ifd_kernels_avxvnni
#define TIER_ID IFD_TIER_AVXVNNI
#define TIER_NAME "avxvnni"
#define TIER_ROWS_FP32 6
#define TIER_ROWS_INT8 6
#define TIER_ROWS_BF16 6
#define TIER_DOT_INT8 dot_int8
#include "kernels/tier-inl.h"
