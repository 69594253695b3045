/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner loops of a matrix product: for each number of rows up to TILE_ROWS one function that
 * keeps rows x 2 registers of sums and walks k once, in units of four bytes (one float, two bf16 or
 * four int8). Included once per dtype; before including, a tier file defines
 *   TILE_ROWS          the most rows,
 *   TILE_FN(name)      the name of a function or table of this dtype, and
 *   TILE_DOT(a, b, s)  s + the products of a's and b's elements, unit by unit, and
 *   TILE_PAIRS         if a line of b is pairs of bf16 and a row of a their partners as floats:
 * then a step is two lines of one FMA each, the even elements and the odd ones. All registers are
 * `reg`, whatever the elements; sums of int8 are int32 in the lanes of one.
 *
 *            b: panel [step][NR]             each step, one unit of k:
 *            +-------+-------+                 load b0 b1 (NR = 2 registers)
 *            |  b0   |  b1   |                 for each row: broadcast a[row][step],
 *   a        +-------+-------+                   sum[row][0] = dot(a, b0, sum[row][0])
 *  [row][step]| sum[row][0,1]|                   sum[row][1] = dot(a, b1, sum[row][1])
 *            +-------+-------+
 *
 * Each sum is one chain in rising k whatever the number of rows; there is no other order in any
 * variant, which is what makes a row's result independent of its neighbours.
 */
#ifndef IFD_KERNELS_TILE_ROWS
#define IFD_KERNELS_TILE_ROWS

#define NR (2 * REG)

#define LINE_BYTES 64u
/* Lines of a panel that four steps of k read: the rate at which the next panel must come in. */
#define LINES_OF_4_STEPS (4 * NR * sizeof(ifd_unit) / LINE_BYTES)

/* Sums go to tile[row][NR], from where the epilogue takes them while they are in L1. Every four
 * steps `next_lines` cache lines from address `next` on are prefetched into L2: the tiles of one
 * panel together fetch the panel that comes after it. An address, not a pointer, as it may run past
 * the end of the weights; a prefetch never faults. */
typedef void tile_fn(size_t steps, const ifd_unit *a, size_t lda, const ifd_unit *b, uintptr_t next,
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
#define ROW_STEP(i)                                                      \
    {                                                                    \
        const reg value = reg_set1(base[(i) / 3][((i) % 3) * lda + at]); \
        sum##i##_0 = TILE_DOT(value, b0, sum##i##_0);                    \
        sum##i##_1 = TILE_DOT(value, b1, sum##i##_1);                    \
    }
#define ROW_STORE(i)                      \
    reg_store(tile + (i)*NR, sum##i##_0); \
    reg_store(tile + (i)*NR + REG, sum##i##_1);

/* Line s of b, as `load` reads it, by unit `position` of each row. */
#define TILE_LINE(rows, s, position, load)                                \
    {                                                                     \
        const size_t at = (position);                                     \
        const reg b0 = load(b + NR * (s)), b1 = load(b + NR * (s) + REG); \
        ROWS_##rows(ROW_STEP)                                             \
    }

#define TILE_ADVANCE(n)            \
    b += NR * (n);                 \
    for (size_t j = 0; j < 5; j++) \
        base[j] += (n)*TILE_A_UNITS;

#define TILE_DEFINE(rows)                                                                         \
    static void TILE_FN(tile_##rows)(size_t steps, const ifd_unit *a, size_t lda,                 \
                                     const ifd_unit *b, uintptr_t next, size_t next_lines,        \
                                     float *tile)                                                 \
    {                                                                                             \
        const ifd_unit *base[5] = {a, (rows) > 3 ? a + 3 * lda : a, (rows) > 6 ? a + 6 * lda : a, \
                                   (rows) > 9 ? a + 9 * lda : a, (rows) > 12 ? a + 12 * lda : a}; \
        ROWS_##rows(ROW_DECLARE) size_t i = 0;                                                    \
        for (; i + 4 <= steps; i += 4) {                                                          \
            for (size_t j = 0; j < next_lines; j++, next += LINE_BYTES)                           \
                __builtin_prefetch((const void *)next, 0, 2); /* to be read, into L2 */           \
            TILE_STEP(rows, 0)                                                                    \
            TILE_STEP(rows, 1)                                                                    \
            TILE_STEP(rows, 2)                                                                    \
            TILE_STEP(rows, 3)                                                                    \
            TILE_ADVANCE(4)                                                                       \
        }                                                                                         \
        for (; i < steps; i++) {                                                                  \
            TILE_STEP(rows, 0)                                                                    \
            TILE_ADVANCE(1)                                                                       \
        }                                                                                         \
        ROWS_##rows(ROW_STORE)                                                                    \
    }

#define TILE_ENTRY(rows) TILE_FN(tile_##rows),

/* X(rows) for each number of rows up to a limit */
#define UP_TO_4(X) X(1) X(2) X(3) X(4)
#define UP_TO_6(X) UP_TO_4(X) X(5) X(6)
#define UP_TO_10(X) UP_TO_6(X) X(7) X(8) X(9) X(10)
#define UP_TO_14(X) UP_TO_10(X) X(11) X(12) X(13) X(14)
#define UP_TO_(n) UP_TO_##n
#define UP_TO(n) UP_TO_(n)

#endif

#ifdef TILE_PAIRS
#define TILE_A_UNITS 2
#define TILE_STEP(rows, s)                     \
    TILE_LINE(rows, s, 2 * (s), reg_load_even) \
    TILE_LINE(rows, s, 2 * (s) + 1, reg_load_odd)
#else
#define TILE_A_UNITS 1
#define TILE_STEP(rows, s) TILE_LINE(rows, s, s, reg_load)
#endif

UP_TO(TILE_ROWS)
(TILE_DEFINE)

    static tile_fn *const TILE_FN(tiles)[TILE_ROWS] = {UP_TO(TILE_ROWS)(TILE_ENTRY)};
static const size_t TILE_FN(tile_rows) = TILE_ROWS;
#undef TILE_STEP
#undef TILE_A_UNITS
#undef TILE_PAIRS
#undef TILE_FN
#undef TILE_DOT
#undef TILE_ROWS
