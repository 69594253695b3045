/* SPDX-License-Identifier: Apache-2.0
 *
 * The vector vocabulary of the tier files, in AVX-512: `vec`, 16 floats for row-wise work, and
 * `reg`, one register for the matrix product. vec_avx2-inl.h has the same words over two YMM
 * registers; every operation gives the same bits in both, so the tiers agree bitwise.
 * Include in one tier file only, compiled with that tier's flags.
 */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VEC 16u
#define REG 16u

typedef __m512 reg;
typedef __m512 vec;

#define reg_zero() _mm512_setzero_ps()
#define reg_load(p) _mm512_load_ps(p)
#define reg_store(p, v) _mm512_store_ps((p), (v))
#define reg_set1(x) _mm512_set1_ps(x)
#define reg_fma(a, b, c) _mm512_fmadd_ps((a), (b), (c))

/* Four products of unsigned a and signed b, without saturation, added to int32 lanes. Without VNNI:
 * the elements of even and of odd k as 16-bit numbers, whose pairs are multiplied and added. */
static inline reg reg_dot_int8(reg a, reg b, reg sum)
{
    const __m512i x = _mm512_castps_si512(a), y = _mm512_castps_si512(b);
    const __m512i x_even = _mm512_and_si512(x, _mm512_set1_epi16(0xFF));
    const __m512i y_even = _mm512_srai_epi16(_mm512_slli_epi16(y, 8), 8);
    const __m512i even = _mm512_madd_epi16(x_even, y_even);
    const __m512i odd = _mm512_madd_epi16(_mm512_srli_epi16(x, 8), _mm512_srai_epi16(y, 8));
    const __m512i both = _mm512_add_epi32(even, odd);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(sum), both));
}
/* One register of a line of bf16 pairs: the elements of even k as floats, then those of odd k. */
static inline reg reg_load_even(const float *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_load_si512(p), 16));
}
static inline reg reg_load_odd(const float *p)
{
    return _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(0xAAAAAAAA, p));
}

static inline __mmask16 lanes(size_t n)
{
    return (__mmask16)((1u << n) - 1u);
}

static inline vec vec_set1(float x)
{
    return _mm512_set1_ps(x);
}
static inline vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline void vec_store(float *p, vec v)
{
    _mm512_storeu_ps(p, v);
}
/* The first n < 16 elements, the others zero; touches no byte beyond them. */
static inline vec vec_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(lanes(n), p);
}
static inline void vec_store_n(float *p, vec v, size_t n)
{
    _mm512_mask_storeu_ps(p, lanes(n), v);
}
/* Lanes from n on become `fill`. */
static inline vec vec_fill_from(vec v, size_t n, float fill)
{
    return _mm512_mask_blend_ps(lanes(n), _mm512_set1_ps(fill), v);
}
static inline vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}
static inline vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}
static inline vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}
static inline vec vec_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}
/* a * b + c, rounded once */
static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}
/* b when either is NaN, as the instructions have it */
static inline vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}
static inline vec vec_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}
/* a < b ? x : y; false for NaN */
static inline vec vec_if_less(vec a, vec b, vec x, vec y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
/* To the nearest integer, ties to even, for |a| < 2^22: where a float's unit is 1 the addition
 * rounds. On more ports than the instruction made for it. */
static inline vec vec_round(vec a)
{
    const vec unit = _mm512_set1_ps(12582912.0f); /* 1.5 * 2^23 */
    return _mm512_sub_ps(_mm512_add_ps(a, unit), unit);
}
/* a * 2^n, rounded once, for integer n in -126..127 */
static inline vec vec_scale(vec a, vec n)
{
    return _mm512_scalef_ps(a, n);
}
static inline vec vec_abs(vec a)
{
    return _mm512_abs_ps(a);
}
static inline vec vec_copysign(vec magnitude, vec sign)
{
    const __m512i bit = _mm512_set1_epi32(INT32_MIN);
    return _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(magnitude),
                                               _mm512_and_si512(bit, _mm512_castps_si512(sign))));
}
static inline __m256 upper_half(vec a)
{
    return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a), 1));
}
static inline __m256 fold_add(vec a)
{
    return _mm256_add_ps(_mm512_castps512_ps256(a), upper_half(a));
}
static inline __m256 fold_max(vec a)
{
    return _mm256_max_ps(_mm512_castps512_ps256(a), upper_half(a));
}
/* 16 half-precision numbers, widened */
static inline vec vec_from_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline vec vec_from_bf16(const uint16_t *p)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
/* The lanes as the int32 numbers that they hold, converted to float */
static inline vec vec_of_ints(vec a)
{
    return _mm512_cvtepi32_ps(_mm512_castps_si512(a));
}
/* To the nearest integer, held to 0..255 (0 for NaN); the first n <= 16 are stored. */
static inline void vec_store_u8(uint8_t *p, vec v, size_t n)
{
    __m512i q = _mm512_max_epi32(_mm512_cvtps_epi32(v), _mm512_setzero_si512());
    if (n == VEC) /* known at compile time: a masked store takes longer */
        _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtusepi32_epi8(q));
    else
        _mm_mask_storeu_epi8(p, lanes(n), _mm512_cvtusepi32_epi8(q));
}
/* The same of 64 numbers: packed with saturation in each 128-bit lane, then the lanes' groups of
 * four bytes put in order. */
static inline void vec_store_4_u8(uint8_t *p, vec a, vec b, vec c, vec d)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i low = _mm512_packs_epi32(_mm512_cvtps_epi32(a), _mm512_cvtps_epi32(b));
    const __m512i high = _mm512_packs_epi32(_mm512_cvtps_epi32(c), _mm512_cvtps_epi32(d));
    const __m512i bytes = _mm512_packus_epi16(low, high);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, bytes));
}
#define VEC_STORE_4_U8(p, a, b, c, d) vec_store_4_u8((p), (a), (b), (c), (d));

/* To the nearest bf16, ties to even, NaN kept; as floats. */
static inline vec vec_round_bf16(vec v)
{
    const __m512i bits = _mm512_castps_si512(v), one = _mm512_set1_epi32(1);
    __m512i up = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
    up = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), up);
    const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    up = _mm512_mask_mov_epi32(up, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), quiet);
    up = _mm512_and_si512(up, _mm512_set1_epi32((int32_t)0xFFFF0000));
    return _mm512_castsi512_ps(up);
}
/* The same as bf16; the first n <= 16 are stored. */
static inline void vec_store_bf16(uint16_t *p, vec v, size_t n)
{
    const __m512i bits = _mm512_castps_si512(vec_round_bf16(v));
    _mm256_mask_storeu_epi16(p, lanes(n), _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16)));
}

#include "kernels/fold_x86-inl.h"
