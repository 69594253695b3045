/* SPDX-License-Identifier: Apache-2.0
 *
 * The bookkeeping of the queue, without threads: admission, order, batches, dropped jobs.
 */
#include "test.h"

#include "sched/queue.h"

#define TEXTS 8u

struct fixture {
    struct ifd_queue queue;
    struct ifd_slice slices[64];
    struct ifd_pick pick;
    struct ifd_job *dropped;
};

/* the queue only compares engines */
static struct ifd_engine *const engine_a = (struct ifd_engine *)0x10;
static struct ifd_engine *const engine_b = (struct ifd_engine *)0x20;
/* 8 texts of 4 tokens each */
static const uint32_t fours[TEXTS + 1] = {0, 4, 8, 12, 16, 20, 24, 28, 32};

static struct ifd_job job_of(uint32_t texts)
{
    struct ifd_job j = {.engine = engine_a, .texts = texts, .offsets = fours};
    atomic_init(&j.remaining, texts);
    return j;
}

/* 8 texts of 40 tokens: more than a turn, so bulk */
static const uint32_t forties[TEXTS + 1] = {0, 40, 80, 120, 160, 200, 240, 280, 320};

static struct ifd_job bulk_job(void)
{
    struct ifd_job j = {.engine = engine_a, .texts = TEXTS, .offsets = forties};
    atomic_init(&j.remaining, TEXTS);
    return j;
}

static void take(struct fixture *f, size_t texts_max, size_t tokens_max, size_t want)
{
    f->pick.slice = f->slices;
    f->dropped = NULL;
    const struct ifd_batch_bounds bounds = {texts_max, tokens_max, want};
    ifd_queue_take(&f->queue, 1000, &bounds, &f->pick, &f->dropped);
}

static void admission_is_all_or_nothing(void **state)
{
    (void)state;
    inferd_error err;
    struct fixture f;
    /* texts: 7 and 8 fit into 8, 9 does not, and nothing of it stays */
    for (uint32_t second = 3; second <= 5; second++) {
        struct ifd_job a = job_of(4), b = job_of(second);
        ifd_queue_init(&f.queue, 8, 1000);
        assert_ok(ifd_queue_push(&f.queue, &a, &err), err);
        if (second <= 4) {
            assert_ok(ifd_queue_push(&f.queue, &b, &err), err);
            assert_int_equal(f.queue.texts, 4 + second);
        } else {
            assert_fails(ifd_queue_push(&f.queue, &b, &err), INFERD_OVERLOADED, err,
                         "--max-queue 8");
            assert_int_equal(f.queue.texts, 4);
            assert_int_equal(f.queue.tokens, 16);
            assert_ptr_equal(f.queue.line[IFD_SMALL].tail, &a);
        }
    }
    /* tokens: 32 wait; the bound at 31, 32, 33 */
    for (size_t bound = 31; bound <= 33; bound++) {
        struct ifd_job a = job_of(4), b = job_of(4);
        ifd_queue_init(&f.queue, 1000, bound);
        assert_ok(ifd_queue_push(&f.queue, &a, &err), err);
        if (bound >= 32)
            assert_ok(ifd_queue_push(&f.queue, &b, &err), err);
        else
            assert_fails(ifd_queue_push(&f.queue, &b, &err), INFERD_OVERLOADED, err,
                         "--max-queue-tokens 31");
    }
}

