/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler with its threads, over the fake model: the same results as computing directly,
 * every accepted job handed back exactly once, also when it stops under load. Meant to run under
 * the thread sanitizer as well.
 */
#include "test.h"

#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fake_model.h"
#include "job_record.h"
#include "sched/sched.h"

struct submitter {
    struct ifd_sched *sched;
    struct ifd_engine *engine;
    struct record *records;
    unsigned count, accepted;
    uint32_t seed;
    bool pause;
};

static void *submit_many(void *arg)
{
    struct submitter *s = arg;
    for (unsigned i = 0; i < s->count; i++) {
        struct record *r = &s->records[i];
        fill(r, s->engine, 1 + next_random(&s->seed) % TEXTS_MAX, &s->seed);
        if (ifd_sched_submit(s->sched, &r->job, NULL) == INFERD_OK)
            s->accepted++;
        else
            r->job.texts = 0;
        if (s->pause)
            usleep(50);
    }
    return NULL;
}

/* Four threads submit 150 jobs each to three workers. Returns the texts that came out wrong. */
static unsigned run_mixed_load(unsigned *texts)
{
    struct ifd_sched_options o = options_of(3);
    struct ifd_sched *sched;
    inferd_error err;
    struct ifd_engine *engine = engine_of(&o);
    assert_ok(ifd_sched_create(&o, &sched, &err), err);
    struct submitter s[4];
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++) {
        s[i] = (struct submitter){.sched = sched, .engine = engine, .count = 150, .seed = i + 1};
        s[i].records = test_calloc(s[i].count, sizeof(*s[i].records));
        pthread_create(&threads[i], NULL, submit_many, &s[i]);
    }
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ifd_sched_stop(sched);
    struct ifd_sched_stats stats;
    ifd_sched_get_stats(sched, &stats);
    unsigned wrong = 0;
    *texts = 0;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(s[i].accepted, s[i].count);
        for (unsigned k = 0; k < s[i].count; k++) {
            assert_int_equal(s[i].records[k].done, 1);
            assert_int_equal(s[i].records[k].job.status, INFERD_OK);
            wrong += differences(&s[i].records[k]);
            *texts += s[i].records[k].job.texts;
        }
        test_free(s[i].records);
    }
    assert_int_equal(stats.texts, *texts);
    assert_int_equal(stats.queue_texts + stats.queue_tokens, 0);
    ifd_sched_free(sched);
    ifd_engine_release(engine);
    assert_int_equal(fake_model.references, 1);
    return wrong;
}

static void results_equal_direct_computation(void **state)
{
    (void)state;
    unsigned texts;
    assert_int_equal(run_mixed_load(&texts), 0);
    assert_true(texts > 5000);
    /* positive control: a forward pass that mixes up the texts of a batch is seen */
    fake_mixes_up = true;
    unsigned wrong = run_mixed_load(&texts);
    fake_mixes_up = false;
    assert_true(wrong > texts / 4);
}

static void stop_under_load_loses_nothing(void **state)
{
    (void)state;
    struct ifd_sched_options o = options_of(2);
    inferd_error err;
    unsigned outstanding = 0, refused = 0;
    for (unsigned round = 0; round < 20; round++) {
        struct ifd_sched *sched;
        struct ifd_engine *engine = engine_of(&o);
        assert_ok(ifd_sched_create(&o, &sched, &err), err);
        fake_delay_ns = 200000;
        struct submitter s = {
            .sched = sched, .engine = engine, .count = 100, .seed = round + 1, .pause = true};
        s.records = test_calloc(s.count, sizeof(*s.records));
        pthread_t thread;
        pthread_create(&thread, NULL, submit_many, &s);
        usleep(500 + 200 * round);
        struct ifd_sched_stats before;
        ifd_sched_get_stats(sched, &before);
        outstanding += (unsigned)before.queue_texts;
        ifd_sched_stop(sched);
        pthread_join(thread, NULL);
        unsigned done = 0;
        for (unsigned i = 0; i < s.count; i++) {
            done += (unsigned)s.records[i].done;
            refused += s.records[i].job.texts == 0;
            if (s.records[i].job.texts)
                assert_int_equal(differences(&s.records[i]), 0);
        }
        assert_int_equal(done, s.accepted);
        test_free(s.records);
        ifd_sched_free(sched);
        ifd_engine_release(engine);
    }
    fake_delay_ns = 0;
    /* the control: there was something to lose, and submissions did run into the stop */
    assert_true(outstanding > 0);
    assert_true(refused > 0);
}

