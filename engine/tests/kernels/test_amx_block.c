/* SPDX-License-Identifier: Apache-2.0
 *
 * The AMX block on tiles that are plain C arrays, so that it is tested where the CPU has none: the
 * same file that amx.c compiles for the hardware. The emulation follows the SDM's operations for
 * palette 1 with tiles of 16 rows x 64 bytes.
 */
#include <math.h>

#include "kernels/kernels.h"
#include "test.h"

#define LINE_BYTES 64u
#define NR 32

static char tile_memory[8][16][64];
static size_t prefetched;

#define _MM_HINT_T1 2
static void _mm_prefetch(const char *p, int hint)
{
    (void)p;
    (void)hint;
    prefetched++;
}

static void tile_zero(int t)
{
    memset(tile_memory[t], 0, sizeof(tile_memory[t]));
}

static void tile_load(int t, const void *p, size_t stride)
{
    for (size_t r = 0; r < 16; r++)
        memcpy(tile_memory[t][r], (const char *)p + r * stride, 64);
}

static void tile_store(int t, void *p, size_t stride)
{
    for (size_t r = 0; r < 16; r++)
        memcpy((char *)p + r * stride, tile_memory[t][r], 64);
}

static void tile_dot_int8(int c, int a, int b)
{
    for (size_t m = 0; m < 16; m++) {
        int32_t sum[16];
        memcpy(sum, tile_memory[c][m], sizeof(sum));
        for (size_t k = 0; k < 16; k++)
            for (size_t n = 0; n < 16; n++)
                for (size_t i = 0; i < 4; i++)
                    sum[n] += (int32_t)(uint8_t)tile_memory[a][m][4 * k + i] *
                              (int8_t)tile_memory[b][k][4 * n + i];
        memcpy(tile_memory[c][m], sum, sizeof(sum));
    }
}

static float widen(const char *p)
{
    uint16_t half;
    memcpy(&half, p, sizeof(half));
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static void tile_dot_bf16(int c, int a, int b)
{
    for (size_t m = 0; m < 16; m++) {
        float sum[16];
        memcpy(sum, tile_memory[c][m], sizeof(sum));
        for (size_t k = 0; k < 16; k++)
            for (size_t n = 0; n < 16; n++)
                for (size_t i = 0; i < 2; i++)
                    sum[n] += widen(&tile_memory[a][m][4 * k + 2 * i]) *
                              widen(&tile_memory[b][k][4 * n + 2 * i]);
        memcpy(tile_memory[c][m], sum, sizeof(sum));
    }
}

#define AMX_ZERO(t) tile_zero(t)
#define AMX_LOAD(t, p, stride) tile_load(t, p, stride)
#define AMX_STORE(t, p, stride) tile_store(t, p, stride)
#define AMX_DOT_INT8(c, a, b) tile_dot_int8(c, a, b)
#define AMX_DOT_BF16(c, a, b) tile_dot_bf16(c, a, b)
struct amx_between {
    size_t steps;
};
#define AMX_BETWEEN(p) ((p)->steps++)
#include "kernels/amx_block-inl.h"

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

#define STEPS 3
#define ROW_BYTES (STEPS * 64)
#define LDA (ROW_BYTES + 64)

static void test_int8(void **state)
{
    (void)state;
    static uint8_t a[32 * LDA];
    static int8_t b[ROW_BYTES * NR];
    int32_t sums[32 * NR], whole[32 * NR], other[16 * NR];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof(a); i++)
        a[i] = (uint8_t)next_random(&seed);
    for (size_t i = 0; i < sizeof(b); i++)
        b[i] = (int8_t)(next_random(&seed) % 255 - 127);
    prefetched = 0;
    struct amx_between between = {0};
    struct amx_block block = {.tile_steps = STEPS,
                              .upper = (const char *)a,
                              .lower = (const char *)a + 16 * LDA,
                              .b = (const char *)b,
                              .lda = LDA,
                              .lower_at = 16,
                              .lines = 5,
                              .sums = sums};
    amx_block_int8(&block, &between);
    assert_int_equal(prefetched, 5 * STEPS);
    assert_int_equal(between.steps, STEPS);
    for (size_t m = 0; m < 32; m++) {
        for (size_t n = 0; n < NR; n++) {
            int32_t want = 0;
            for (size_t k = 0; k < ROW_BYTES; k++)
                want += a[m * LDA + k] * b[k / 4 * NR * 4 + n * 4 + k % 4];
            assert_int_equal(sums[m * NR + n], want);
        }
    }
    /* 23 rows: the halves overlap */
    memcpy(whole, sums, sizeof(whole));
    memset(sums, 0x55, sizeof(sums));
    block.lower = (const char *)a + 7 * LDA;
    block.lower_at = 7;
    amx_block_int8(&block, &between);
    assert_memory_equal(sums, whole, 23 * NR * sizeof(*sums));
    /* 16 rows alone, not at a tile's beginning */
    block.upper = block.lower;
    block.lower = NULL;
    block.sums = other;
    amx_block_int8(&block, &between);
    assert_memory_equal(other, sums + 7 * NR, sizeof(other));
    b[100]++;
    amx_block_int8(&block, &between);
    assert_memory_not_equal(other, sums + 7 * NR, sizeof(other));
}

static void test_bf16(void **state)
{
    (void)state;
    static uint16_t a[32 * LDA / 2], b[ROW_BYTES / 2 * NR];
    float sums[32 * NR], other[16 * NR];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof(a) / 2; i++)
        a[i] = (uint16_t)(0x3F00u + (next_random(&seed) & 0x80FFu)); /* about 0.5 .. 2, any sign */
    for (size_t i = 0; i < sizeof(b) / 2; i++)
        b[i] = (uint16_t)(0x3F00u + (next_random(&seed) & 0x80FFu));
    struct amx_between between = {0};
    struct amx_block block = {.tile_steps = STEPS,
                              .upper = (const char *)a,
                              .lower = (const char *)a + 16 * LDA,
                              .b = (const char *)b,
                              .lda = LDA,
                              .lower_at = 16,
                              .sums = sums};
    amx_block_bf16(&block, &between);
    for (size_t m = 0; m < 32; m++) {
        for (size_t n = 0; n < NR; n++) {
            double want = 0;
            for (size_t k = 0; k < ROW_BYTES / 2; k++)
                want += (double)widen((const char *)&a[m * LDA / 2 + k]) *
                        widen((const char *)&b[k / 2 * NR * 2 + n * 2 + k % 2]);
            assert_true(fabs(sums[m * NR + n] - want) <= 2e-5 * ROW_BYTES);
        }
    }
    block.upper += 9 * LDA;
    block.lower = NULL;
    block.sums = other;
    amx_block_bf16(&block, &between);
    assert_memory_equal(other, sums + 9 * NR, sizeof(other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_int8), cmocka_unit_test(test_bf16)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
