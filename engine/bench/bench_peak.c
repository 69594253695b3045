/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_peak.h"

#include "base/clock.h"

#define ROUNDS 10000
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define CHAIN_COUNT 12

#if defined(__x86_64__)
#include <immintrin.h>

/* `volatile` and "+x" keep the compiler from seeing that the chains are alike. */
#define OPAQUE(i) __asm__ volatile("" : "+x"(c##i));
#define ZERO_512(i) __m512 c##i = _mm512_setzero_ps();
#define ZERO_256(i) __m256 c##i = _mm256_setzero_ps();
#define LOOP_DEFINE(name, isa, type, set1, zero, step)  \
    __attribute__((target(isa))) static void name(void) \
    {                                                   \
        type x = set1(0.5f);                            \
        CHAINS(zero)                                    \
        CHAINS(OPAQUE)                                  \
        for (int r = 0; r < ROUNDS; r++) {              \
            CHAINS(step)                                \
            __asm__ volatile("" : "+x"(x));             \
        }                                               \
        CHAINS(OPAQUE)                                  \
    }
#define FMA_512(i) c##i = _mm512_fmadd_ps(x, x, c##i);
#define FMA_256(i) c##i = _mm256_fmadd_ps(x, x, c##i);
#define VNNI_512(i)                                 \
    c##i = _mm512_castsi512_ps(_mm512_dpbusd_epi32( \
        _mm512_castps_si512(c##i), _mm512_castps_si512(x), _mm512_castps_si512(x)));
#define VNNI_256(i)                                     \
    c##i = _mm256_castsi256_ps(_mm256_dpbusd_avx_epi32( \
        _mm256_castps_si256(c##i), _mm256_castps_si256(x), _mm256_castps_si256(x)));
#define BF16_512(i) c##i = _mm512_dpbf16_ps(c##i, (__m512bh)x, (__m512bh)x);
LOOP_DEFINE(fma_512, "avx512f", __m512, _mm512_set1_ps, ZERO_512, FMA_512)
LOOP_DEFINE(fma_256, "avx2,fma", __m256, _mm256_set1_ps, ZERO_256, FMA_256)
LOOP_DEFINE(vnni_512, "avx512f,avx512vnni", __m512, _mm512_set1_ps, ZERO_512, VNNI_512)
LOOP_DEFINE(vnni_256, "avx2,avxvnni", __m256, _mm256_set1_ps, ZERO_256, VNNI_256)
LOOP_DEFINE(bf16_512, "avx512f,avx512bf16", __m512, _mm512_set1_ps, ZERO_512, BF16_512)

#define AMX_ISA "amx-tile,amx-int8,amx-bf16"
__attribute__((target(AMX_ISA))) static void tiles_begin(void)
{
    static const struct { /* constant, see amx_begin in kernels/amx-inl.h */
        unsigned char palette, start_row, reserved[14];
        unsigned short row_bytes[16];
        unsigned char rows[16];
    } config = {.palette = 1,
                .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&config);
    _tile_zero(4);
    _tile_zero(6);
}

__attribute__((target(AMX_ISA))) static void amx_int8(void)
{
    tiles_begin();
    for (int r = 0; r < ROUNDS / 4; r++) {
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 6);
        _tile_dpbusd(2, 4, 6);
        _tile_dpbusd(3, 4, 6);
    }
    _tile_release();
}

__attribute__((target(AMX_ISA))) static void amx_bf16(void)
{
    tiles_begin();
    for (int r = 0; r < ROUNDS / 4; r++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 6);
        _tile_dpbf16ps(2, 4, 6);
        _tile_dpbf16ps(3, 4, 6);
    }
    _tile_release();
}

struct loop {
    void (*run)(void);
    double operations; /* of one run */
};
#define VECTOR(fn, per)                     \
    {                                       \
        fn, 2.0 * (per)*CHAIN_COUNT *ROUNDS \
    }
#define TILES(fn, per)         \
    {                          \
        fn, 2.0 * (per)*ROUNDS \
    }

/* Where a tier has no dot product of its own, fp32's FMA is what it is measured by. */
static const struct loop loops[IFD_TIER_COUNT][IFD_DTYPE_COUNT] = {
    [IFD_TIER_AVX2] = {VECTOR(fma_256, 8), VECTOR(fma_256, 8), VECTOR(fma_256, 8)},
    [IFD_TIER_AVXVNNI] = {VECTOR(fma_256, 8), VECTOR(fma_256, 8), VECTOR(vnni_256, 32)},
    [IFD_TIER_AVX512] = {VECTOR(fma_512, 16), VECTOR(fma_512, 16), VECTOR(fma_512, 16)},
    [IFD_TIER_AVX512VNNI] = {VECTOR(fma_512, 16), VECTOR(fma_512, 16), VECTOR(vnni_512, 64)},
    [IFD_TIER_AVX512BF16] = {VECTOR(fma_512, 16), VECTOR(bf16_512, 32), VECTOR(vnni_512, 64)},
    [IFD_TIER_AMX] = {VECTOR(fma_512, 16), TILES(amx_bf16, 16 * 16 * 32),
                      TILES(amx_int8, 16 * 16 * 64)},
};

double bench_peak(enum ifd_tier tier, enum ifd_dtype dtype)
{
    const struct loop *l = &loops[tier][dtype];
    if (!l->run)
        return 0;
    uint64_t begin = ifd_clock_ns();
    l->run();
    uint64_t ns = ifd_clock_ns() - begin;
    return l->operations / (double)(ns ? ns : 1);
}
#else
double bench_peak(enum ifd_tier tier, enum ifd_dtype dtype)
{
    (void)tier;
    (void)dtype;
    return 0;
}
#endif