static void wait_done(struct record *r)
{
    for (unsigned i = 0; i < 20000 && !r->done; i++)
        usleep(100);
    assert_int_equal(r->done, 1);
}

static void overload_refuses_whole_jobs(void **state)
{
    (void)state;
    struct ifd_sched_options o = options_of(1);
    o.queue_texts = 10;
    struct ifd_sched *sched;
    inferd_error err;
    struct ifd_engine *engine = engine_of(&o);
    assert_ok(ifd_sched_create(&o, &sched, &err), err);
    fake_delay_ns = 100000000;
    uint32_t seed = 5;
    struct record *r = test_calloc(4, sizeof(*r));
    fill(&r[0], engine, 1, &seed);
    fill(&r[1], engine, 9, &seed);
    fill(&r[2], engine, 2, &seed);
    fill(&r[3], engine, 1, &seed);
    assert_ok(ifd_sched_submit(sched, &r[0].job, &err), err);
    usleep(20000); /* the worker has taken the first */
    assert_ok(ifd_sched_submit(sched, &r[1].job, &err), err);
    assert_fails(ifd_sched_submit(sched, &r[2].job, &err), INFERD_OVERLOADED, err,
                 "--max-queue 10");
    struct ifd_sched_stats stats;
    r[2].job.patient = true; /* it comes again, so it is not counted again */
    assert_fails(ifd_sched_submit(sched, &r[2].job, &err), INFERD_OVERLOADED, err,
                 "--max-queue 10");
    ifd_sched_get_stats(sched, &stats);
    assert_int_equal(stats.refused, 1);
    assert_ok(ifd_sched_submit(sched, &r[3].job, &err), err);
    fake_delay_ns = 0;
    ifd_sched_stop(sched);
    assert_int_equal(r[0].done + r[1].done + r[3].done, 3);
    assert_int_equal(r[2].done, 0);
    fill(&r[2], engine, 2, &seed);
    assert_fails(ifd_sched_submit(sched, &r[2].job, &err), INFERD_OVERLOADED, err, "stopping");
    test_free(r);
    ifd_sched_free(sched);
    ifd_engine_release(engine);
}

static void cancelled_and_expired_work_is_not_computed(void **state)
{
    (void)state;
    struct ifd_sched_options o = options_of(1);
    struct ifd_sched *sched;
    inferd_error err;
    struct ifd_engine *engine = engine_of(&o);
    assert_ok(ifd_sched_create(&o, &sched, &err), err);
    fake_delay_ns = 50000000;
    uint32_t seed = 6;
    struct record *r = test_calloc(4, sizeof(*r));
    for (unsigned i = 0; i < 4; i++)
        fill(&r[i], engine, 1, &seed);
    assert_ok(ifd_sched_submit(sched, &r[0].job, &err), err);
    usleep(10000);
    r[1].job.deadline_ns = ifd_clock_ns() + 1000000; /* long before the first batch ends */
    r[3].job.deadline_ns = ifd_clock_ns() + 60000000000u;
    uint64_t batches = fake_batches;
    assert_ok(ifd_sched_submit(sched, &r[1].job, &err), err);
    assert_ok(ifd_sched_submit(sched, &r[2].job, &err), err);
    ifd_sched_cancel(&r[2].job);
    assert_ok(ifd_sched_submit(sched, &r[3].job, &err), err);
    for (unsigned i = 0; i < 4; i++)
        wait_done(&r[i]);
    assert_int_equal(r[0].job.status, INFERD_OK);
    assert_int_equal(r[1].job.status, INFERD_DEADLINE);
    assert_int_equal(r[1].job.started_ns, 0);
    assert_int_equal(r[2].job.status, INFERD_CANCELLED);
    assert_int_equal(r[3].job.status, INFERD_OK);
    assert_int_equal(fake_batches - batches, 1); /* of the last three, one was computed */
    struct ifd_sched_stats stats;
    ifd_sched_get_stats(sched, &stats);
    assert_int_equal(stats.expired, 1);
    assert_int_equal(stats.cancelled, 1);
    fake_delay_ns = 0;
    test_free(r);
    ifd_sched_free(sched);
    ifd_engine_release(engine);
}

