/* SPDX-License-Identifier: Apache-2.0
 *
 * What the narrow dtypes add to a vector tier: rows of activations made narrow, the epilogues that
 * bring sums back to fp32, and the products themselves, which run in the same blocks and tiles as
 * fp32 (gemm-inl.h). A tier with a matrix unit takes the rows and epilogues and brings its own
 * products.
 */

/* Rows ------------------------------------------------------------------------------------------
 */

/* The four vectors of a cache line of bytes, where a vocabulary has no quicker way. */
#ifndef VEC_STORE_4_U8
#define VEC_STORE_4_U8(p, a, b, c, d)          \
    {                                          \
        vec_store_u8((p), (a), VEC);           \
        vec_store_u8((p) + VEC, (b), VEC);     \
        vec_store_u8((p) + 2 * VEC, (c), VEC); \
        vec_store_u8((p) + 3 * VEC, (d), VEC); \
    }
#endif

/* What a row's scale needs: its least and greatest value with 0, and NaN if one is not finite. */
struct extent {
    vec low, high, bad;
};

static inline __attribute__((always_inline)) void extent_add(struct extent *e, vec v)
{
    const vec nothing = vec_set1(0.0f);
    e->low = vec_min(v, e->low);
    e->high = vec_max(v, e->high);
    e->bad = vec_fma(v, nothing, e->bad);
}

/* Of x * by. Four at a time, as each would wait for the one before; the order changes nothing. */
static inline struct extent extent_of(const float *x, const float *by, size_t n)
{
    const vec nothing = vec_set1(0.0f);
    struct extent e[4] = {{nothing, nothing, nothing},
                          {nothing, nothing, nothing},
                          {nothing, nothing, nothing},
                          {nothing, nothing, nothing}};
    size_t i = 0;
    for (; i + 4 * VEC <= n; i += 4 * VEC)
        for (size_t j = 0; j < 4; j++)
            extent_add(&e[j], vec_mul(vec_load(x + i + j * VEC), vec_load(by + i + j * VEC)));
    for (; i + VEC <= n; i += VEC)
        extent_add(&e[0], vec_mul(vec_load(x + i), vec_load(by + i)));
    if (i < n)
        extent_add(&e[1], vec_mul(vec_load_n(x + i, n - i), vec_load_n(by + i, n - i)));
    for (size_t j = 1; j < 4; j++) {
        e[0].low = vec_min(e[j].low, e[0].low);
        e[0].high = vec_max(e[j].high, e[0].high);
        e[0].bad = vec_add(e[j].bad, e[0].bad);
    }
    return e[0];
}

