/* SPDX-License-Identifier: Apache-2.0
 *
 * The vector vocabulary of the tier files, in Advanced SIMD (NEON) as every ARMv8-A has it: a `vec`
 * of 16 floats is four registers of 128 bits, a `reg` of the matrix product two. See
 * vec_avx512-inl.h for the meaning of each word; all vocabularies give the same bits. Where NEON
 * has another answer to NaN than x86 (maximum, minimum), a comparison and a selection stand in its
 * place. Include in one tier file only, compiled with that tier's flags.
 */
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VEC 16u
#define REG 8u

typedef struct {
    float32x4_t lo, hi;
} reg;
typedef struct {
    float32x4_t q0, q1, q2, q3;
} vec;

/* An operation on quarters, for each quarter of one, two or three vecs */
#define MAP_1(op, a) ((vec){op((a).q0), op((a).q1), op((a).q2), op((a).q3)})
#define MAP_2(op, a, b) \
    ((vec){op((a).q0, (b).q0), op((a).q1, (b).q1), op((a).q2, (b).q2), op((a).q3, (b).q3)})

/* The matrix product ------------------------------------------------------------------------------
 */

static inline reg reg_zero(void)
{
    return (reg){vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
}
static inline reg reg_load(const float *p)
{
    return (reg){vld1q_f32(p), vld1q_f32(p + 4)};
}
static inline void reg_store(float *p, reg v)
{
    vst1q_f32(p, v.lo);
    vst1q_f32(p + 4, v.hi);
}
static inline reg reg_set1(float x)
{
    return (reg){vdupq_n_f32(x), vdupq_n_f32(x)};
}
static inline reg reg_fma(reg a, reg b, reg c)
{
    return (reg){vfmaq_f32(c.lo, a.lo, b.lo), vfmaq_f32(c.hi, a.hi, b.hi)};
}

/* Unsigned a as signed numbers, 128 less. NEON multiplies bytes of one signedness alone, and
 * sum of a * b = sum of (a - 128) * b + 128 * (sum of b): vec_of_sums_128 adds the second term. */
static inline int8x16_t less_128(float32x4_t a)
{
    return vreinterpretq_s8_u8(veorq_u8(vreinterpretq_u8_f32(a), vdupq_n_u8(0x80)));
}
/* Products of 16 bits, neighbours added in 16 bits, pairs of those added to the sum in 32: weights
 * are -127 .. 127, so a pair is at most 2 * 128 * 127 < 2^15 and nothing saturates or wraps. */
static inline float32x4_t quad_dot_int8(float32x4_t a, float32x4_t b, float32x4_t sum)
{
    const int8x16_t x = less_128(a), y = vreinterpretq_s8_f32(b);
    const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(y)), high = vmull_high_s8(x, y);
    const int16x8_t pairs = vpaddq_s16(low, high);
    return vreinterpretq_f32_s32(vpadalq_s16(vreinterpretq_s32_f32(sum), pairs));
}
static inline reg reg_dot_int8(reg a, reg b, reg sum)
{
    return (reg){quad_dot_int8(a.lo, b.lo, sum.lo), quad_dot_int8(a.hi, b.hi, sum.hi)};
}
static inline float32x4_t bf16_even(float32x4_t v)
{
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(v), 16));
}
static inline float32x4_t bf16_odd(float32x4_t v)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), vdupq_n_u32(0xFFFF0000u)));
}
static inline reg reg_load_even(const float *p)
{
    return (reg){bf16_even(vld1q_f32(p)), bf16_even(vld1q_f32(p + 4))};
}
static inline reg reg_load_odd(const float *p)
{
    return (reg){bf16_odd(vld1q_f32(p)), bf16_odd(vld1q_f32(p + 4))};
}

/* Loads, stores, lanes ----------------------------------------------------------------------------
 */

