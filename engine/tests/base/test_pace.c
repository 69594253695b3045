/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a paced thread asks to sleep beside the processor time that it used. nanosleep is this
 * file's own and returns at once, so neither the wall clock nor other processes count: the test
 * means the same on a busy machine and under an emulator.
 */
#include "test.h"

#include <time.h>

#include "base/mem.h"
#include "base/pace.h"

static uint64_t used_0_ns, slept_ns, least_ns;

int nanosleep(const struct timespec *ask, struct timespec *left)
{
    const uint64_t ns = (uint64_t)ask->tv_sec * 1000000000u + (uint64_t)ask->tv_nsec;
    (void)left;
    slept_ns += ns;
    least_ns = ns < least_ns ? ns : least_ns;
    return 0;
}

static uint64_t used_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec - used_0_ns;
}

static void start(unsigned rest)
{
    slept_ns = 0;
    least_ns = UINT64_MAX;
    used_0_ns = 0;
    used_0_ns = used_ns();
    ifd_pace_set(rest);
}

/* Sleep beside processor time since the start; the pace is off again. */
static double rest_taken(void)
{
    const double taken = (double)slept_ns / (double)used_ns();
    ifd_pace_set(0);
    return taken;
}

static double of_a_loop(unsigned rest)
{
    start(rest);
    while (used_ns() < 50 * IFD_PACE_RUN_NS)
        ifd_pace();
    return rest_taken();
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
    return rest_taken();
}

/* All but the last run is rested from, and none longer than was asked for. */
static void rests(double (*of)(unsigned))
{
    assert_true(of(0) == 0.0);
    for (unsigned rest = 1; rest <= 6; rest += 5) {
        const double taken = of(rest);
        assert_true(taken > 0.6 * rest);
        assert_true(taken <= rest);
        assert_true(least_ns >= (uint64_t)rest * IFD_PACE_RUN_NS);
    }
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

/* What was slept is no part of the next run, and a pace set anew forgets the one before. */
static void nothing_is_rested_from_twice(void **state)
{
    (void)state;
    start(6);
    while (slept_ns == 0)
        ifd_pace();
    const uint64_t once = slept_ns;
    ifd_pace_set(6);
    ifd_pace();
    assert_true(slept_ns == once);
    ifd_pace_set(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_rests),
        cmocka_unit_test(large_blocks_come_and_go_at_the_same_pace),
        cmocka_unit_test(nothing_is_rested_from_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
