/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tiers share: the list of them and the size of attention's work.
 * Compiled for the baseline CPU.
 */
#include "kernels/kernels.h"

#include "base/mem.h"
#include "kernels/tiers.h"

static const struct ifd_kernels *const tiers[IFD_TIER_COUNT] = {
    [IFD_TIER_REF] = &ifd_kernels_ref,
#if IFD_KERNELS_X86
    [IFD_TIER_AVX2] = &ifd_kernels_avx2,
    [IFD_TIER_AVXVNNI] = &ifd_kernels_avxvnni,
    [IFD_TIER_AVX512] = &ifd_kernels_avx512,
    [IFD_TIER_AVX512VNNI] = &ifd_kernels_avx512vnni,
    [IFD_TIER_AVX512BF16] = &ifd_kernels_avx512bf16,
    [IFD_TIER_AMX] = &ifd_kernels_amx,
#elif IFD_KERNELS_ARM64
    [IFD_TIER_NEON] = &ifd_kernels_neon,         [IFD_TIER_NEONDOT] = &ifd_kernels_neondot,
    [IFD_TIER_NEONI8MM] = &ifd_kernels_neoni8mm, [IFD_TIER_NEONBF16] = &ifd_kernels_neonbf16,
#endif
};

const struct ifd_kernels *ifd_kernels_get(enum ifd_tier tier)
{
    return (unsigned)tier < IFD_TIER_COUNT ? tiers[tier] : NULL;
}

size_t ifd_attention_work_floats(size_t rows, size_t length, size_t d, size_t nr)
{
    size_t block = rows < IFD_ATTENTION_ROWS ? rows : IFD_ATTENTION_ROWS;
    size_t keys = ifd_packed_floats(length, d, nr);
    size_t values = ifd_packed_floats(d, length, nr);
    size_t scores = ifd_packed_floats(length, block, nr);
    size_t sum;
    if (!keys || !values || !scores || !ifd_size_add(keys, values, &sum) ||
        !ifd_size_add(sum, scores, &sum) || !ifd_size_add(sum, 15, &sum))
        return 0;
    return sum - sum % 16;
}
