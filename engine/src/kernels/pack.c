/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing of weights, once at load: panels of nr outputs, in each panel the order in which a
 * product reads them. In units of four bytes all three dtypes have the same picture,
 *
 *   panel:  [k / per][nr] units      per = 1 float, 2 bf16 or 4 int8 of neighbouring k
 *
 * so that one step of every inner loop is one unit of a row of A times one line of nr units.
 * Compiled for the baseline CPU.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/kernels.h"

#define LINE_BYTES ((size_t)64)

static size_t element_bytes(enum ifd_dtype dtype)
{
    return dtype == IFD_DTYPE_FP32   ? sizeof(float)
           : dtype == IFD_DTYPE_BF16 ? sizeof(uint16_t)
                                     : sizeof(int8_t);
}

size_t ifd_packed_floats(size_t n, size_t k, size_t nr)
{
    size_t columns, floats;
    if (!ifd_size_add(n, nr - 1, &columns))
        return 0;
    columns -= columns % nr;
    return ifd_size_mul(columns, k, &floats) ? floats : 0;
}

size_t ifd_narrow_column_bytes(enum ifd_dtype dtype, size_t k)
{
    size_t bytes;
    if (!ifd_size_mul(k, element_bytes(dtype), &bytes) ||
        !ifd_size_add(bytes, LINE_BYTES - 1, &bytes))
        return 0;
    return bytes - bytes % LINE_BYTES;
}

size_t ifd_narrow_row_bytes(const struct ifd_kernels *kernels, enum ifd_dtype dtype, size_t k)
{
    const size_t bytes = ifd_narrow_column_bytes(dtype, k);
    if (dtype != IFD_DTYPE_BF16)
        return bytes;
    size_t row;
    return ifd_size_mul(bytes, kernels->bf16_row_element_bytes / sizeof(uint16_t), &row) ? row : 0;
}

size_t ifd_packed_bytes(enum ifd_dtype dtype, size_t n, size_t k, size_t nr)
{
    size_t column = dtype == IFD_DTYPE_FP32 ? 0 : ifd_narrow_column_bytes(dtype, k);
    if (dtype == IFD_DTYPE_FP32 && !ifd_size_mul(k, sizeof(float), &column))
        return 0;
    return ifd_packed_floats(n, column, nr); /* columns * column bytes, whatever the unit */
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

void ifd_pack_panel_int8(const float *rows, size_t count, size_t k, size_t nr, size_t panel,
                         int8_t *packed, float *scale, float *sum)
{
    const size_t padded = ifd_narrow_column_bytes(IFD_DTYPE_INT8, k);
    int8_t *to = packed + panel * nr * padded;
    memset(to, 0, nr * padded);
    for (size_t j = 0; j < nr; j++) {
        float top = 0;
        int32_t total = 0;
        for (size_t i = 0; j < count && i < k; i++)
            top = fmaxf(top, fabsf(rows[j * k + i]));
        const float inverse = top > 1e-30f ? 127.0f / top : 0.0f;
        for (size_t i = 0; j < count && i < k; i++) {
            int8_t q = (int8_t)lrintf(rows[j * k + i] * inverse);
            to[(i / 4 * nr + j) * 4 + i % 4] = q;
            total += q;
        }
        scale[panel * nr + j] = inverse > 0.0f ? top / 127.0f : 0.0f;
        sum[panel * nr + j] = (float)total;
    }
}

/* To nearest, ties to even; no NaN: the loader has refused it. */
static uint16_t bf16_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

void ifd_pack_panel_bf16(const float *rows, size_t count, size_t k, size_t nr, size_t panel,
                         uint16_t *packed)
{
    const size_t padded = ifd_narrow_column_bytes(IFD_DTYPE_BF16, k) / sizeof(uint16_t);
    uint16_t *to = packed + panel * nr * padded;
    memset(to, 0, nr * padded * sizeof(*to));
    for (size_t j = 0; j < count; j++)
        for (size_t i = 0; i < k; i++)
            to[(i / 2 * nr + j) * 2 + i % 2] = bf16_of(rows[j * k + i]);
}
