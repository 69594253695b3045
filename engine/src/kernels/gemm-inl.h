/* SPDX-License-Identifier: Apache-2.0
 *
 * The matrix product around the tiles, for every dtype: blocks of rows that stay in L2, panels that
 * stay in L1 or L2 while the block's rows pass over them, and the epilogue on each tile while it is
 * in L1.
 *
 *   for each block of rows        (block x k of A: within GEMM_BLOCK_UNITS)
 *     for each panel              (k x NR of B, read once from memory per block)
 *       for each tile of rows     (as even as they divide: 25 rows are 9 + 8 + 8, not 14 + 11)
 *
 * How rows are grouped changes nothing in the sums, see tile-inl.h.
 */

/* Half of a 2 MiB L2: the other half is for panels and results. */
#define GEMM_BLOCK_UNITS ((size_t)256 * 1024)
#define TILE_ROWS_MAX 14

/* Sums of rows [row, row + rows), columns [column, column + columns) are in tile[.][NR]. */
typedef void gemm_store_fn(const void *g, const float *tile, size_t row, size_t rows, size_t column,
                           size_t columns);

/* A product in units of four bytes. */
struct gemm_run {
    const ifd_unit *a, *b;
    size_t lda, steps, n;
    size_t row_units;      /* of a row of a */
    tile_fn *const *tiles; /* [tile_rows] */
    size_t tile_rows;
    gemm_store_fn *store;
    const void *g; /* of store */
};

/* One vector of x = sum + bias; residual: n <= VEC of them. `precise` chooses the GELU. */
static inline __attribute__((always_inline)) vec
gemm_apply(enum ifd_epilogue epilogue, bool precise, vec x, const float *residual, size_t n)
{
    switch (epilogue) {
    case IFD_EPI_BIAS_GELU:
        return precise ? vec_gelu(x) : vec_gelu_short(x);
    case IFD_EPI_BIAS_RELU:
        return vec_max(vec_set1(0.0f), x); /* the second operand if it is NaN */
    case IFD_EPI_BIAS_TANH:
        return vec_tanh(x);
    case IFD_EPI_BIAS_RESIDUAL:
        return vec_add(x, n == VEC ? vec_load(residual) : vec_load_n(residual, n));
    case IFD_EPI_BIAS:
    case IFD_EPI_SCALE:
        break;
    }
    return x;
}

/* `epilogue` is a constant at each call, so that the switch above is gone in each copy. */
static inline __attribute__((always_inline)) void
store_f32_as(const struct ifd_gemm_f32 *g, enum ifd_epilogue epilogue, const float *tile,
             size_t row, size_t rows, size_t column, size_t columns)
{
    for (size_t i = 0; i < rows; i++, row++) {
        float *c = g->c + row * g->ldc + column;
        const float *residual =
            epilogue == IFD_EPI_BIAS_RESIDUAL ? g->residual + row * g->ldr + column : c;
        for (size_t j = 0; j < columns; j += VEC) {
            size_t n = columns - j < VEC ? columns - j : VEC;
            vec x = vec_load(tile + i * NR + j);
            x = epilogue == IFD_EPI_SCALE ? vec_mul(x, vec_set1(g->scale))
                                          : vec_add(x, vec_load(g->bias + column + j));
            x = gemm_apply(epilogue, true, x, residual + j, n);
            if (n == VEC)
                vec_store(c + j, x);
            else
                vec_store_n(c + j, x, n);
        }
    }
}

#define STORE_CASE(name, epilogue)                           \
    case epilogue:                                           \
        name(g, epilogue, tile, row, rows, column, columns); \
        break;

static void store_f32(const void *of, const float *tile, size_t row, size_t rows, size_t column,
                      size_t columns)
{
    const struct ifd_gemm_f32 *g = of;
    switch (g->epilogue) {
        STORE_CASE(store_f32_as, IFD_EPI_BIAS)
        STORE_CASE(store_f32_as, IFD_EPI_BIAS_GELU)
        STORE_CASE(store_f32_as, IFD_EPI_BIAS_RELU)
        STORE_CASE(store_f32_as, IFD_EPI_BIAS_TANH)
        STORE_CASE(store_f32_as, IFD_EPI_BIAS_RESIDUAL)
        STORE_CASE(store_f32_as, IFD_EPI_SCALE)
    }
}

/* The first of `parts` nearly even shares of n. */
static inline size_t even_share(size_t n, size_t parts)
{
    return (n + parts - 1) / parts;
}

static void gemm_panel(const struct gemm_run *g, size_t row_begin, size_t row_end, size_t panel,
                       size_t next_panel)
{
    float tile[TILE_ROWS_MAX * NR] __attribute__((aligned(64)));
    const ifd_unit *b = g->b + panel * NR * g->steps;
    const size_t column = panel * NR;
    const size_t columns = g->n - column < NR ? g->n - column : NR;
    size_t tiles = even_share(row_end - row_begin, g->tile_rows);
    const size_t lines = even_share(LINES_OF_4_STEPS, tiles);
    uintptr_t next = (uintptr_t)(g->b + next_panel * NR * g->steps);
    for (size_t row = row_begin; row < row_end; tiles--) {
        size_t rows = even_share(row_end - row, tiles);
        g->tiles[rows - 1](g->steps, g->a + row * g->lda, g->lda, b, next, lines, tile);
        next += g->steps / 4 * lines * LINE_BYTES;
        g->store(g->g, tile, row, rows, column, columns);
        row += rows;
    }
}

static void gemm_blocks(const struct gemm_run *g, size_t row_begin, size_t row_end,
                        size_t panel_begin, size_t panel_end)
{
    if (row_begin >= row_end)
        return;
    size_t fit = GEMM_BLOCK_UNITS / (g->row_units ? g->row_units : 1);
    fit = fit < g->tile_rows ? g->tile_rows : fit - fit % g->tile_rows;
    size_t blocks = even_share(row_end - row_begin, fit);
    for (size_t row = row_begin; row < row_end; blocks--) {
        size_t rows = even_share(row_end - row, blocks);
        for (size_t panel = panel_begin; panel < panel_end; panel++)
            gemm_panel(g, row, row + rows, panel, panel + 1 < panel_end ? panel + 1 : panel_begin);
        row += rows;
    }
}

static void gemm_f32(const struct ifd_gemm_f32 *g, size_t row_begin, size_t row_end,
                     size_t panel_begin, size_t panel_end)
{
    const struct gemm_run run = {.a = g->a,
                                 .b = g->b,
                                 .lda = g->lda,
                                 .steps = g->k,
                                 .row_units = g->k,
                                 .n = g->n,
                                 .tiles = tiles_f32,
                                 .tile_rows = tile_rows_f32,
                                 .store = store_f32,
                                 .g = g};
    gemm_blocks(&run, row_begin, row_end, panel_begin, panel_end);
}
