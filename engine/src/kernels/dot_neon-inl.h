/* SPDX-License-Identifier: Apache-2.0
 *
 * The dot products of FEAT_DotProd, FEAT_I8MM and FEAT_BF16, for the tiers that have them: four
 * bytes or two bf16 of each lane, added to that lane's sum.
 */

/* SDOT: both factors signed, so a - 128 as in reg_dot_int8. Exact. */
static inline float32x4_t quad_sdot(float32x4_t a, float32x4_t b, float32x4_t sum)
{
    return vreinterpretq_f32_s32(
        vdotq_s32(vreinterpretq_s32_f32(sum), less_128(a), vreinterpretq_s8_f32(b)));
}
static inline reg dot_int8_signed(reg a, reg b, reg sum)
{
    return (reg){quad_sdot(a.lo, b.lo, sum.lo), quad_sdot(a.hi, b.hi, sum.hi)};
}

#ifdef __ARM_FEATURE_MATMUL_INT8
/* USDOT: unsigned by signed. Exact. USMMLA does twice as much at once, but takes eight neighbouring
 * k of two outputs by two rows; our panels have four of each output, and tiles one row's sums per
 * register. */
static inline float32x4_t quad_usdot(float32x4_t a, float32x4_t b, float32x4_t sum)
{
    return vreinterpretq_f32_s32(
        vusdotq_s32(vreinterpretq_s32_f32(sum), vreinterpretq_u8_f32(a), vreinterpretq_s8_f32(b)));
}
static inline reg dot_int8(reg a, reg b, reg sum)
{
    return (reg){quad_usdot(a.lo, b.lo, sum.lo), quad_usdot(a.hi, b.hi, sum.hi)};
}
#endif

#ifdef __ARM_FEATURE_BF16_VECTOR_ARITHMETIC
/* BFDOT rounds each pair's sum and the new total to odd (or as FPCR.EBF says) and takes subnormals
 * for zero. */
static inline float32x4_t quad_bfdot(float32x4_t a, float32x4_t b, float32x4_t sum)
{
    return vbfdotq_f32(sum, vreinterpretq_bf16_f32(a), vreinterpretq_bf16_f32(b));
}
static inline reg dot_bf16(reg a, reg b, reg sum)
{
    return (reg){quad_bfdot(a.lo, b.lo, sum.lo), quad_bfdot(a.hi, b.hi, sum.hi)};
}
#endif