static void narrow_int8(const float *x, size_t ldx, size_t n, size_t begin, size_t end,
                        const float *by, const struct ifd_narrow *out)
{
    const size_t whole = n - n % VEC, tail = n - whole;
    const size_t padded = (n + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
    for (size_t r = begin; r < end; r++) {
        const float *in = x + r * ldx;
        uint8_t *to = (uint8_t *)out->data + r * out->ld;
        const struct extent e = extent_of(in, by, n);
        const float least = -vec_max_lane(vec_sub(vec_set1(0.0f), e.low));
        const float range = vec_max_lane(e.high) - least;
        const float inverse = range > 1e-30f ? 255.0f / range : 0.0f;
        const float zero = nearbyintf(-least * inverse);
        const vec steps = vec_set1(inverse), from = vec_set1(zero);
        size_t i = 0;
        for (; i + 4 * VEC <= whole; i += 4 * VEC) {
            vec q[4];
            for (size_t j = 0; j < 4; j++) {
                vec v = vec_mul(vec_load(in + i + j * VEC), vec_load(by + i + j * VEC));
                q[j] = vec_fma(v, steps, from);
            }
            VEC_STORE_4_U8(to + i, q[0], q[1], q[2], q[3])
        }
        for (; i < whole; i += VEC) {
            vec v = vec_mul(vec_load(in + i), vec_load(by + i));
            vec_store_u8(to + i, vec_fma(v, steps, from), VEC);
        }
        if (tail) {
            vec v = vec_mul(vec_load_n(in + whole, tail), vec_load_n(by + whole, tail));
            vec_store_u8(to + whole, vec_fma(v, steps, from), tail);
        }
        memset(to + n, 0, padded - n);
        out->scale[r] = (inverse > 0.0f ? range / 255.0f : 0.0f) + vec_sum(e.bad);
        out->zero[r] = zero;
    }
}

/* n <= VEC elements. */
static inline __attribute__((always_inline)) void store_bf16_row(bf16_row_element *p, vec v,
                                                                 size_t n)
{
#if BF16_ROWS_ARE_FLOATS
    v = vec_round_bf16(v);
    if (n == VEC)
        vec_store(p, v);
    else
        vec_store_n(p, v, n);
#else
    vec_store_bf16(p, v, n);
#endif
}

static void narrow_bf16(const float *x, size_t ldx, size_t n, size_t begin, size_t end,
                        const float *by, const struct ifd_narrow *out)
{
    (void)by;
    const size_t whole = n - n % VEC, tail = n - whole;
    const size_t padded = (n + LINE_BYTES / 2 - 1) / (LINE_BYTES / 2) * (LINE_BYTES / 2);
    for (size_t r = begin; r < end; r++) {
        const float *in = x + r * ldx;
        bf16_row_element *to = (bf16_row_element *)out->data + r * out->ld / sizeof(*to);
        for (size_t i = 0; i < whole; i += VEC)
            store_bf16_row(to + i, vec_load(in + i), VEC);
        if (tail)
            store_bf16_row(to + whole, vec_load_n(in + whole, tail), tail);
        memset(to + n, 0, (padded - n) * sizeof(*to));
    }
}

/* Epilogues -------------------------------------------------------------------------------------
 */

/* What belongs to VEC columns of a product, kept in registers for all rows of a tile. */
struct narrow_columns {
    vec bias, b_sum, b_scale;
};

static inline __attribute__((always_inline)) struct narrow_columns
narrow_columns_at(const struct ifd_gemm_narrow *g, bool integers, size_t at)
{
    const vec bias = vec_load(g->bias + at);
    return (struct narrow_columns){.bias = bias,
                                   .b_sum = integers ? vec_load(g->b_sum + at) : bias,
                                   .b_scale = integers ? vec_load(g->b_scale + at) : bias};
}

/* Sums of int8 are int32 in the tile's bits; of bf16, floats. */
static inline __attribute__((always_inline)) vec
narrow_apply(const struct narrow_columns *columns, bool integers, enum ifd_epilogue epilogue, vec x,
             vec zero, vec scale, const float *residual, size_t n)
{
    if (integers) {
        x = vec_fma(zero, columns->b_sum, TIER_INT8_SUMS(x, columns->b_sum));
        x = vec_fma(x, vec_mul(scale, columns->b_scale), columns->bias);
    } else {
        x = vec_add(x, columns->bias);
    }
    return gemm_apply(epilogue, false, x, residual, n);
}

/* `pair`: 2 VEC columns, else n <= VEC of them. */
static inline __attribute__((always_inline)) void
store_narrow_columns(const struct ifd_gemm_narrow *g, bool integers, enum ifd_epilogue epilogue,
                     bool pair, const float *tile, size_t row, size_t rows, size_t at, size_t n)
{
    const struct narrow_columns left = narrow_columns_at(g, integers, at);
    const struct narrow_columns right = pair ? narrow_columns_at(g, integers, at + VEC) : left;
    const float *a_zero = g->a.zero + row, *a_scale = g->a.scale + row;
    const bool adds = epilogue == IFD_EPI_BIAS_RESIDUAL;
    const size_t ldr = adds ? g->ldr : g->ldc, ldc = g->ldc;
    float *c = g->c + row * ldc + at;
    const float *residual = adds ? g->residual + row * ldr + at : c;
    for (size_t i = 0; i < rows; i++, c += ldc, residual += ldr, tile += NR) {
        const vec zero = vec_set1(integers ? -a_zero[i] : 0.0f);
        const vec scale = vec_set1(integers ? a_scale[i] : 1.0f);
        const vec x =
            narrow_apply(&left, integers, epilogue, vec_load(tile), zero, scale, residual, n);
        if (!pair) {
            vec_store_n(c, x, n);
            continue;
        }
        const vec y = narrow_apply(&right, integers, epilogue, vec_load(tile + VEC), zero, scale,
                                   residual + VEC, VEC);
        vec_store(c, x);
        vec_store(c + VEC, y);
    }
}

static inline __attribute__((always_inline)) void
store_narrow_as(const struct ifd_gemm_narrow *g, bool integers, enum ifd_epilogue epilogue,
                const float *tile, size_t row, size_t rows, size_t column, size_t columns)
{
    size_t j = 0;
    for (; j + 2 * VEC <= columns; j += 2 * VEC)
        store_narrow_columns(g, integers, epilogue, true, tile + j, row, rows, column + j, VEC);
    for (; j < columns; j += VEC)
        store_narrow_columns(g, integers, epilogue, false, tile + j, row, rows, column + j,
                             columns - j < VEC ? columns - j : VEC);
}

static inline __attribute__((always_inline)) void
store_int8_as(const struct ifd_gemm_narrow *g, enum ifd_epilogue epilogue, const float *tile,
              size_t row, size_t rows, size_t column, size_t columns)
{
    store_narrow_as(g, true, epilogue, tile, row, rows, column, columns);
}

static inline __attribute__((always_inline)) void
store_bf16_as(const struct ifd_gemm_narrow *g, enum ifd_epilogue epilogue, const float *tile,
              size_t row, size_t rows, size_t column, size_t columns)
{
    store_narrow_as(g, false, epilogue, tile, row, rows, column, columns);
}

#define STORE_NARROW_DEFINE(name)                                                               \
    static void name(const void *of, const float *tile, size_t row, size_t rows, size_t column, \
                     size_t columns)                                                            \
    {                                                                                           \
        const struct ifd_gemm_narrow *g = of;                                                   \
        switch (g->epilogue) {                                                                  \
            STORE_CASE(name##_as, IFD_EPI_BIAS)                                                 \
            STORE_CASE(name##_as, IFD_EPI_BIAS_GELU)                                            \
            STORE_CASE(name##_as, IFD_EPI_BIAS_RELU)                                            \
            STORE_CASE(name##_as, IFD_EPI_BIAS_TANH)                                            \
            STORE_CASE(name##_as, IFD_EPI_BIAS_RESIDUAL)                                        \
        case IFD_EPI_SCALE:                                                                     \
            break;                                                                              \
        }                                                                                       \
    }
STORE_NARROW_DEFINE(store_int8)
STORE_NARROW_DEFINE(store_bf16)

/* Products --------------------------------------------------------------------------------------
 */

/* column_bytes: of a column of B. */
static inline struct gemm_run narrow_run(const struct ifd_gemm_narrow *g, size_t column_bytes,
                                         gemm_store_fn *store)
{
    const size_t units =
        (column_bytes + LINE_BYTES - 1) / LINE_BYTES * (LINE_BYTES / sizeof(ifd_unit));
    const struct gemm_run run = {.a = g->a.data,
                                 .b = g->b,
                                 .lda = g->a.ld / sizeof(ifd_unit),
                                 .steps = units,
                                 .row_units = units,
                                 .n = g->n,
                                 .store = store,
                                 .g = g};
    return run;
}

#ifndef TIER_MATRIX_UNIT
static void gemm_int8(const struct ifd_gemm_narrow *g, size_t row_begin, size_t row_end,
                      size_t panel_begin, size_t panel_end)
{
    struct gemm_run run = narrow_run(g, g->k, store_int8);
    run.tiles = tiles_int8;
    run.tile_rows = tile_rows_int8;
    gemm_blocks(&run, row_begin, row_end, panel_begin, panel_end);
}

static void gemm_bf16(const struct ifd_gemm_narrow *g, size_t row_begin, size_t row_end,
                      size_t panel_begin, size_t panel_end)
{
    struct gemm_run run = narrow_run(g, 2 * g->k, store_bf16);
    run.row_units *= sizeof(bf16_row_element) / sizeof(uint16_t);
    run.tiles = tiles_bf16;
    run.tile_rows = tile_rows_bf16;
    gemm_blocks(&run, row_begin, row_end, panel_begin, panel_end);
}
#endif