static inline vec vec_set1(float x)
{
    const float32x4_t q = vdupq_n_f32(x);
    return (vec){q, q, q, q};
}
static inline vec vec_load(const float *p)
{
    return (vec){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}
static inline void vec_store(float *p, vec v)
{
    vst1q_f32(p, v.q0);
    vst1q_f32(p + 4, v.q1);
    vst1q_f32(p + 8, v.q2);
    vst1q_f32(p + 12, v.q3);
}
/* How many of n elements are left after the first `begin` */
static inline size_t left_after(size_t n, size_t begin)
{
    return n > begin ? n - begin : 0;
}
/* The first n elements, of 4 at most */
static inline float32x4_t quad_load_n(const float *p, size_t n)
{
    if (n >= 4)
        return vld1q_f32(p);
    float32x4_t v = vdupq_n_f32(0.0f);
    if (n >= 1)
        v = vld1q_lane_f32(p, v, 0);
    if (n >= 2)
        v = vld1q_lane_f32(p + 1, v, 1);
    if (n >= 3)
        v = vld1q_lane_f32(p + 2, v, 2);
    return v;
}
static inline void quad_store_n(float *p, float32x4_t v, size_t n)
{
    if (n >= 4) {
        vst1q_f32(p, v);
        return;
    }
    if (n >= 1)
        vst1q_lane_f32(p, v, 0);
    if (n >= 2)
        vst1q_lane_f32(p + 1, v, 1);
    if (n >= 3)
        vst1q_lane_f32(p + 2, v, 2);
}
static inline vec vec_load_n(const float *p, size_t n)
{
    return (vec){quad_load_n(p, n), quad_load_n(p + 4, left_after(n, 4)),
                 quad_load_n(p + 8, left_after(n, 8)), quad_load_n(p + 12, left_after(n, 12))};
}
static inline void vec_store_n(float *p, vec v, size_t n)
{
    quad_store_n(p, v.q0, n);
    quad_store_n(p + 4, v.q1, left_after(n, 4));
    quad_store_n(p + 8, v.q2, left_after(n, 8));
    quad_store_n(p + 12, v.q3, left_after(n, 12));
}
static inline float32x4_t quad_fill_from(float32x4_t v, size_t n, float fill)
{
    static const uint32_t lane[4] = {0, 1, 2, 3};
    const uint32x4_t keep = vcltq_u32(vld1q_u32(lane), vdupq_n_u32((uint32_t)n));
    return vbslq_f32(keep, v, vdupq_n_f32(fill));
}
static inline vec vec_fill_from(vec v, size_t n, float fill)
{
    return (vec){quad_fill_from(v.q0, n, fill), quad_fill_from(v.q1, left_after(n, 4), fill),
                 quad_fill_from(v.q2, left_after(n, 8), fill),
                 quad_fill_from(v.q3, left_after(n, 12), fill)};
}
/* to[j][i] = from[i][j], 4 x 4; rows ld and ldto apart */
static inline void transpose_4x4(const float *from, size_t ld, float *to, size_t ldto)
{
    const float32x4x2_t ab = vtrnq_f32(vld1q_f32(from), vld1q_f32(from + ld));
    const float32x4x2_t cd = vtrnq_f32(vld1q_f32(from + 2 * ld), vld1q_f32(from + 3 * ld));
    for (size_t i = 0; i < 2; i++) { /* column i, column i + 2 */
        vst1q_f32(to + i * ldto, vcombine_f32(vget_low_f32(ab.val[i]), vget_low_f32(cd.val[i])));
        vst1q_f32(to + (i + 2) * ldto,
                  vcombine_f32(vget_high_f32(ab.val[i]), vget_high_f32(cd.val[i])));
    }
}

/* Arithmetic --------------------------------------------------------------------------------------
 */

static inline vec vec_add(vec a, vec b)
{
    return MAP_2(vaddq_f32, a, b);
}
static inline vec vec_sub(vec a, vec b)
{
    return MAP_2(vsubq_f32, a, b);
}
static inline vec vec_mul(vec a, vec b)
{
    return MAP_2(vmulq_f32, a, b);
}
static inline vec vec_div(vec a, vec b)
{
    return MAP_2(vdivq_f32, a, b);
}
static inline vec vec_fma(vec a, vec b, vec c)
{
    return (vec){vfmaq_f32(c.q0, a.q0, b.q0), vfmaq_f32(c.q1, a.q1, b.q1),
                 vfmaq_f32(c.q2, a.q2, b.q2), vfmaq_f32(c.q3, a.q3, b.q3)};
}
static inline float32x4_t quad_max(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}
static inline float32x4_t quad_min(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}
static inline vec vec_max(vec a, vec b)
{
    return MAP_2(quad_max, a, b);
}
static inline vec vec_min(vec a, vec b)
{
    return MAP_2(quad_min, a, b);
}
static inline vec vec_if_less(vec a, vec b, vec x, vec y)
{
    return (vec){
        vbslq_f32(vcltq_f32(a.q0, b.q0), x.q0, y.q0), vbslq_f32(vcltq_f32(a.q1, b.q1), x.q1, y.q1),
        vbslq_f32(vcltq_f32(a.q2, b.q2), x.q2, y.q2), vbslq_f32(vcltq_f32(a.q3, b.q3), x.q3, y.q3)};
}
static inline vec vec_round(vec a)
{
    return MAP_1(vrndnq_f32, a);
}
static inline float32x4_t quad_pow2(float32x4_t n)
{
    const int32x4_t e = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(e, 23));
}
static inline vec vec_scale(vec a, vec n)
{
    return vec_mul(a, MAP_1(quad_pow2, n));
}
static inline vec vec_abs(vec a)
{
    return MAP_1(vabsq_f32, a);
}
static inline float32x4_t quad_copysign(float32x4_t magnitude, float32x4_t sign)
{
    const uint32x4_t bit = vandq_u32(vreinterpretq_u32_f32(sign), vdupq_n_u32(0x80000000u));
    return vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(magnitude), bit));
}
static inline vec vec_copysign(vec magnitude, vec sign)
{
    return MAP_2(quad_copysign, magnitude, sign);
}
static inline float vec_sum(vec v)
{
    const float32x4_t four = vaddq_f32(vaddq_f32(v.q0, v.q2), vaddq_f32(v.q1, v.q3));
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
static inline float vec_max_lane(vec v)
{
    const float32x4_t four = quad_max(quad_max(v.q0, v.q2), quad_max(v.q1, v.q3));
    const float32x2_t low = vget_low_f32(four), high = vget_high_f32(four);
    const float32x2_t two = vbsl_f32(vcgt_f32(low, high), low, high);
    const float a = vget_lane_f32(two, 0), b = vget_lane_f32(two, 1);
    return a > b ? a : b;
}

/* The narrow dtypes -------------------------------------------------------------------------------
 */

static inline vec vec_from_f16(const uint16_t *p)
{
    const uint16x8_t low = vld1q_u16(p), high = vld1q_u16(p + 8);
    return (vec){vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(low))),
                 vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(low))),
                 vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(high))),
                 vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(high)))};
}
static inline float32x4_t quad_from_bf16(const uint16_t *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}
static inline vec vec_from_bf16(const uint16_t *p)
{
    return (vec){quad_from_bf16(p), quad_from_bf16(p + 4), quad_from_bf16(p + 8),
                 quad_from_bf16(p + 12)};
}
static inline float32x4_t quad_of_ints(float32x4_t a)
{
    return vcvtq_f32_s32(vreinterpretq_s32_f32(a));
}
static inline vec vec_of_ints(vec a)
{
    return MAP_1(quad_of_ints, a);
}
/* TIER_INT8_SUMS of the dots that take a - 128: the missing 128 * b_sum is added in int32, where it
 * is exact as b_sum is a whole number below 2^24. */
