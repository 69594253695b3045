/* SPDX-License-Identifier: Apache-2.0
 *
 * The vector vocabulary of the tier files, in AVX2 + FMA + F16C: a `vec` of 16 floats is two YMM
 * registers. See vec_avx512-inl.h for the meaning of each word; both give the same bits.
 * Include in one tier file only, compiled with that tier's flags.
 */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VEC 16u
#define REG 8u

typedef __m256 reg;
typedef struct {
    __m256 lo, hi;
} vec;

#define reg_zero() _mm256_setzero_ps()
#define reg_load(p) _mm256_load_ps(p)
#define reg_store(p, v) _mm256_store_ps((p), (v))
#define reg_set1(x) _mm256_set1_ps(x)
#define reg_fma(a, b, c) _mm256_fmadd_ps((a), (b), (c))

static inline reg reg_dot_int8(reg a, reg b, reg sum)
{
    const __m256i x = _mm256_castps_si256(a), y = _mm256_castps_si256(b);
    const __m256i x_even = _mm256_and_si256(x, _mm256_set1_epi16(0xFF));
    const __m256i y_even = _mm256_srai_epi16(_mm256_slli_epi16(y, 8), 8);
    const __m256i even = _mm256_madd_epi16(x_even, y_even);
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(x, 8), _mm256_srai_epi16(y, 8));
    const __m256i both = _mm256_add_epi32(even, odd);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(sum), both));
}
static inline reg reg_load_even(const float *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(_mm256_load_ps(p)), 16));
}
static inline reg reg_load_odd(const float *p)
{
    const __m256i odd = _mm256_set1_epi32((int32_t)0xFFFF0000);
    return _mm256_and_ps(_mm256_load_ps(p), _mm256_castsi256_ps(odd));
}

/* Mask of the first n lanes of 16: 8 at lane_table + 16 - n, 8 more after them. */
static const int32_t lane_table[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                       -1, -1, -1, -1, -1, 0,  0,  0,  0,  0,  0,
                                       0,  0,  0,  0,  0,  0,  0,  0,  0,  0};

static inline __m256i lanes_at(size_t n, size_t first)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)(lane_table + 16 - n + first));
}

static inline vec vec_set1(float x)
{
    return (vec){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
static inline vec vec_load(const float *p)
{
    return (vec){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
static inline void vec_store(float *p, vec v)
{
    _mm256_storeu_ps(p, v.lo);
    _mm256_storeu_ps(p + 8, v.hi);
}
static inline vec vec_load_n(const float *p, size_t n)
{
    return (vec){_mm256_maskload_ps(p, lanes_at(n, 0)), _mm256_maskload_ps(p + 8, lanes_at(n, 8))};
}
static inline void vec_store_n(float *p, vec v, size_t n)
{
    _mm256_maskstore_ps(p, lanes_at(n, 0), v.lo);
    _mm256_maskstore_ps(p + 8, lanes_at(n, 8), v.hi);
}
static inline vec vec_fill_from(vec v, size_t n, float fill)
{
    __m256 f = _mm256_set1_ps(fill);
    return (vec){_mm256_blendv_ps(f, v.lo, _mm256_castsi256_ps(lanes_at(n, 0))),
                 _mm256_blendv_ps(f, v.hi, _mm256_castsi256_ps(lanes_at(n, 8)))};
}
static inline vec vec_add(vec a, vec b)
{
    return (vec){_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
static inline vec vec_sub(vec a, vec b)
{
    return (vec){_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
static inline vec vec_mul(vec a, vec b)
{
    return (vec){_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
static inline vec vec_div(vec a, vec b)
{
    return (vec){_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
static inline vec vec_fma(vec a, vec b, vec c)
{
    return (vec){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
static inline vec vec_max(vec a, vec b)
{
    return (vec){_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
static inline vec vec_min(vec a, vec b)
{
    return (vec){_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
static inline vec vec_if_less(vec a, vec b, vec x, vec y)
{
    return (vec){_mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
                 _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}
static inline vec vec_round(vec a)
{
    return (vec){_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                 _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
static inline __m256 pow2_half(__m256 n)
{
    __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(e, 23));
}
static inline vec vec_scale(vec a, vec n)
{
    return (vec){_mm256_mul_ps(a.lo, pow2_half(n.lo)), _mm256_mul_ps(a.hi, pow2_half(n.hi))};
}
static inline vec vec_abs(vec a)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (vec){_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
static inline vec vec_copysign(vec magnitude, vec sign)
{
    const __m256 bit = _mm256_set1_ps(-0.0f);
    return (vec){_mm256_or_ps(magnitude.lo, _mm256_and_ps(bit, sign.lo)),
                 _mm256_or_ps(magnitude.hi, _mm256_and_ps(bit, sign.hi))};
}
static inline __m256 fold_add(vec a)
{
    return _mm256_add_ps(a.lo, a.hi);
}
static inline __m256 fold_max(vec a)
{
    return _mm256_max_ps(a.lo, a.hi);
}
static inline vec vec_from_f16(const uint16_t *p)
{
    return (vec){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p)),
                 _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + 8)))};
}
static inline __m256 bf16_half(const uint16_t *p)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
static inline vec vec_from_bf16(const uint16_t *p)
{
    return (vec){bf16_half(p), bf16_half(p + 8)};
}
static inline vec vec_of_ints(vec a)
{
    return (vec){_mm256_cvtepi32_ps(_mm256_castps_si256(a.lo)),
                 _mm256_cvtepi32_ps(_mm256_castps_si256(a.hi))};
}
static inline void vec_store_u8(uint8_t *p, vec v, size_t n)
{
    __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(v.lo), _mm256_cvtps_epi32(v.hi));
    words = _mm256_permute4x64_epi64(words, 0xD8); /* packing works within halves */
    __m128i bytes =
        _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    if (n == VEC) {
        _mm_storeu_si128((__m128i *)(void *)p, bytes);
        return;
    }
    uint8_t all[VEC];
    _mm_storeu_si128((__m128i *)(void *)all, bytes);
    memcpy(p, all, n);
}
static inline __m256 round_bf16_half(__m256 v)
{
    const __m256i bits = _mm256_castps_si256(v);
    __m256i up = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    up = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), up);
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    up = _mm256_blendv_epi8(up, quiet, nan);
    return _mm256_castsi256_ps(_mm256_and_si256(up, _mm256_set1_epi32((int32_t)0xFFFF0000)));
}
static inline vec vec_round_bf16(vec v)
{
    return (vec){round_bf16_half(v.lo), round_bf16_half(v.hi)};
}

#include "kernels/fold_x86-inl.h"
