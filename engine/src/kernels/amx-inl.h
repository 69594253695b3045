/* SPDX-License-Identifier: Apache-2.0
 *
 * The narrow products on AMX: blocks of rows that stay in L2 and panels as in gemm-inl.h, with the
 * matrix unit's 32 x 32 blocks in place of register tiles. Tiles are configured at the beginning of
 * a call and released at its end (50 ns together), so that the thread carries no tile state in
 * between: that would make its task switches slower and keep the core from deep sleep.
 */
#include "kernels/amx_block-inl.h"

typedef void amx_block_fn(size_t tile_steps, const char *upper, const char *lower, size_t lda,
                          const char *b, uintptr_t next, size_t lines, void *sums);

/* Palette 1 with eight tiles of 16 rows x 64 bytes; layout of LDTILECFG's operand. */
static void amx_begin(void)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int t = 0; t < 8; t++) {
        config.row_bytes[t] = AMX_STEP_BYTES;
        config.rows[t] = AMX_TILE_ROWS;
    }
    _tile_loadconfig(&config);
}

static void amx_panel(const struct gemm_run *g, amx_block_fn *block, size_t row_begin,
                      size_t row_end, size_t panel, size_t next_panel)
{
    float sums[32 * NR] __attribute__((aligned(64)));
    const size_t panel_bytes = g->steps * AMX_LINE_BYTES, lda = g->lda * sizeof(ifd_unit);
    const size_t tile_steps = g->steps / AMX_TILE_ROWS, column = panel * NR;
    const size_t columns = g->n - column < NR ? g->n - column : NR;
    const size_t blocks = even_share(row_end - row_begin, 2 * AMX_TILE_ROWS);
    const size_t lines = even_share(AMX_TILE_ROWS * AMX_LINE_BYTES / LINE_BYTES, blocks);
    const char *a = (const char *)g->a, *b = (const char *)g->b;
    uintptr_t next = (uintptr_t)(b + next_panel * panel_bytes);
    for (size_t row = row_begin; row < row_end;) {
        size_t rows = row_end - row < 2 * AMX_TILE_ROWS ? row_end - row : 2 * AMX_TILE_ROWS;
        /* the last 16 rows that end at row + rows; fewer than 16 rows: from row on */
        size_t last = row + rows < AMX_TILE_ROWS ? 0 : row + rows - AMX_TILE_ROWS;
        if (rows <= AMX_TILE_ROWS) {
            block(tile_steps, a + last * lda, NULL, lda, b + panel * panel_bytes, next, lines,
                  sums);
            g->store(g->g, sums + (row - last) * NR, row, rows, column, columns);
        } else {
            block(tile_steps, a + row * lda, a + last * lda, lda, b + panel * panel_bytes, next,
                  lines, sums);
            g->store(g->g, sums, row, AMX_TILE_ROWS, column, columns);
            size_t done = row + AMX_TILE_ROWS - last; /* rows of lower that upper had, plus 16 */
            g->store(g->g, sums + (AMX_TILE_ROWS + done) * NR, row + AMX_TILE_ROWS,
                     rows - AMX_TILE_ROWS, column, columns);
        }
        next += tile_steps * lines * LINE_BYTES;
        row += rows;
    }
}

static void amx_gemm(const struct gemm_run *g, amx_block_fn *block, size_t row_begin,
                     size_t row_end, size_t panel_begin, size_t panel_end)
{
    if (row_begin >= row_end || panel_begin >= panel_end)
        return;
    amx_begin();
    size_t fit = GEMM_BLOCK_UNITS / (g->steps ? g->steps : 1);
    fit = fit < 2 * AMX_TILE_ROWS ? 2 * AMX_TILE_ROWS : fit - fit % (2 * AMX_TILE_ROWS);
    for (size_t row = row_begin; row < row_end; row += fit) {
        size_t end = row_end - row < fit ? row_end : row + fit;
        for (size_t panel = panel_begin; panel < panel_end; panel++)
            amx_panel(g, block, row, end, panel, panel + 1 < panel_end ? panel + 1 : panel_begin);
    }
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
