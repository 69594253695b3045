/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tiers share: the list of them, the packing of weights, the size of attention's work.
 * Compiled for the baseline CPU; runs at load time, not on the hot path.
 */
#include "kernels/kernels.h"

#include <string.h>

#include "base/mem.h"
#include "kernels/tiers.h"

static const struct ifd_kernels *const tiers[IFD_TIER_COUNT] = {
    [IFD_TIER_REF] = &ifd_kernels_ref,
#if IFD_KERNELS_X86
    [IFD_TIER_AVX2] = &ifd_kernels_avx2,
    [IFD_TIER_AVX512] = &ifd_kernels_avx512,
#endif
};

const struct ifd_kernels *ifd_kernels_get(enum ifd_tier tier)
{
    return (unsigned)tier < IFD_TIER_COUNT ? tiers[tier] : NULL;
}

size_t ifd_packed_floats(size_t n, size_t k, size_t nr)
{
    size_t columns, floats;
    if (!ifd_size_add(n, nr - 1, &columns))
        return 0;
    columns -= columns % nr;
    return ifd_size_mul(columns, k, &floats) ? floats : 0;
}

void ifd_pack_panel_f32(const float *rows, size_t count, size_t k, size_t nr, size_t panel,
                        float *packed)
{
    float *to = packed + panel * nr * k;
    for (size_t i = 0; i < k; i++) {
        for (size_t j = 0; j < count; j++)
            to[i * nr + j] = rows[j * k + i];
        for (size_t j = count; j < nr; j++)
            to[i * nr + j] = 0.0f;
    }
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
