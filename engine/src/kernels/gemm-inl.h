/* SPDX-License-Identifier: Apache-2.0
 *
 * The matrix product around the tiles: blocks of rows that stay in L2, panels that stay in L1 or L2
 * while the block's rows pass over them, and the epilogue on each tile while it is in L1.
 *
 *   for each block of rows        (block x k floats of A: within GEMM_BLOCK_FLOATS)
 *     for each panel              (k x NR floats of B, read once from memory per block)
 *       for each tile of rows     (as even as they divide: 25 rows are 9 + 8 + 8, not 14 + 11)
 *
 * How rows are grouped changes nothing in the sums, see tile-inl.h.
 */

/* Half of a 2 MiB L2: the other half is for panels and results. */
#define GEMM_BLOCK_FLOATS ((size_t)256 * 1024)

/* One vector of results: columns [at, at + n) of the tile's row, n <= VEC. */
static inline vec gemm_apply(const struct ifd_gemm_f32 *g, enum ifd_epilogue epilogue, vec acc,
                             const float *bias, const float *residual, size_t n)
{
    if (epilogue == IFD_EPI_SCALE)
        return vec_mul(acc, vec_set1(g->scale));
    vec x = vec_add(acc, vec_load(bias));
    switch (epilogue) {
    case IFD_EPI_BIAS_GELU:
        return vec_gelu(x);
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
gemm_store_as(const struct ifd_gemm_f32 *g, enum ifd_epilogue epilogue, const float *tile,
              size_t row, size_t rows, size_t column, size_t columns)
{
    for (size_t i = 0; i < rows; i++, row++) {
        float *c = g->c + row * g->ldc + column;
        const float *residual =
            epilogue == IFD_EPI_BIAS_RESIDUAL ? g->residual + row * g->ldr + column : c;
        const float *bias = epilogue == IFD_EPI_SCALE ? tile : g->bias + column;
        for (size_t j = 0; j < columns; j += VEC) {
            size_t n = columns - j < VEC ? columns - j : VEC;
            vec x = gemm_apply(g, epilogue, vec_load(tile + i * NR + j), bias + j, residual + j, n);
            if (n == VEC)
                vec_store(c + j, x);
            else
                vec_store_n(c + j, x, n);
        }
    }
}

static void gemm_store(const struct ifd_gemm_f32 *g, const float *tile, size_t row, size_t rows,
                       size_t column, size_t columns)
{
    switch (g->epilogue) {
    case IFD_EPI_BIAS:
        gemm_store_as(g, IFD_EPI_BIAS, tile, row, rows, column, columns);
        break;
    case IFD_EPI_BIAS_GELU:
        gemm_store_as(g, IFD_EPI_BIAS_GELU, tile, row, rows, column, columns);
        break;
    case IFD_EPI_BIAS_RELU:
        gemm_store_as(g, IFD_EPI_BIAS_RELU, tile, row, rows, column, columns);
        break;
    case IFD_EPI_BIAS_TANH:
        gemm_store_as(g, IFD_EPI_BIAS_TANH, tile, row, rows, column, columns);
        break;
    case IFD_EPI_BIAS_RESIDUAL:
        gemm_store_as(g, IFD_EPI_BIAS_RESIDUAL, tile, row, rows, column, columns);
        break;
    case IFD_EPI_SCALE:
        gemm_store_as(g, IFD_EPI_SCALE, tile, row, rows, column, columns);
        break;
    }
}

/* The first of `parts` nearly even shares of n. */
static inline size_t even_share(size_t n, size_t parts)
{
    return (n + parts - 1) / parts;
}

static void gemm_panel(const struct ifd_gemm_f32 *g, size_t row_begin, size_t row_end, size_t panel,
                       size_t next_panel)
{
    float tile[TILE_ROWS * NR] __attribute__((aligned(64)));
    const float *b = g->b + panel * NR * g->k;
    const size_t column = panel * NR;
    const size_t columns = g->n - column < NR ? g->n - column : NR;
    size_t tiles = even_share(row_end - row_begin, TILE_ROWS);
    const size_t lines = even_share(LINES_OF_4_STEPS, tiles);
    uintptr_t next = (uintptr_t)(g->b + next_panel * NR * g->k);
    for (size_t row = row_begin; row < row_end; tiles--) {
        size_t rows = even_share(row_end - row, tiles);
        tile_of_rows[rows - 1](g->k, g->a + row * g->lda, g->lda, b, next, lines, tile);
        next += g->k / 4 * lines * LINE_BYTES;
        gemm_store(g, tile, row, rows, column, columns);
        row += rows;
    }
}

static void gemm_f32(const struct ifd_gemm_f32 *g, size_t row_begin, size_t row_end,
                     size_t panel_begin, size_t panel_end)
{
    if (row_begin >= row_end)
        return;
    size_t fit = GEMM_BLOCK_FLOATS / (g->k ? g->k : 1);
    fit = fit < TILE_ROWS ? TILE_ROWS : fit - fit % TILE_ROWS;
    size_t blocks = even_share(row_end - row_begin, fit);
    for (size_t row = row_begin; row < row_end; blocks--) {
        size_t rows = even_share(row_end - row, blocks);
        for (size_t panel = panel_begin; panel < panel_end; panel++)
            gemm_panel(g, row, row + rows, panel, panel + 1 < panel_end ? panel + 1 : panel_begin);
        row += rows;
    }
}
