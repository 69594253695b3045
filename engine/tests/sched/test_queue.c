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

static void take(struct fixture *f, size_t texts_max, size_t tokens_max, size_t want)
{
    f->pick.slice = f->slices;
    f->dropped = NULL;
    ifd_queue_take(&f->queue, 1000, texts_max, tokens_max, want, &f->pick, &f->dropped);
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
            assert_ptr_equal(f.queue.tail, &a);
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
    assert_null(f.queue.head);
    assert_null(f.queue.tail);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(admission_is_all_or_nothing),
        cmocka_unit_test(texts_leave_in_order_over_batches),
        cmocka_unit_test(a_share_is_a_soft_bound),
        cmocka_unit_test(engines_do_not_share_a_batch),
        cmocka_unit_test(expired_and_cancelled_jobs_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