/* Two jobs 5 ms apart on one worker: how many batches, and how long the first waited. Before them,
 * `earlier` jobs one after the other, so that more are expected. */
static uint64_t batches_of_two(uint32_t wait_us, unsigned earlier, uint64_t *waited_ns)
{
    struct ifd_sched_options o = options_of(1);
    o.batch_wait_us = wait_us;
    struct ifd_sched *sched;
    inferd_error err;
    struct ifd_engine *engine = engine_of(&o);
    assert_ok(ifd_sched_create(&o, &sched, &err), err);
    uint32_t seed = 7;
    struct record *r = test_calloc(2, sizeof(*r));
    for (unsigned i = 0; i < earlier; i++) {
        fill(&r[0], engine, 8, &seed);
        for (uint32_t t = 0; t <= 8; t++)
            r[0].offsets[t] = 8 * t; /* 64 tokens: full, so it does not wait */
        assert_ok(ifd_sched_submit(sched, &r[0].job, &err), err);
        wait_done(&r[0]);
    }
    struct ifd_sched_stats before;
    ifd_sched_get_stats(sched, &before);
    fill(&r[0], engine, 1, &seed);
    fill(&r[1], engine, 1, &seed);
    assert_ok(ifd_sched_submit(sched, &r[0].job, &err), err);
    usleep(5000);
    assert_ok(ifd_sched_submit(sched, &r[1].job, &err), err);
    wait_done(&r[0]);
    wait_done(&r[1]);
    *waited_ns = r[0].job.started_ns - r[0].job.queued_ns;
    struct ifd_sched_stats stats;
    ifd_sched_get_stats(sched, &stats);
    test_free(r);
    ifd_sched_free(sched);
    ifd_engine_release(engine);
    return stats.batches - before.batches;
}

static void a_batch_waits_only_when_told(void **state)
{
    (void)state;
    uint64_t waited;
    assert_int_equal(batches_of_two(0, 50, &waited), 2);
    assert_true(waited < 100000000);
    assert_int_equal(batches_of_two(200000, 50, &waited), 1);
    assert_true(waited >= 190000000);
    /* and only when it can help: the first job of all knows of no others */
    assert_int_equal(batches_of_two(200000, 0, &waited), 2);
    assert_true(waited < 100000000);

    /* a full batch does not wait, and a stop ends the waiting */
    struct ifd_sched_options o = options_of(1);
    o.batch_wait_us = 1000000;
    struct ifd_sched *sched;
    inferd_error err;
    struct ifd_engine *engine = engine_of(&o);
    assert_ok(ifd_sched_create(&o, &sched, &err), err);
    uint32_t seed = 8;
    struct record *r = test_calloc(2, sizeof(*r));
    fill(&r[0], engine, 8, &seed);
    for (uint32_t i = 0; i <= 8; i++)
        r[0].offsets[i] = 8 * i; /* 64 tokens: full */
    fill(&r[1], engine, 1, &seed);
    uint64_t began = ifd_clock_ns();
    assert_ok(ifd_sched_submit(sched, &r[0].job, &err), err);
    wait_done(&r[0]);
    assert_ok(ifd_sched_submit(sched, &r[1].job, &err), err);
    ifd_sched_stop(sched);
    assert_true(ifd_clock_ns() - began < 900000000);
    assert_int_equal(r[1].done, 1);
    test_free(r);
    ifd_sched_free(sched);
    ifd_engine_release(engine);
}

static void idle_workers_share_one_large_job(void **state)
{
    (void)state;
    struct ifd_sched_options o = options_of(2);
    o.batch_tokens = 1000;
    o.batch_texts = 64;
    struct ifd_sched *sched;
    inferd_error err;
    struct ifd_engine *engine = engine_of(&o);
    assert_ok(ifd_sched_create(&o, &sched, &err), err);
    usleep(20000); /* both workers sleep */
    fake_delay_ns = 20000000;
    uint64_t batches = fake_batches;
    uint32_t seed = 9;
    struct record *r = test_calloc(1, sizeof(*r));
    fill(r, engine, 40, &seed);
    assert_true(r->offsets[40] > 300);
    assert_ok(ifd_sched_submit(sched, &r->job, &err), err);
    wait_done(r);
    assert_int_equal(fake_batches - batches, 2);
    assert_int_equal(differences(r), 0);
    fake_delay_ns = 0;
    test_free(r);
    ifd_sched_free(sched);
    ifd_engine_release(engine);
}

