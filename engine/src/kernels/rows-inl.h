/* SPDX-License-Identifier: Apache-2.0
 *
 * Row-wise kernels over the vector vocabulary: layer norm, softmax, widening of stored weights.
 * The order of a row's sums depends on its length alone: two chains of vectors, even blocks and odd
 * ones, then one tree; a tail's missing lanes are zeros.
 */
#include <math.h>
#include <string.h>

static void layer_norm_f32(const float *x, size_t ldx, const float *gamma, const float *beta,
                           float eps, size_t rows, size_t n, float *out, size_t ldo)
{
    const size_t whole = n - n % VEC, tail = n - whole;
    const float count = (float)n;
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * ldx;
        float *to = out + r * ldo;
        vec even = vec_set1(0.0f), odd = even;
        size_t i = 0;
        for (; i + 2 * VEC <= whole; i += 2 * VEC) {
            even = vec_add(even, vec_load(in + i));
            odd = vec_add(odd, vec_load(in + i + VEC));
        }
        if (i < whole)
            even = vec_add(even, vec_load(in + i));
        if (tail)
            odd = vec_add(odd, vec_load_n(in + whole, tail));
        const vec mean = vec_set1(vec_sum(vec_add(even, odd)) / count);

        even = vec_set1(0.0f), odd = even;
        for (i = 0; i + 2 * VEC <= whole; i += 2 * VEC) {
            vec a = vec_sub(vec_load(in + i), mean), b = vec_sub(vec_load(in + i + VEC), mean);
            even = vec_fma(a, a, even);
            odd = vec_fma(b, b, odd);
        }
        if (i < whole) {
            vec a = vec_sub(vec_load(in + i), mean);
            even = vec_fma(a, a, even);
        }
        if (tail) {
            vec b = vec_fill_from(vec_sub(vec_load_n(in + whole, tail), mean), tail, 0.0f);
            odd = vec_fma(b, b, odd);
        }
        const float variance = vec_sum(vec_add(even, odd)) / count;
        const vec scale = vec_set1(1.0f / sqrtf(variance + eps));

        for (i = 0; i < whole; i += VEC) {
            vec a = vec_mul(vec_sub(vec_load(in + i), mean), scale);
            vec_store(to + i, vec_fma(a, vec_load(gamma + i), vec_load(beta + i)));
        }
        if (tail) {
            vec a = vec_mul(vec_sub(vec_load_n(in + i, tail), mean), scale);
            a = vec_fma(a, vec_load_n(gamma + i, tail), vec_load_n(beta + i, tail));
            vec_store_n(to + i, a, tail);
        }
    }
}

static void softmax_f32(float *s, size_t lds, size_t rows, size_t n)
{
    const size_t whole = n - n % VEC, tail = n - whole;
    for (size_t r = 0; r < rows; r++) {
        float *row = s + r * lds;
        vec top = vec_set1(-INFINITY);
        for (size_t i = 0; i < whole; i += VEC)
            top = vec_max(top, vec_load(row + i));
        if (tail)
            top = vec_max(top, vec_fill_from(vec_load_n(row + whole, tail), tail, -INFINITY));
        const vec max = vec_set1(vec_max_lane(top));

        vec sum = vec_set1(0.0f);
        for (size_t i = 0; i < whole; i += VEC) {
            vec e = vec_exp_nonpositive(vec_sub(vec_load(row + i), max));
            sum = vec_add(sum, e);
            vec_store(row + i, e);
        }
        if (tail) {
            vec e = vec_exp_nonpositive(vec_sub(vec_load_n(row + whole, tail), max));
            e = vec_fill_from(e, tail, 0.0f);
            sum = vec_add(sum, e);
            vec_store_n(row + whole, e, tail);
        }
        const vec scale = vec_set1(1.0f / vec_sum(sum));

        for (size_t i = 0; i < whole; i += VEC)
            vec_store(row + i, vec_mul(vec_load(row + i), scale));
        if (tail)
            vec_store_n(row + whole, vec_mul(vec_load_n(row + whole, tail), scale), tail);
    }
}

static void f16_to_f32(const uint16_t *in, size_t n, float *out)
{
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        vec_store(out + i, vec_from_f16(in + i));
    if (i < n) {
        uint16_t rest[VEC] = {0};
        memcpy(rest, in + i, (n - i) * sizeof(*in));
        vec_store_n(out + i, vec_from_f16(rest), n - i);
    }
}

static void bf16_to_f32(const uint16_t *in, size_t n, float *out)
{
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        vec_store(out + i, vec_from_bf16(in + i));
    if (i < n) {
        uint16_t rest[VEC] = {0};
        memcpy(rest, in + i, (n - i) * sizeof(*in));
        vec_store_n(out + i, vec_from_bf16(rest), n - i);
    }
}
