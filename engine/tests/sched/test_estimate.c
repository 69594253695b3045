/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a job would wait, and which jobs are refused for it.
 */
#include "test.h"

#include "sched/estimate.h"

#define MS 1000000u

static const uint32_t hundred[] = {0, 100}, thousands[] = {0, 100, 1000};

struct fixture {
    struct ifd_queue queue;
    struct ifd_rate rate;
    struct ifd_backlog load;
};

/* Two workers of 0.1 ms a token, nothing queued. */
static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    ifd_queue_init(&f->queue, 1000, 100000);
    ifd_rate_add(&f->rate, 10 * MS, 100);
    f->load = (struct ifd_backlog){.queue = &f->queue, .rate = &f->rate, .workers = 2};
}

static void the_rate_follows_what_is_measured(void **state)
{
    (void)state;
    struct ifd_rate r = {0};
    assert_true(ifd_rate_ns_per_token(&r) == 0);
    for (unsigned i = 0; i < 100; i++)
        ifd_rate_add(&r, 1000, 10);
    assert_true(ifd_rate_ns_per_token(&r) > 99.9 && ifd_rate_ns_per_token(&r) < 100.1);
    for (unsigned i = 0; i < 200; i++)
        ifd_rate_add(&r, 2000, 10);
    assert_true(ifd_rate_ns_per_token(&r) > 199 && ifd_rate_ns_per_token(&r) < 201);
    /* a large batch counts as what it is: many tokens */
    ifd_rate_add(&r, 100000, 1000);
    assert_true(ifd_rate_ns_per_token(&r) < 150);
}

static void waits_are_what_is_ahead_of_the_class(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    assert_int_equal(ifd_estimate_wait_ns(&f.load, IFD_SMALL), 0);
    f.load.running_tokens = 200; /* half done: 100 tokens x 0.1 ms on two workers */
    assert_int_equal(ifd_estimate_wait_ns(&f.load, IFD_SMALL), 5 * MS);
    f.queue.line[IFD_SMALL].tokens = 100;
    assert_int_equal(ifd_estimate_wait_ns(&f.load, IFD_SMALL), 10 * MS);
    f.queue.line[IFD_BULK].tokens = 1000; /* small ones get every second token */
    assert_int_equal(ifd_estimate_wait_ns(&f.load, IFD_SMALL), 15 * MS);
    assert_int_equal(ifd_estimate_wait_ns(&f.load, IFD_BULK), 60 * MS);
    assert_int_equal(ifd_estimate_own_ns(&f.load, IFD_SMALL, 100), 10 * MS);
    assert_int_equal(ifd_estimate_own_ns(&f.load, IFD_BULK, 1000), 50 * MS);
}

static void a_deadline_that_cannot_be_met_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    inferd_error err;
    setup(&f);
    f.queue.line[IFD_SMALL].tokens = 400; /* 20 ms of waiting, 10 ms of its own */
    struct ifd_job job = {.texts = 1, .offsets = hundred};
    const uint64_t now = 5000 * (uint64_t)MS;
    job.deadline_ns = now + 37 * MS;
    assert_fails(
        ifd_estimate_admit(&f.load, &job, now, 0, &err), INFERD_OVERLOADED, err,
        "about 30 ms, and with a quarter to spare that is more than the 37 ms that the request "
        "allows; retry later");
    assert_int_equal(job.retry_ns, 20 * MS);
    job.deadline_ns = now + 38 * MS;
    assert_ok(ifd_estimate_admit(&f.load, &job, now, 0, &err), err);
    job.deadline_ns = now + 39 * MS;
    assert_ok(ifd_estimate_admit(&f.load, &job, now, 0, &err), err);
    job.deadline_ns = now + 12 * MS; /* not even alone */
    assert_fails(ifd_estimate_admit(&f.load, &job, now, 0, &err), INFERD_OVERLOADED, err,
                 "allow more time");
    job.deadline_ns = now; /* passed already */
    assert_fails(ifd_estimate_admit(&f.load, &job, now, 0, &err), INFERD_OVERLOADED, err,
                 "0 ms that the request allows");
    job.deadline_ns = 0; /* none */
    assert_ok(ifd_estimate_admit(&f.load, &job, now, 0, &err), err);
}

static void the_wait_is_bounded(void **state)
{
    (void)state;
    struct fixture f;
    inferd_error err;
    setup(&f);
    f.queue.line[IFD_SMALL].tokens = 400;
    struct ifd_job job = {.texts = 1, .offsets = hundred};
    assert_fails(ifd_estimate_admit(&f.load, &job, 0, 19 * MS, &err), INFERD_OVERLOADED, err,
                 "--max-queue-wait 19 ms");
    assert_int_equal(job.retry_ns, 1 * MS);
    assert_ok(ifd_estimate_admit(&f.load, &job, 0, 20 * MS, &err), err);
    assert_ok(ifd_estimate_admit(&f.load, &job, 0, 21 * MS, &err), err);
    /* the bound is on waiting: a large request on an idle server is taken however long it takes */
    f.queue.line[IFD_SMALL].tokens = 0;
    job = (struct ifd_job){.texts = 2, .offsets = thousands};
    assert_ok(ifd_estimate_admit(&f.load, &job, 0, 1 * MS, &err), err);
    job.background = true;
    f.queue.line[IFD_SMALL].tokens = 100000;
    assert_ok(ifd_estimate_admit(&f.load, &job, 0, 1 * MS, &err), err);
}

static void nothing_is_refused_before_anything_is_known(void **state)
{
    (void)state;
    struct fixture f;
    inferd_error err;
    setup(&f);
    f.rate = (struct ifd_rate){0};
    f.queue.line[IFD_SMALL].tokens = 100000;
    struct ifd_job job = {.texts = 1, .offsets = hundred, .deadline_ns = 2};
    assert_ok(ifd_estimate_admit(&f.load, &job, 1, 1, &err), err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_follows_what_is_measured),
        cmocka_unit_test(waits_are_what_is_ahead_of_the_class),
        cmocka_unit_test(a_deadline_that_cannot_be_met_is_refused),
        cmocka_unit_test(the_wait_is_bounded),
        cmocka_unit_test(nothing_is_refused_before_anything_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