static inline float32x4_t quad_of_sums_128(float32x4_t sum, float32x4_t b_sum)
{
    const int32x4_t rest = vshlq_n_s32(vcvtq_s32_f32(b_sum), 7);
    return vcvtq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(sum), rest));
}
static inline vec vec_of_sums_128(vec sum, vec b_sum)
{
    return MAP_2(quad_of_sums_128, sum, b_sum);
}
static inline uint16x4_t quad_to_u16(float32x4_t v)
{
    return vqmovun_s32(vcvtnq_s32_f32(v)); /* the conversion makes NaN 0 */
}
static inline void vec_store_u8(uint8_t *p, vec v, size_t n)
{
    const uint8x16_t bytes =
        vcombine_u8(vqmovn_u16(vcombine_u16(quad_to_u16(v.q0), quad_to_u16(v.q1))),
                    vqmovn_u16(vcombine_u16(quad_to_u16(v.q2), quad_to_u16(v.q3))));
    if (n == VEC) {
        vst1q_u8(p, bytes);
        return;
    }
    uint8_t all[VEC];
    vst1q_u8(all, bytes);
    memcpy(p, all, n);
}
static inline float32x4_t quad_round_bf16(float32x4_t v)
{
    const uint32x4_t bits = vreinterpretq_u32_f32(v);
    uint32x4_t up = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    up = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7FFF)), up);
    const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    return bf16_odd(vreinterpretq_f32_u32(vbslq_u32(vceqq_f32(v, v), up, quiet)));
}
static inline vec vec_round_bf16(vec v)
{
    return MAP_1(quad_round_bf16, v);
}
static inline uint16x8_t bf16_of_two(float32x4_t low, float32x4_t high)
{
    return vcombine_u16(vshrn_n_u32(vreinterpretq_u32_f32(low), 16),
                        vshrn_n_u32(vreinterpretq_u32_f32(high), 16));
}
static inline void vec_store_bf16(uint16_t *p, vec v, size_t n)
{
    uint16_t all[VEC];
    v = vec_round_bf16(v);
    vst1q_u16(all, bf16_of_two(v.q0, v.q1));
    vst1q_u16(all + 8, bf16_of_two(v.q2, v.q3));
    memcpy(p, all, n * sizeof(*p));
}