/* A large job runs on the only worker for 400 ms; how long does a small one that comes then take?
 */
static uint64_t small_beside_large_ns(bool background)
{
    struct ifd_sched_options o = options_of(1);
    o.batch_tokens = 1000;
    o.batch_texts = 64;
    struct ifd_sched *sched;
    inferd_error err;
    struct ifd_engine *engine = engine_of(&o);
    assert_ok(ifd_sched_create(&o, &sched, &err), err);
    uint32_t seed = 12;
    struct record *r = test_calloc(2, sizeof(*r));
    fill(&r[0], engine, background ? 2 : 40, &seed);
    fill(&r[1], engine, 1, &seed);
    r[0].job.background = background;
    fake_delay_ns = 400000000;
    assert_ok(ifd_sched_submit(sched, &r[0].job, &err), err);
    usleep(20000);
    fake_delay_ns = 0; /* of batches that begin from now on */
    assert_ok(ifd_sched_submit(sched, &r[1].job, &err), err);
    wait_done(&r[1]);
    uint64_t ns = r[1].job.finished_ns - r[1].job.queued_ns;
    bool inside = !r[0].done;
    wait_done(&r[0]);
    assert_int_equal(differences(&r[0]) + differences(&r[1]), 0);
    struct ifd_sched_stats stats;
    ifd_sched_get_stats(sched, &stats);
    assert_int_equal(stats.interruptions, inside);
    test_free(r);
    ifd_sched_free(sched);
    ifd_engine_release(engine);
    return ns;
}

static void small_jobs_go_between_the_steps_of_large_ones(void **state)
{
    (void)state;
    assert_true(small_beside_large_ns(false) < 250000000); /* one step of four, not all of them */
    assert_true(small_beside_large_ns(true) < 250000000);
    fake_deaf = true; /* positive control: without pauses it waits for the large one's end */
    uint64_t ns = small_beside_large_ns(false);
    fake_deaf = false;
    assert_true(ns > 300000000);
}

static void what_cannot_be_done_in_time_is_refused_at_once(void **state)
{
    (void)state;
    struct ifd_sched_options o = options_of(1);
    o.queue_wait_ns = 150000000;
    struct ifd_sched *sched;
    inferd_error err;
    struct ifd_engine *engine = engine_of(&o);
    assert_ok(ifd_sched_create(&o, &sched, &err), err);
    uint32_t seed = 13;
    struct record *r = test_calloc(20, sizeof(*r));
    fake_delay_ns = 20000000;
    for (unsigned i = 0; i < 3; i++) { /* learn the rate */
        fill(&r[i], engine, 8, &seed);
        assert_ok(ifd_sched_submit(sched, &r[i].job, &err), err);
        wait_done(&r[i]);
    }
    unsigned accepted = 0;
    inferd_status last = INFERD_OK;
    for (unsigned i = 3; i < 20; i++) {
        fill(&r[i], engine, 8, &seed);
        last = ifd_sched_submit(sched, &r[i].job, &err);
        accepted += last == INFERD_OK;
        if (last)
            break;
    }
    assert_int_equal(last, INFERD_OVERLOADED);
    assert_non_null(strstr(err.message, "--max-queue-wait 150 ms"));
    /* about 150 ms of batches of 20 ms, which under an emulator take longer */
    assert_true(accepted <= 14 && (accepted >= 3 || test_emulated()));
    struct record *late = &r[19];
    fill(late, engine, 1, &seed);
    late->job.deadline_ns = ifd_clock_ns() + 5000000;
    assert_fails(ifd_sched_submit(sched, &late->job, &err), INFERD_OVERLOADED, err,
                 "that the request allows");
    assert_true(late->job.retry_ns > 0);
    ifd_sched_stop(sched);
    fake_delay_ns = 0;
    test_free(r);
    ifd_sched_free(sched);
    ifd_engine_release(engine);
}

