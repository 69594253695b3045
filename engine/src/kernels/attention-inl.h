/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention of one head of one text with the same tiles as every other product. The head's keys are
 * packed as K^T and its values as V, both in panels; then, for blocks of queries,
 *
 *   work:  [ K^T panels | V panels | scores: block x keys padded to NR ]
 *   scores = q K^T * scale -> softmax -> o = scores V
 *
 * Sums run over the text's own keys in rising order and nothing else, so a text's result depends on
 * that text alone.
 */

/* K^T: column t of the packed matrix is key t. Four keys and four of their elements at a time are
 * transposed in registers: sixteen stores of one element each would take as long as the product
 * that reads them. */
static void attention_pack_keys(const float *k, size_t ldk, size_t length, size_t d, float *to)
{
    for (size_t first = 0; first < length; first += NR, to += NR * d) {
        const size_t keys = length - first < NR ? length - first : NR;
        for (size_t j = keys - keys % VEC; j < NR && keys < NR; j += VEC)
            for (size_t i = 0; i < d; i++)
                vec_store(to + i * NR + j, vec_set1(0.0f));
        size_t t = 0;
        for (; t + 4 <= keys; t += 4) {
            const float *from = k + (first + t) * ldk;
            size_t i = 0;
            for (; i + 4 <= d; i += 4)
                transpose_4x4(from + i, ldk, to + i * NR + t, NR);
            for (; i < d; i++)
                for (size_t j = 0; j < 4; j++)
                    to[i * NR + t + j] = from[j * ldk + i];
        }
        for (; t < keys; t++)
            for (size_t i = 0; i < d; i++)
                to[i * NR + t] = k[(first + t) * ldk + i];
    }
}

static void attention_pack_values(const float *v, size_t ldv, size_t length, size_t d, float *to)
{
    for (size_t first = 0; first < d; first += NR) {
        const size_t columns = d - first < NR ? d - first : NR;
        /* not memcpy, which compilers make a loop of bytes of, dearer to begin than a line is */
        for (size_t t = 0; t < length; t++, to += NR) {
            for (size_t j = 0; j < NR; j += VEC) {
                const float *from = v + t * ldv + first + j;
                vec_store(to + j, j + VEC <= columns ? vec_load(from)
                                  : j < columns      ? vec_load_n(from, columns - j)
                                                     : vec_set1(0.0f));
            }
        }
    }
}

static void attention_f32(const float *q, size_t ldq, const float *k, size_t ldk, const float *v,
                          size_t ldv, size_t rows, size_t length, size_t d, float scale, float *o,
                          size_t ldo, float *work)
{
    const size_t key_panels = even_share(length, NR), value_panels = even_share(d, NR);
    const size_t lds = key_panels * NR;
    float *keys = work, *values = keys + key_panels * NR * d;
    float *scores = values + value_panels * NR * length;
    attention_pack_keys(k, ldk, length, d, keys);
    attention_pack_values(v, ldv, length, d, values);

    size_t blocks = even_share(rows, IFD_ATTENTION_ROWS);
    for (size_t row = 0; row < rows; blocks--) {
        size_t m = even_share(rows - row, blocks);
        const struct ifd_gemm_f32 qk = {.m = m,
                                        .n = length,
                                        .k = d,
                                        .a = q + row * ldq,
                                        .lda = ldq,
                                        .b = keys,
                                        .c = scores,
                                        .ldc = lds,
                                        .epilogue = IFD_EPI_SCALE,
                                        .scale = scale};
        gemm_f32(&qk, 0, m, 0, key_panels);
        softmax_f32(scores, lds, m, length);
        const struct ifd_gemm_f32 pv = {.m = m,
                                        .n = d,
                                        .k = length,
                                        .a = scores,
                                        .lda = lds,
                                        .b = values,
                                        .c = o + row * ldo,
                                        .ldc = ldo,
                                        .epilogue = IFD_EPI_SCALE,
                                        .scale = 1.0f};
        gemm_f32(&pv, 0, m, 0, value_panels);
        row += m;
    }
}
