/* SPDX-License-Identifier: Apache-2.0
 *
 * The AMX tier: AVX-512 for rows and fp32, the matrix unit for both narrow dtypes.
 * Compiled with its own flags; nothing here may be called before ifd_cpu_has(IFD_TIER_AMX), which
 * also asks the kernel for the tiles' state.
 */
#include "kernels/vec_avx512-inl.h"

/* The tile words (amx_block-inl.h) on the hardware. Tile numbers are constants that
 * the compiler's macros paste, hence no parentheses. */
#define AMX_ZERO(t) _tile_zero(t)
#define AMX_LOAD(t, p, stride) _tile_loadd(t, p, stride)
#define AMX_STORE(t, p, stride) _tile_stored(t, p, stride)
#define AMX_DOT_INT8(c, a, b) _tile_dpbusd(c, a, b)
#define AMX_DOT_BF16(c, a, b) _tile_dpbf16ps(c, a, b)

#define TIER_TABLE ifd_kernels_amx
#define TIER_ID IFD_TIER_AMX
#define TIER_NAME "amx"
#define TIER_ROWS_FP32 14
#define TIER_MATRIX_UNIT "kernels/amx-inl.h"
#include "kernels/tier-inl.h"
