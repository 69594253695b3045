/* SPDX-License-Identifier: Apache-2.0
 *
 * Every part of every step is done once, no step begins before the one before it is over, a member
 * that comes late finds the rest done, and failures are clean. Run under the thread sanitizer as
 * well: what parts write below is deliberately not atomic.
 */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/team.h"
#include "test.h"

#define MEMBERS_MAX 9
#define STEPS 400u

struct tally {
    unsigned members, steps;
    unsigned ran[MEMBERS_MAX];   /* times that each part was done */
    unsigned stale[MEMBERS_MAX]; /* what part i saw of others that was not of this step */
    bool broken;                 /* look in the step that writes: the control */
};

static void look(struct tally *t, unsigned part)
{
    for (unsigned i = 0; i < t->members; i++)
        t->stale[part] += t->ran[i] != t->ran[part];
}

/* One step counts each part, the next one looks at all counts. */
static void count(void *arg, struct ifd_team_walk *walk)
{
    struct tally *t = arg;
    unsigned part;
    for (unsigned i = 0; i < t->steps; i++) {
        while (ifd_team_part(walk, &part)) {
            assert_true(part < t->members);
            if (i % 100 == 50 && part == i / 100 % t->members)
                usleep(500); /* the others fall asleep in the wait for this step */
            t->ran[part]++;
            if (t->broken)
                look(t, part);
        }
        while (ifd_team_part(walk, &part))
            if (!t->broken)
                look(t, part);
    }
}

static struct tally counted(struct ifd_team *team, unsigned steps, bool broken)
{
    struct tally t = {.members = ifd_team_size(team), .steps = steps, .broken = broken};
    ifd_team_run(team, count, &t);
    return t;
}

static void test_steps_are_whole_and_in_order(void **state)
{
    (void)state;
    inferd_error err;
    static const unsigned sizes[] = {1, 2, 3, 4, MEMBERS_MAX};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct ifd_team *team = NULL;
        assert_ok(ifd_team_create(sizes[s], &team, &err), err);
        assert_int_equal(ifd_team_size(team), sizes[s]);
        for (unsigned run = 0; run < 400; run++) {
            const unsigned steps = run % 20 == 19 ? STEPS : run % 5;
            if (run % 50 == 0)
                usleep(2000); /* members fall asleep between runs */
            const struct tally t = counted(team, steps, false);
            for (unsigned i = 0; i < sizes[s]; i++) {
                assert_int_equal(t.ran[i], steps);
                assert_int_equal(t.stale[i], 0);
            }
        }
        ifd_team_free(team);
    }
}

#if !defined(__SANITIZE_THREAD__) /* which would report the race that this is */
static void test_looking_too_early_is_seen(void **state)
{
    (void)state;
    inferd_error err;
    struct ifd_team *team = NULL;
    assert_ok(ifd_team_create(2, &team, &err), err);
    const struct tally t = counted(team, STEPS, true);
    assert_true(t.stale[0] + t.stale[1] > 0);
    ifd_team_free(team);
}
#endif

struct lateness {
    pthread_t owner;
    unsigned by_owner, by_others; /* parts */
};

static void others_come_late(void *arg, struct ifd_team_walk *walk)
{
    struct lateness *l = arg;
    unsigned part, done = 0;
    const bool owner = pthread_equal(pthread_self(), l->owner);
    if (!owner)
        usleep(200000);
    for (unsigned i = 0; i < STEPS; i++)
        while (ifd_team_part(walk, &part))
            done++;
    if (owner)
        l->by_owner = done;
    else
        l->by_others = done;
}

static void test_late_member_holds_nothing_up(void **state)
{
    (void)state;
    inferd_error err;
    struct ifd_team *team = NULL;
    assert_ok(ifd_team_create(2, &team, &err), err);
    for (int i = 0; i < 3; i++) {
        struct lateness l = {.owner = pthread_self()};
        ifd_team_run(team, others_come_late, &l);
        assert_int_equal(l.by_owner, 2 * STEPS);
        assert_int_equal(l.by_others, 0);
    }
    ifd_team_free(team);
}

/* Parts are shared as soon as the members are there: some of these long ones, at least. */
static void share_long_parts(void *arg, struct ifd_team_walk *walk)
{
    struct lateness *l = arg;
    unsigned part, done = 0;
    const bool owner = pthread_equal(pthread_self(), l->owner);
    for (unsigned i = 0; i < 100; i++)
        while (ifd_team_part(walk, &part)) {
            usleep(2000);
            done++;
        }
    if (owner)
        l->by_owner = done;
    else
        l->by_others = done;
}

static void test_members_take_parts(void **state)
{
    (void)state;
    inferd_error err;
    struct ifd_team *team = NULL;
    struct lateness l = {.owner = pthread_self()};
    assert_ok(ifd_team_create(2, &team, &err), err);
    ifd_team_run(team, share_long_parts, &l);
    assert_int_equal(l.by_owner + l.by_others, 200);
    assert_true(l.by_others > 0);
    ifd_team_free(team);
}

static void test_unused_team_ends(void **state)
{
    (void)state;
    inferd_error err;
    struct ifd_team *team = NULL;
    for (int i = 0; i < 50; i++) {
        assert_ok(ifd_team_create(4, &team, &err), err);
        ifd_team_free(team);
    }
    ifd_team_free(NULL);
}

static void test_refusals(void **state)
{
    (void)state;
    inferd_error err;
    struct ifd_team *team = NULL;
    assert_fails(ifd_team_create(0, &team, &err), INFERD_INVALID_ARGUMENT, err, "at least one");
    for (uint64_t n = 0; n < 2; n++) {
        ifd_mem_fail_after(n, false);
        assert_fails(ifd_team_create(3, &team, &err), INFERD_NO_MEMORY, err, "team of 3");
        ifd_mem_fail_after(UINT64_MAX, false);
    }
    assert_null(team);
}

static void test_runs_do_not_allocate(void **state)
{
    (void)state;
    inferd_error err;
    struct ifd_team *team = NULL;
    assert_ok(ifd_team_create(2, &team, &err), err);
    uint64_t before = ifd_mem_calls();
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(counted(team, i, false).ran[0], i);
    assert_true(ifd_mem_calls() == before);
    ifd_team_free(team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_are_whole_and_in_order),
#if !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(test_looking_too_early_is_seen),
#endif
        cmocka_unit_test(test_late_member_holds_nothing_up),
        cmocka_unit_test(test_members_take_parts),
        cmocka_unit_test(test_unused_team_ends),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_runs_do_not_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