static void texts_leave_in_order_over_batches(void **state)
{
    (void)state;
    inferd_error err;
    struct fixture f;
    struct ifd_job a = job_of(3), b = job_of(4);
    ifd_queue_init(&f.queue, 100, 1000);
    assert_ok(ifd_queue_push(&f.queue, &a, &err), err);
    assert_ok(ifd_queue_push(&f.queue, &b, &err), err);

    take(&f, 5, 1000, 1000); /* bounded by texts */
    assert_int_equal(f.pick.slices, 2);
    assert_int_equal(f.pick.texts, 5);
    assert_int_equal(f.pick.tokens, 20);
    assert_ptr_equal(f.slices[0].job, &a);
    assert_int_equal(f.slices[0].count, 3);
    assert_ptr_equal(f.slices[1].job, &b);
    assert_int_equal(f.slices[1].first, 0);
    assert_int_equal(f.slices[1].count, 2);
    assert_int_equal(f.queue.texts, 2);
    assert_int_equal(f.queue.tokens, 8);
    assert_int_equal(a.started_ns, 1000);

    take(&f, 5, 7, 1000); /* bounded by tokens: a second text of 4 would make 8 */
    assert_int_equal(f.pick.texts, 1);
    assert_int_equal(f.slices[0].first, 2);
    take(&f, 5, 8, 1000);
    assert_int_equal(f.pick.texts, 1);
    assert_int_equal(f.slices[0].first, 3);
    assert_true(ifd_queue_is_empty(&f.queue));
    assert_null(f.queue.line[IFD_SMALL].tail);
    assert_int_equal(f.queue.texts + f.queue.tokens, 0);
    take(&f, 5, 8, 1000);
    assert_null(f.pick.engine);
    assert_int_equal(f.pick.texts, 0);
}

static void a_share_is_a_soft_bound(void **state)
{
    (void)state;
    inferd_error err;
    struct fixture f;
    struct ifd_job a = job_of(8);
    ifd_queue_init(&f.queue, 100, 1000);
    assert_ok(ifd_queue_push(&f.queue, &a, &err), err);
    take(&f, 64, 1000, 1);
    assert_int_equal(f.pick.texts, 1); /* at least one text, whatever is wanted */
    take(&f, 64, 1000, 9);
    assert_int_equal(f.pick.texts, 3); /* 8 < 9, so the third is taken too */
    take(&f, 64, 1000, 12);
    assert_int_equal(f.pick.texts, 3);
    take(&f, 64, 1000, 1000);
    assert_int_equal(f.pick.texts, 1);
}

static void engines_do_not_share_a_batch(void **state)
{
    (void)state;
    inferd_error err;
    struct fixture f;
    struct ifd_job a = job_of(2), b = job_of(2), c = job_of(1);
    b.engine = engine_b;
    ifd_queue_init(&f.queue, 100, 1000);
    assert_ok(ifd_queue_push(&f.queue, &a, &err), err);
    assert_ok(ifd_queue_push(&f.queue, &b, &err), err);
    assert_ok(ifd_queue_push(&f.queue, &c, &err), err);
    take(&f, 64, 1000, 1000);
    assert_ptr_equal(f.pick.engine, engine_a);
    assert_int_equal(f.pick.texts, 2);
    take(&f, 64, 1000, 1000);
    assert_ptr_equal(f.pick.engine, engine_b);
    assert_int_equal(f.pick.texts, 2);
    take(&f, 64, 1000, 1000);
    assert_ptr_equal(f.pick.engine, engine_a);
    assert_int_equal(f.pick.texts, 1);
}

static void expired_and_cancelled_jobs_are_not_taken(void **state)
{
    (void)state;
    inferd_error err;
    struct fixture f;
    struct ifd_job expired = job_of(2), cancelled = job_of(3), alive = job_of(1), begun = job_of(4);
    expired.deadline_ns = 1000; /* take() runs at 1000 */
    alive.deadline_ns = 1001;
    ifd_queue_init(&f.queue, 100, 1000);
    assert_ok(ifd_queue_push(&f.queue, &begun, &err), err);
    take(&f, 1, 1000, 1000);
    assert_int_equal(f.pick.texts, 1);
    assert_ok(ifd_queue_push(&f.queue, &expired, &err), err);
    assert_ok(ifd_queue_push(&f.queue, &cancelled, &err), err);
    assert_ok(ifd_queue_push(&f.queue, &alive, &err), err);
    atomic_store(&cancelled.cancelled, true);
    atomic_store(&begun.cancelled, true);

    take(&f, 64, 1000, 1000);
    assert_int_equal(f.pick.slices, 1);
    assert_ptr_equal(f.slices[0].job, &alive);
    assert_int_equal(f.queue.texts + f.queue.tokens, 0);
    /* both that had no text running are handed back; `begun` waits for its running one */
    assert_ptr_equal(f.dropped, &cancelled);
    assert_ptr_equal(f.dropped->next, &expired);
    assert_null(f.dropped->next->next);
    assert_int_equal(cancelled.status, INFERD_CANCELLED);
    assert_int_equal(expired.status, INFERD_DEADLINE);
    assert_int_equal(begun.status, INFERD_CANCELLED);
    assert_int_equal(atomic_load(&begun.remaining), 1);
}

