/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of both AVX vocabularies that end in steps of 128 bits. They need fold_add and
 * fold_max, the first step of each tree: lane i with i + 8.
 */

/* Sum of 16 lanes in one fixed tree: lane i with i + 8, then + 4, + 2, + 1. */
static inline float vec_sum(vec v)
{
    __m256 a = fold_add(v);
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    b = _mm_add_ss(b, _mm_shuffle_ps(b, b, 1));
    return _mm_cvtss_f32(b);
}

/* The greatest lane by the same tree */
static inline float vec_max_lane(vec v)
{
    __m256 a = fold_max(v);
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    b = _mm_max_ss(b, _mm_shuffle_ps(b, b, 1));
    return _mm_cvtss_f32(b);
}

/* to[j][i] = from[i][j], 4 x 4; rows ld and ldto apart */
static inline void transpose_4x4(const float *from, size_t ld, float *to, size_t ldto)
{
    __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + ld);
    __m128 c = _mm_loadu_ps(from + 2 * ld), d = _mm_loadu_ps(from + 3 * ld);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(to, a);
    _mm_storeu_ps(to + ldto, b);
    _mm_storeu_ps(to + 2 * ldto, c);
    _mm_storeu_ps(to + 3 * ldto, d);
}
