/* SPDX-License-Identifier: Apache-2.0
 *
 * One block of a product on AMX tiles: 32 rows x 32 columns of sums in four tiles. Written over
 * five tile words, AMX_ZERO, AMX_LOAD, AMX_STORE, AMX_DOT_INT8 and AMX_DOT_BF16, which amx.c takes
 * from the hardware and a test from a plain C emulation, so that this file is tested on any
 * machine; and over struct amx_between with AMX_BETWEEN, vector work that hides behind the tiles.
 *
 *                     panel, 16 steps of 32 units:
 *                     +---------+---------+     tile 0: rows 0-15,  columns 0-15
 *                     | tile 6  | tile 7  |     tile 1: rows 0-15,  columns 16-31
 *   a, 16 steps:      +---------+---------+     tile 2: rows 16-31, columns 0-15
 *   upper | tile 4 |  | tile 0  | tile 1  |     tile 3: rows 16-31, columns 16-31
 *   lower | tile 5 |  | tile 2  | tile 3  |
 *
 * All tiles are 16 rows of 64 bytes. A block always has 16 or 32 rows: where fewer are left, upper
 * and lower overlap or rows beyond are read, and the caller takes the rows it wants. int32 sums are
 * exact; bf16 sums are one chain in rising k for each element, in whatever block it is computed.
 * Source: Intel SDM vol. 1 ch. 18 and vol. 2 (TDPBUSD, TDPBF16PS, TILELOADD).
 */
#define AMX_STEP_BYTES ((size_t)64)     /* of a row of A per tile */
#define AMX_LINE_BYTES ((size_t)32 * 4) /* of a panel: one step of NR = 32 units */
#define AMX_TILE_ROWS ((size_t)16)

/* What a block needs: `lower` NULL for 16 rows, else where the second 16 rows of A begin; their
 * sums go to line `lower_at` of sums, over upper's last ones where the two overlap (the same bits).
 * In each tile step `lines` cache lines of the next panel, from `next` on, are prefetched and
 * AMX_BETWEEN(between) is done while the matrix unit is busy. */
struct amx_block {
    size_t tile_steps;
    const char *upper, *lower, *b;
    size_t lda, lower_at;
    uintptr_t next;
    size_t lines;
    void *sums; /* [16 or 32][32] of 4 bytes */
};

#define AMX_BLOCK_DEFINE(name, DOT)                                                   \
    static void name(const struct amx_block *block, struct amx_between *between)      \
    {                                                                                 \
        const char *upper = block->upper, *lower = block->lower, *b = block->b;       \
        uintptr_t next = block->next;                                                 \
        char *out = block->sums, *out_lower = out + block->lower_at * AMX_LINE_BYTES; \
        AMX_ZERO(0);                                                                  \
        AMX_ZERO(1);                                                                  \
        AMX_ZERO(2);                                                                  \
        AMX_ZERO(3);                                                                  \
        for (size_t i = 0; i < block->tile_steps; i++) {                              \
            AMX_LOAD(6, b, AMX_LINE_BYTES);                                           \
            AMX_LOAD(7, b + AMX_LINE_BYTES / 2, AMX_LINE_BYTES);                      \
            AMX_LOAD(4, upper, block->lda);                                           \
            DOT(0, 4, 6);                                                             \
            DOT(1, 4, 7);                                                             \
            if (lower) {                                                              \
                AMX_LOAD(5, lower, block->lda);                                       \
                DOT(2, 5, 6);                                                         \
                DOT(3, 5, 7);                                                         \
                lower += AMX_STEP_BYTES;                                              \
            }                                                                         \
            for (size_t j = 0; j < block->lines; j++, next += LINE_BYTES)             \
                _mm_prefetch((const char *)next, _MM_HINT_T1);                        \
            AMX_BETWEEN(between);                                                     \
            upper += AMX_STEP_BYTES;                                                  \
            b += AMX_TILE_ROWS * AMX_LINE_BYTES;                                      \
        }                                                                             \
        if (lower) {                                                                  \
            AMX_STORE(2, out_lower, AMX_LINE_BYTES);                                  \
            AMX_STORE(3, out_lower + AMX_LINE_BYTES / 2, AMX_LINE_BYTES);             \
        }                                                                             \
        AMX_STORE(0, out, AMX_LINE_BYTES);                                            \
        AMX_STORE(1, out + AMX_LINE_BYTES / 2, AMX_LINE_BYTES);                       \
    }

AMX_BLOCK_DEFINE(amx_block_int8, AMX_DOT_INT8)
AMX_BLOCK_DEFINE(amx_block_bf16, AMX_DOT_BF16)