static void a_job_is_small_bulk_or_background_by_its_tokens(void **state)
{
    (void)state;
    static const uint32_t edge[] = {0, 1, IFD_TURN_TOKENS}, over[] = {0, 1, IFD_TURN_TOKENS + 1};
    static const uint32_t one[] = {0, 512};
    struct ifd_job job = {.texts = 2, .offsets = edge};
    assert_int_equal(ifd_queue_class(&job), IFD_SMALL);
    job.offsets = over;
    assert_int_equal(ifd_queue_class(&job), IFD_BULK);
    job.background = true;
    assert_int_equal(ifd_queue_class(&job), IFD_BACKGROUND);
    job = (struct ifd_job){.texts = 1, .offsets = one}; /* cannot be divided */
    assert_int_equal(ifd_queue_class(&job), IFD_SMALL);
}

static void small_jobs_do_not_wait_for_the_texts_of_large_ones(void **state)
{
    (void)state;
    inferd_error err;
    struct fixture f;
    struct ifd_job large = bulk_job(), small = job_of(2);
    ifd_queue_init(&f.queue, 100, 10000);
    assert_ok(ifd_queue_push(&f.queue, &large, &err), err);
    assert_ok(ifd_queue_push(&f.queue, &small, &err), err);
    take(&f, 64, 1000, 1000);
    assert_int_equal(f.pick.class, IFD_SMALL); /* it came later, and shares its batch with nobody */
    assert_int_equal(f.pick.slices, 1);
    assert_ptr_equal(f.slices[0].job, &small);
    take(&f, 64, 1000, 1000);
    assert_int_equal(f.pick.class, IFD_BULK);
    assert_int_equal(f.pick.texts, 8);
}

/* While both wait, each class gets half of the tokens: counted over 400 batches of an endless
 * supply of both. */
static void classes_share_tokens_evenly(void **state)
{
    (void)state;
    inferd_error err;
    struct fixture f;
    struct ifd_job large[4], small[40];
    size_t got[IFD_CLASSES] = {0};
    size_t next_large = 0, next_small = 0;
    ifd_queue_init(&f.queue, 1000000, 10000000);
    for (unsigned i = 0; i < 4; i++)
        large[i] = bulk_job();
    for (unsigned i = 0; i < 40; i++)
        small[i] = job_of(2);
    for (unsigned batch = 0; batch < 400; batch++) {
        while (f.queue.line[IFD_BULK].texts < 16) {
            large[next_large % 4] = bulk_job();
            assert_ok(ifd_queue_push(&f.queue, &large[next_large++ % 4], &err), err);
        }
        while (f.queue.line[IFD_SMALL].texts < 40) {
            small[next_small % 40] = job_of(2);
            assert_ok(ifd_queue_push(&f.queue, &small[next_small++ % 40], &err), err);
        }
        take(&f, 64, 96, 1000);
        got[f.pick.class] += f.pick.tokens;
    }
    const double share = (double)got[IFD_SMALL] / (double)(got[IFD_SMALL] + got[IFD_BULK]);
    assert_true(share > 0.45 && share < 0.55);
}

