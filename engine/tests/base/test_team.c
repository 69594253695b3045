/* SPDX-License-Identifier: Apache-2.0
 *
 * A team runs a function once on every member, is a full barrier, survives long pauses, and fails
 * cleanly. Run under the thread sanitizer as well: the counters below are deliberately not atomic.
 */
#include <unistd.h>

#include "base/mem.h"
#include "base/team.h"
#include "test.h"

#define MEMBERS_MAX 9

struct tally {
    unsigned members;
    uint64_t ran[MEMBERS_MAX]; /* each written by its member only */
    uint64_t seen;             /* written by the owner between runs, read by all */
};

static void count(void *arg, unsigned member, unsigned members)
{
    struct tally *t = arg;
    assert_int_equal(members, t->members);
    t->ran[member] += 1;
    assert_true(t->ran[member] == t->seen + 1);
}

static void test_every_member_runs_once(void **state)
{
    (void)state;
    inferd_error err;
    static const unsigned sizes[] = {1, 2, 3, 4, MEMBERS_MAX};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct ifd_team *team = NULL;
        struct tally t = {.members = sizes[s]};
        assert_ok(ifd_team_create(sizes[s], &team, &err), err);
        assert_int_equal(ifd_team_size(team), sizes[s]);
        for (unsigned run = 0; run < 2000; run++) {
            ifd_team_run(team, count, &t);
            t.seen++;
            for (unsigned i = 0; i < sizes[s]; i++)
                assert_true(t.ran[i] == t.seen);
            if (run % 500 == 0)
                usleep(2000); /* long enough for members to fall asleep */
        }
        ifd_team_free(team);
    }
}

struct relay {
    unsigned input[MEMBERS_MAX], output[MEMBERS_MAX];
};

static void pass_left(void *arg, unsigned member, unsigned members)
{
    struct relay *r = arg;
    r->output[member] = r->input[(member + 1) % members] + 1;
}

static void pass_right(void *arg, unsigned member, unsigned members)
{
    struct relay *r = arg;
    r->input[member] = r->output[(member + members - 1) % members] + 1;
}

/* Each run reads what other members wrote in the run before: right only behind a full barrier. */
static void test_runs_are_barriers(void **state)
{
    (void)state;
    inferd_error err;
    struct ifd_team *team = NULL;
    struct relay r = {{0}, {0}};
    assert_ok(ifd_team_create(4, &team, &err), err);
    for (unsigned i = 0; i < 3000; i++) {
        ifd_team_run(team, pass_left, &r);
        ifd_team_run(team, pass_right, &r);
    }
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(r.input[i], 6000);
    ifd_team_free(team);
}

static void slow(void *arg, unsigned member, unsigned members)
{
    int *done = arg;
    (void)members;
    if (member)
        usleep(3000); /* the owner falls asleep in its wait */
    done[member] = 1;
}

static void test_owner_waits_for_slow_members(void **state)
{
    (void)state;
    inferd_error err;
    struct ifd_team *team = NULL;
    assert_ok(ifd_team_create(3, &team, &err), err);
    for (int i = 0; i < 5; i++) {
        int done[3] = {0};
        ifd_team_run(team, slow, done);
        assert_int_equal(done[0] + done[1] + done[2], 3);
    }
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
    int done[2];
    assert_ok(ifd_team_create(2, &team, &err), err);
    uint64_t before = ifd_mem_calls();
    for (int i = 0; i < 10; i++)
        ifd_team_run(team, slow, done);
    assert_true(ifd_mem_calls() == before);
    ifd_team_free(team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_member_runs_once),
        cmocka_unit_test(test_runs_are_barriers),
        cmocka_unit_test(test_owner_waits_for_slow_members),
        cmocka_unit_test(test_unused_team_ends),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_runs_do_not_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
