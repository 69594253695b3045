/* SPDX-License-Identifier: Apache-2.0
 *
 * The narrow products on AMX: blocks of rows that stay in L2 and panels as in gemm-inl.h, with the
 * matrix unit's 32 x 32 blocks in place of register tiles. Tiles are configured at the beginning of
 * a call and released at its end (50 ns together), so that the thread carries no tile state in
 * between: that would make its task switches slower and keep the core from deep sleep.
 *
 * A block's sums get their epilogue while the next block runs on the matrix unit, a few rows in
 * each of its steps: one after the other, a 384-wide product spent half of its time in the
 * epilogue.
 */

/* The epilogue of a finished block: rows [row, row + rows) of it are still to be stored. */
struct amx_between {
    const struct gemm_run *g;
    const float *sums;
    size_t row, rows, column, columns;
    size_t rows_each; /* in each step */
};

static inline void amx_store_some(struct amx_between *p, size_t most)
{
    size_t rows = p->rows < most ? p->rows : most;
    if (rows == 0)
        return;
    p->g->store(p->g->g, p->sums, p->row, rows, p->column, p->columns);
    p->sums += rows * NR;
    p->row += rows;
    p->rows -= rows;
}

#define AMX_BETWEEN(p) amx_store_some((p), (p)->rows_each)
#include "kernels/amx_block-inl.h"

typedef void amx_block_fn(const struct amx_block *block, struct amx_between *between);

/* Palette 1 with eight tiles of 16 rows x 64 bytes; layout of LDTILECFG's operand. */
static void amx_begin(void)
{
    /* A constant: gcc's _tile_loadconfig says that it reads the first eight bytes only, so stores
     * to the rest could be left out as dead. */
    static const struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1,
                .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _Static_assert(AMX_STEP_BYTES == 64 && AMX_TILE_ROWS == 16, "the tiles of amx_block-inl.h");
    _tile_loadconfig(&config);
}

/* Two blocks' sums: one is computed while the other is stored. */
struct amx_sums {
    float block[2][32 * NR] __attribute__((aligned(64)));
    size_t turn;
    struct amx_between between;
};

static void amx_panel(const struct gemm_run *g, amx_block_fn *run, size_t row_begin, size_t row_end,
                      size_t panel, size_t next_panel, struct amx_sums *sums)
{
    const size_t panel_bytes = g->steps * AMX_LINE_BYTES, lda = g->lda * sizeof(ifd_unit);
    const size_t column = panel * NR, columns = g->n - column < NR ? g->n - column : NR;
    const size_t blocks = even_share(row_end - row_begin, 2 * AMX_TILE_ROWS);
    const char *a = (const char *)g->a, *b = (const char *)g->b;
    struct amx_block block = {.tile_steps = g->steps / AMX_TILE_ROWS,
                              .b = b + panel * panel_bytes,
                              .lda = lda,
                              .next = (uintptr_t)(b + next_panel * panel_bytes),
                              .lines =
                                  even_share(AMX_TILE_ROWS * AMX_LINE_BYTES / LINE_BYTES, blocks)};
    for (size_t row = row_begin, rows; row < row_end; row += rows) {
        rows = row_end - row < 2 * AMX_TILE_ROWS ? row_end - row : 2 * AMX_TILE_ROWS;
        /* the last 16 rows that end at row + rows; there may be fewer than 16 before */
        size_t last = row + rows < AMX_TILE_ROWS ? 0 : row + rows - AMX_TILE_ROWS;
        float *out = sums->block[sums->turn ^= 1];
        block.sums = out;
        block.upper = a + (rows > AMX_TILE_ROWS ? row : last) * lda;
        block.lower = rows > AMX_TILE_ROWS ? a + last * lda : NULL;
        block.lower_at = rows > AMX_TILE_ROWS ? rows - AMX_TILE_ROWS : 0;
        sums->between.rows_each = even_share(sums->between.rows, block.tile_steps);
        run(&block, &sums->between);
        amx_store_some(&sums->between, SIZE_MAX);
        sums->between =
            (struct amx_between){.g = g,
                                 .sums = rows > AMX_TILE_ROWS ? out : out + (row - last) * NR,
                                 .row = row,
                                 .rows = rows,
                                 .column = column,
                                 .columns = columns};
        block.next += block.tile_steps * block.lines * LINE_BYTES;
    }
}

static void amx_gemm(const struct gemm_run *g, amx_block_fn *block, size_t row_begin,
                     size_t row_end, size_t panel_begin, size_t panel_end)
{
    struct amx_sums sums;
    if (row_begin >= row_end || panel_begin >= panel_end)
        return;
    sums.turn = 0;
    sums.between = (struct amx_between){.rows = 0};
    amx_begin();
    size_t fit = GEMM_BLOCK_UNITS / (g->steps ? g->steps : 1);
    fit = fit < 2 * AMX_TILE_ROWS ? 2 * AMX_TILE_ROWS : fit - fit % (2 * AMX_TILE_ROWS);
    for (size_t row = row_begin; row < row_end; row += fit) {
        size_t end = row_end - row < fit ? row_end : row + fit;
        for (size_t panel = panel_begin; panel < panel_end; panel++)
            amx_panel(g, block, row, end, panel, panel + 1 < panel_end ? panel + 1 : panel_begin,
                      &sums);
    }
    amx_store_some(&sums.between, SIZE_MAX);
    _tile_release();
}

static void gemm_int8(const struct ifd_gemm_narrow *g, size_t row_begin, size_t row_end,
                      size_t panel_begin, size_t panel_end)
{
    const struct gemm_run run = narrow_run(g, g->k, store_int8);
    amx_gemm(&run, amx_block_int8, row_begin, row_end, panel_begin, panel_end);
}

static void gemm_bf16(const struct ifd_gemm_narrow *g, size_t row_begin, size_t row_end,
                      size_t panel_begin, size_t panel_end)
{
    const struct gemm_run run = narrow_run(g, 2 * g->k, store_bf16);
    amx_gemm(&run, amx_block_bf16, row_begin, row_end, panel_begin, panel_end);
}