static void large_jobs_take_turns(void **state)
{
    (void)state;
    inferd_error err;
    struct fixture f;
    struct ifd_job a = bulk_job(), b = bulk_job();
    ifd_queue_init(&f.queue, 100, 10000);
    assert_ok(ifd_queue_push(&f.queue, &a, &err), err);
    assert_ok(ifd_queue_push(&f.queue, &b, &err), err);
    struct ifd_job *const order[] = {&a, &b, &a, &b};
    for (unsigned i = 0; i < 4; i++) {
        take(&f, 64, 1000, 160); /* four of its eight texts */
        assert_int_equal(f.pick.slices, 1);
        assert_ptr_equal(f.slices[0].job, order[i]);
        assert_int_equal(f.slices[0].first, i < 2 ? 0 : 4);
        assert_int_equal(f.slices[0].count, 4);
    }
    assert_true(ifd_queue_is_empty(&f.queue));
}

static void background_waits_for_all_others(void **state)
{
    (void)state;
    inferd_error err;
    struct fixture f;
    struct ifd_job shadow = job_of(2), large = bulk_job(), small = job_of(1);
    shadow.background = true;
    ifd_queue_init(&f.queue, 9, 10000); /* it does not count against what users may queue */
    assert_ok(ifd_queue_push(&f.queue, &shadow, &err), err);
    assert_ok(ifd_queue_push(&f.queue, &large, &err), err);
    assert_ok(ifd_queue_push(&f.queue, &small, &err), err);
    assert_int_equal(f.queue.texts, 9);
    const enum ifd_class order[] = {IFD_SMALL, IFD_BULK, IFD_BACKGROUND};
    for (unsigned i = 0; i < 3; i++) {
        take(&f, 64, 1000, 1000);
        assert_int_equal(f.pick.class, order[i]);
    }
    assert_true(ifd_queue_is_empty(&f.queue));
}

static void small_jobs_interrupt_until_they_had_their_half(void **state)
{
    (void)state;
    inferd_error err;
    struct fixture f;
    struct ifd_job large = bulk_job(), small[64];
    const struct ifd_batch_bounds bounds = {8, 32, 32};
    size_t inside = 0;
    ifd_queue_init(&f.queue, 1000, 10000);
    assert_ok(ifd_queue_push(&f.queue, &large, &err), err);
    take(&f, 64, 1000, 1000);
    assert_int_equal(f.pick.tokens, 320);                      /* a large batch begins */
    assert_false(ifd_queue_may_interrupt(&f.queue, IFD_BULK)); /* nobody waits */
    for (unsigned i = 0; i < 64; i++) {
        small[i] = job_of(8);
        assert_ok(ifd_queue_push(&f.queue, &small[i], &err), err);
    }
    assert_false(ifd_queue_may_interrupt(&f.queue, IFD_SMALL));
    while (ifd_queue_may_interrupt(&f.queue, IFD_BULK)) {
        ifd_queue_take_small(&f.queue, 1000, &bounds, &f.pick, &f.dropped);
        assert_int_equal(f.pick.class, IFD_SMALL);
        inside += f.pick.tokens;
    }
    assert_true(inside >= 320 && inside <= 320 + 32); /* then the large one goes on */
    assert_true(f.queue.line[IFD_SMALL].texts > 0);
    assert_true(ifd_queue_may_interrupt(&f.queue, IFD_BACKGROUND)); /* which has no half */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_small_bulk_or_background_by_its_tokens),
        cmocka_unit_test(small_jobs_do_not_wait_for_the_texts_of_large_ones),
        cmocka_unit_test(classes_share_tokens_evenly),
        cmocka_unit_test(large_jobs_take_turns),
        cmocka_unit_test(background_waits_for_all_others),
        cmocka_unit_test(small_jobs_interrupt_until_they_had_their_half),
        cmocka_unit_test(admission_is_all_or_nothing),
        cmocka_unit_test(texts_leave_in_order_over_batches),
        cmocka_unit_test(a_share_is_a_soft_bound),
        cmocka_unit_test(engines_do_not_share_a_batch),
        cmocka_unit_test(expired_and_cancelled_jobs_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
