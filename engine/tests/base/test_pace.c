/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <time.h>

#include "base/mem.h"
#include "base/pace.h"

static double now_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double wall_0, used_0;

static void start(unsigned rest)
{
    ifd_pace_set(rest);
    wall_0 = now_s(CLOCK_MONOTONIC);
    used_0 = now_s(CLOCK_THREAD_CPUTIME_ID);
}

static double used(void)
{
    return now_s(CLOCK_THREAD_CPUTIME_ID) - used_0;
}

/* Wall time beside processor time since the start; the pace is off again. */
static double slowdown(void)
{
    double wall = now_s(CLOCK_MONOTONIC) - wall_0, spent = used();
    ifd_pace_set(0);
    return wall / spent;
}

static double of_a_loop(unsigned rest)
{
    start(rest);
    while (used() < 5e-3)
        ifd_pace();
    return slowdown();
}

static double of_memory(unsigned rest)
{
    const size_t size = (size_t)24 << 20;
    start(rest);
    char *p = ifd_zalloc_aligned(size + 100);
    assert_non_null(p);
    for (size_t i = 0; i < size + 100; i += 4099)
        assert_int_equal(p[i], 0);
    ifd_free_aligned(p, size + 100);
    return slowdown();
}

/* Others may keep the thread off its core, so only a lower bound can be asserted of one run, and of
 * the control, which does not rest, that it need not be slow. */
static void rests(double (*of)(unsigned))
{
    double least = 100.0;
    for (int i = 0; i < 50 && least > 2.5; i++) {
        double again = of(0);
        least = again < least ? again : least;
    }
    assert_true(least <= 2.5);
    assert_true(of(6) > 4.5);
}

static void a_loop_rests(void **state)
{
    (void)state;
    rests(of_a_loop);
}

static void large_blocks_come_and_go_at_the_same_pace(void **state)
{
    (void)state;
    rests(of_memory);
    ifd_free_aligned(NULL, 0);
    ifd_free_aligned(ifd_zalloc_aligned(1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_rests),
        cmocka_unit_test(large_blocks_come_and_go_at_the_same_pace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
