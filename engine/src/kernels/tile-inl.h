/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner loops of the matrix product: for each number of rows up to TILE_ROWS one function that
 * keeps rows x 2 registers of sums and walks k once. Before including, a tier file defines
 *   TILE_ROWS  the most rows, and
 *   TILES(X)   X(rows) for each number of rows from 1 to TILE_ROWS.
 *
 *            b: panel [k][NR]                each step of k:
 *            +-------+-------+                 load b0 b1 (NR = 2 registers)
 *            |  b0   |  b1   |                 for each row: broadcast a[row][k],
 *   a        +-------+-------+                   sum[row][0] += a * b0   one FMA each
 *   [row][k]:| sum[row][0,1] |                   sum[row][1] += a * b1
 *            +-------+-------+
 *
 * Each sum is one chain of FMAs in rising k whatever the number of rows; there is no other order in
 * any variant, which is what makes a row's result independent of its neighbours.
 */

#define NR (2 * REG)

#define LINE_BYTES 64u
/* Lines of a panel that four steps of k read: the rate at which the next panel must come in. */
#define LINES_OF_4_STEPS (4 * NR * sizeof(float) / LINE_BYTES)

/* Sums go to tile[row][NR], from where the epilogue takes them while they are in L1. Every four
 * steps `next_lines` cache lines from address `next` on are prefetched into L2: the tiles of one
 * panel together fetch the panel that comes after it. An address, not a pointer, as it may run past
 * the end of the weights; a prefetch never faults. */
typedef void tile_fn(size_t k, const float *a, size_t lda, const float *b, uintptr_t next,
                     size_t next_lines, float *tile);

#define ROWS_1(X) X(0)
#define ROWS_2(X) ROWS_1(X) X(1)
#define ROWS_3(X) ROWS_2(X) X(2)
#define ROWS_4(X) ROWS_3(X) X(3)
#define ROWS_5(X) ROWS_4(X) X(4)
#define ROWS_6(X) ROWS_5(X) X(5)
#define ROWS_7(X) ROWS_6(X) X(6)
#define ROWS_8(X) ROWS_7(X) X(7)
#define ROWS_9(X) ROWS_8(X) X(8)
#define ROWS_10(X) ROWS_9(X) X(9)
#define ROWS_11(X) ROWS_10(X) X(10)
#define ROWS_12(X) ROWS_11(X) X(11)
#define ROWS_13(X) ROWS_12(X) X(12)
#define ROWS_14(X) ROWS_13(X) X(13)

/* Rows are addressed from every third one, as base, base + lda and base + 2 lda: x86 has registers
 * for five bases and addressing modes for the rest, but not for fourteen pointers. */
#define ROW_DECLARE(i) reg sum##i##_0 = reg_zero(), sum##i##_1 = reg_zero();
#define ROW_STEP(i)                                                        \
    {                                                                      \
        const reg value = reg_set1(base[(i) / 3][((i) % 3) * lda + step]); \
        sum##i##_0 = reg_fma(value, b0, sum##i##_0);                       \
        sum##i##_1 = reg_fma(value, b1, sum##i##_1);                       \
    }
#define ROW_STORE(i)                      \
    reg_store(tile + (i)*NR, sum##i##_0); \
    reg_store(tile + (i)*NR + REG, sum##i##_1);

#define TILE_STEP(rows, s)                                                          \
    {                                                                               \
        const size_t step = (s);                                                    \
        const reg b0 = reg_load(b + NR * step), b1 = reg_load(b + NR * step + REG); \
        ROWS_##rows(ROW_STEP)                                                       \
    }

#define TILE_ADVANCE(n)            \
    b += NR * (n);                 \
    for (size_t j = 0; j < 5; j++) \
        base[j] += (n);

#define TILE_DEFINE(rows)                                                                         \
    static void tile_##rows(size_t k, const float *a, size_t lda, const float *b, uintptr_t next, \
                            size_t next_lines, float *tile)                                       \
    {                                                                                             \
        const float *base[5] = {a, (rows) > 3 ? a + 3 * lda : a, (rows) > 6 ? a + 6 * lda : a,    \
                                (rows) > 9 ? a + 9 * lda : a, (rows) > 12 ? a + 12 * lda : a};    \
        ROWS_##rows(ROW_DECLARE) size_t i = 0;                                                    \
        for (; i + 4 <= k; i += 4) {                                                              \
            for (size_t j = 0; j < next_lines; j++, next += LINE_BYTES)                           \
                _mm_prefetch((const char *)next, _MM_HINT_T1);                                    \
            TILE_STEP(rows, 0)                                                                    \
            TILE_STEP(rows, 1)                                                                    \
            TILE_STEP(rows, 2)                                                                    \
            TILE_STEP(rows, 3)                                                                    \
            TILE_ADVANCE(4)                                                                       \
        }                                                                                         \
        for (; i < k; i++) {                                                                      \
            TILE_STEP(rows, 0)                                                                    \
            TILE_ADVANCE(1)                                                                       \
        }                                                                                         \
        ROWS_##rows(ROW_STORE)                                                                    \
    }

TILES(TILE_DEFINE)

#define TILE_ENTRY(rows) tile_##rows,
static tile_fn *const tile_of_rows[TILE_ROWS] = {TILES(TILE_ENTRY)};