static void the_way_of_a_job_allocates_nothing(void **state)
{
    (void)state;
    struct ifd_sched_options o = options_of(2);
    struct ifd_sched *sched;
    inferd_error err;
    struct ifd_engine *engine = engine_of(&o);
    assert_ok(ifd_sched_create(&o, &sched, &err), err);
    uint32_t seed = 10;
    struct record *r = test_calloc(1, sizeof(*r));
    uint64_t calls = ifd_mem_calls();
    for (unsigned i = 0; i < 500; i++) {
        fill(r, engine, 1 + i % TEXTS_MAX, &seed);
        assert_ok(ifd_sched_submit(sched, &r->job, &err), err);
        wait_done(r);
    }
    assert_int_equal(ifd_mem_calls(), calls);
    void *control = ifd_alloc(1); /* the counter does count */
    assert_int_equal(ifd_mem_calls(), calls + 1);
    ifd_free(control);
    test_free(r);
    ifd_sched_free(sched);
    ifd_engine_release(engine);
}

static void unusable_jobs_and_options_are_refused(void **state)
{
    (void)state;
    inferd_error err;
    struct ifd_sched *sched;
    struct ifd_sched_options none = {0};
    assert_fails(ifd_sched_create(&none, &sched, &err), INFERD_INVALID_ARGUMENT, err, "at least 1");
    struct ifd_sched_options o = options_of(2), one = options_of(1);
    struct ifd_engine *engine = engine_of(&o), *small = engine_of(&one);
    assert_ok(ifd_sched_create(&o, &sched, &err), err);
    struct record *r = test_calloc(1, sizeof(*r));
    uint32_t seed = 11;
    fill(r, small, 1, &seed);
    assert_fails(ifd_sched_submit(sched, &r->job, &err), INFERD_INVALID_ARGUMENT, err,
                 "fewer workers");
    fill(r, engine, 1, &seed);
    r->offsets[1] = 65; /* batch_tokens is 64 */
    assert_fails(ifd_sched_submit(sched, &r->job, &err), INFERD_INVALID_ARGUMENT, err, "(64)");
    r->offsets[1] = 0;
    assert_fails(ifd_sched_submit(sched, &r->job, &err), INFERD_INVALID_ARGUMENT, err, "no tokens");
    r->job.texts = 0;
    assert_fails(ifd_sched_submit(sched, &r->job, &err), INFERD_INVALID_ARGUMENT, err,
                 "needs texts");
    test_free(r);
    ifd_sched_free(sched);
    ifd_engine_release(engine);
    ifd_engine_release(small);
}

/* Every allocation of creation fails once: a clean error, nothing leaked (the leak sanitizer sees).
 */
static void creation_survives_want_of_memory(void **state)
{
    (void)state;
    struct ifd_sched_options o = options_of(2);
    inferd_error err;
    unsigned failures = 0;
    for (uint64_t n = 0; n < 64; n++) {
        struct ifd_sched *sched = NULL;
        struct ifd_engine *engine = NULL;
        ifd_mem_fail_after(n, false);
        inferd_status a = ifd_engine_create(&fake_model, 2, 64, 8, &engine, &err);
        inferd_status b = ifd_sched_create(&o, &sched, &err);
        ifd_mem_fail_after(UINT64_MAX, false);
        assert_true(a == INFERD_OK || a == INFERD_NO_MEMORY);
        assert_true(b == INFERD_OK || b == INFERD_NO_MEMORY);
        failures += a != INFERD_OK || b != INFERD_OK;
        if (b == INFERD_OK)
            ifd_sched_free(sched);
        if (a == INFERD_OK)
            ifd_engine_release(engine);
    }
    assert_true(failures >= 10 && failures < 64);
    assert_int_equal(fake_model.references, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_equal_direct_computation),
        cmocka_unit_test(stop_under_load_loses_nothing),
        cmocka_unit_test(overload_refuses_whole_jobs),
        cmocka_unit_test(cancelled_and_expired_work_is_not_computed),
        cmocka_unit_test(a_batch_waits_only_when_told),
        cmocka_unit_test(a_lone_short_job_is_split_over_cores),
        cmocka_unit_test(idle_workers_share_one_large_job),
        cmocka_unit_test(small_jobs_go_between_the_steps_of_large_ones),
        cmocka_unit_test(what_cannot_be_done_in_time_is_refused_at_once),
        cmocka_unit_test(the_way_of_a_job_allocates_nothing),
        cmocka_unit_test(unusable_jobs_and_options_are_refused),
        cmocka_unit_test(creation_survives_want_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
