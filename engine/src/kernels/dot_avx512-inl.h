/* SPDX-License-Identifier: Apache-2.0
 *
 * The dot products of AVX-512 VNNI and AVX-512 BF16, for the tiers that have them.
 */

/* Exact: the sums of four products are added without saturation. */
static inline reg dot_int8(reg a, reg b, reg sum)
{
    return _mm512_castsi512_ps(_mm512_dpbusd_epi32(_mm512_castps_si512(sum), _mm512_castps_si512(a),
                                                   _mm512_castps_si512(b)));
}

#ifdef __AVX512BF16__
/* The instruction rounds each product's sum to nearest even and takes subnormals for zero. */
static inline reg dot_bf16(reg a, reg b, reg sum)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}
#endif
