/* SPDX-License-Identifier: Apache-2.0
 *
 * The search against servers of known behaviour: an M/M/1 queue per setting, whose capacity
 * decides.
 */
#include "test.h"

#include <math.h>

#include "cli/tune_search.h"

static const struct ifd_tune_goal goal = {.ppm = 990000, .ms = 20.0, .lost_share = 0.001};

struct server {
    double capacity[8]; /* of the setting whose `threads` is the index */
    double least_ms;
    unsigned calls, pauses; /* every `pauses`-th measurement is disturbed */
    inferd_status fails;
};

static inferd_status measure(void *ctx, const struct ifd_tune_setting *s, double rate,
                             struct ifd_tune_figures *out, inferd_error *err)
{
    struct server *v = ctx;
    const double capacity = v->capacity[s->threads];
    if (v->fails)
        return ifd_fail(err, v->fails, "told to");
    const bool over = rate >= capacity;
    *out = (struct ifd_tune_figures){
        .rate = rate,
        .answered = over ? capacity : rate,
        .goal_ms = over ? 1000.0 : v->least_ms + 4605.0 / (capacity - rate), /* ln(100) */
        .lost_share = over ? 1.0 - capacity / rate : 0.0};
    if (v->pauses && ++v->calls % v->pauses == 0)
        out->goal_ms = 500.0;
    return INFERD_OK;
}

/* Where the goal is just met. */
static double true_rate(double capacity, double least_ms)
{
    return capacity - 4605.0 / (goal.ms - least_ms);
}

static void one_setting(void **state)
{
    (void)state;
    const double capacities[] = {280.0, 1000.0, 40000.0, 1000000.0};
    const double starts[] = {1.0, 64.0, 5000.0, 2000000.0};
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 4; k++) {
            struct server v = {.capacity = {capacities[i]}, .least_ms = 1.0};
            struct ifd_tune_figures f;
            inferd_error err;
            assert_ok(ifd_tune_rate(&goal, &(struct ifd_tune_setting){0}, starts[k], 1.0, measure,
                                    &v, &f, &err),
                      err);
            const double want = true_rate(capacities[i], 1.0);
            assert_true(f.rate <= want && f.rate * IFD_TUNE_WITHIN >= want * 0.999);
            assert_true(ifd_tune_meets(&goal, &f));
        }
}

static void none_meets(void **state)
{
    (void)state;
    struct server v = {.capacity = {1000.0, 2000.0}, .least_ms = 25.0};
    const struct ifd_tune_setting list[] = {{0, 256}, {1, 256}};
    struct ifd_tune_figures preset, f;
    size_t best = 9;
    inferd_error err;
    assert_ok(ifd_tune_search(&goal, list, 2, 64.0, 1.0, measure, &v, &preset, &best, &f, &err),
              err);
    assert_true(f.rate == 0.0 && preset.rate == 0.0);
    assert_int_equal(best, 0);
    /* nothing answered has no latency, which is no goal met */
    assert_false(ifd_tune_meets(&goal, &(struct ifd_tune_figures){.rate = 1.0}));
    assert_false(ifd_tune_meets(
        &goal, &(struct ifd_tune_figures){.answered = 1.0, .goal_ms = 1.0, .lost_share = 0.01}));
}

static void the_best_of_several(void **state)
{
    (void)state;
    static const double capacities[][4] = {{1000, 1010, 990, 500},
                                           {1000, 2000, 1500, 3000},
                                           {1000, 900, 800, 5000},
                                           {500, 400, 1000, 999}};
    const size_t want[] = {0, 3, 3, 2};
    const struct ifd_tune_setting list[] = {{0, 256}, {1, 256}, {2, 256}, {3, 256}};
    for (size_t i = 0; i < 4; i++) {
        struct server v = {.least_ms = 1.0};
        struct ifd_tune_figures preset, f;
        size_t best;
        inferd_error err;
        memcpy(v.capacity, capacities[i], sizeof(capacities[i]));
        assert_ok(ifd_tune_search(&goal, list, 4, 64.0, 1.0, measure, &v, &preset, &best, &f, &err),
                  err);
        assert_int_equal(best, want[i]);
        assert_true(f.rate * 1.17 >= true_rate(capacities[i][want[i]], 1.0));
        assert_true(preset.rate <= true_rate(capacities[i][0], 1.0));
    }
}

static void a_pause_now_and_then_changes_nothing(void **state)
{
    (void)state;
    for (unsigned pauses = 2; pauses < 9; pauses++) {
        struct server v = {.capacity = {1000.0}, .least_ms = 1.0, .pauses = pauses};
        struct ifd_tune_figures f;
        inferd_error err;
        assert_ok(
            ifd_tune_rate(&goal, &(struct ifd_tune_setting){0}, 64.0, 1.0, measure, &v, &f, &err),
            err);
        assert_true(f.rate * IFD_TUNE_WITHIN >= true_rate(1000.0, 1.0) * 0.999);
    }
    /* positive control: when every measurement is disturbed, nothing meets it */
    struct server v = {.capacity = {1000.0}, .least_ms = 1.0, .pauses = 1};
    struct ifd_tune_figures f;
    assert_int_equal(
        ifd_tune_rate(&goal, &(struct ifd_tune_setting){0}, 64.0, 1.0, measure, &v, &f, NULL),
        INFERD_OK);
    assert_true(f.rate == 0.0);
}

static void a_failure_is_passed_on(void **state)
{
    (void)state;
    struct server v = {.capacity = {1000.0}, .fails = INFERD_CANCELLED};
    const struct ifd_tune_setting list[] = {{0, 256}, {1, 256}};
    struct ifd_tune_figures preset, f;
    size_t best;
    inferd_error err;
    assert_int_equal(
        ifd_tune_search(&goal, list, 2, 64.0, 1.0, measure, &v, &preset, &best, &f, &err),
        INFERD_CANCELLED);
    assert_string_equal(err.message, "told to");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_setting),
        cmocka_unit_test(none_meets),
        cmocka_unit_test(the_best_of_several),
        cmocka_unit_test(a_pause_now_and_then_changes_nothing),
        cmocka_unit_test(a_failure_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
