/* SPDX-License-Identifier: Apache-2.0
 *
 * job_record.h - a job with all memory that it needs, random texts for it, and whether its results
 * are those of a direct computation. Include once per test, after fake_model.h.
 */
#ifndef IFD_TESTS_JOB_RECORD_H
#define IFD_TESTS_JOB_RECORD_H

#include "sched/sched.h"
#include "test.h"

#define IDS_MAX 1024u
#define TEXTS_MAX 40u

struct record {
    struct ifd_job job;
    int32_t ids[IDS_MAX];
    uint32_t offsets[TEXTS_MAX + 1];
    inferd_result results[TEXTS_MAX];
    float logits[TEXTS_MAX * FAKE_LABELS];
    _Atomic int done;
};

static inline void on_done(struct ifd_job *job)
{
    struct record *r = (struct record *)job;
    r->done++;
}

static inline uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static inline void fill(struct record *r, struct ifd_engine *engine, uint32_t texts, uint32_t *seed)
{
    memset(r, 0, sizeof(*r));
    r->job = (struct ifd_job){.engine = engine,
                              .texts = texts,
                              .ids = r->ids,
                              .offsets = r->offsets,
                              .results = r->results,
                              .logits = r->logits,
                              .done = on_done};
    uint32_t at = 0;
    for (uint32_t i = 0; i < texts; i++) {
        uint32_t n = 1 + next_random(seed) % 24;
        for (uint32_t k = 0; k < n; k++)
            r->ids[at++] = (int32_t)(next_random(seed) % 1000);
        r->offsets[i + 1] = at;
    }
}

/* Texts of a finished job that differ from a direct computation. */
static inline unsigned differences(const struct record *r)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < r->job.texts; i++) {
        float logits[FAKE_LABELS];
        inferd_result result;
        fake_logits(r->ids + r->offsets[i], r->offsets[i + 1] - r->offsets[i], logits);
        ifd_model_result(&fake_model, logits, &result);
        count += memcmp(logits, r->logits + i * FAKE_LABELS, sizeof(logits)) != 0 ||
                 result.label != r->results[i].label ||
                 result.confidence != r->results[i].confidence;
    }
    return count;
}

static inline struct ifd_sched_options options_of(unsigned workers)
{
    return (struct ifd_sched_options){.workers = workers,
                                      .batch_tokens = 64,
                                      .batch_texts = 8,
                                      .queue_texts = 100000,
                                      .queue_tokens = 1000000};
}

static inline struct ifd_engine *engine_of(const struct ifd_sched_options *o)
{
    struct ifd_engine *engine;
    inferd_error err;
    assert_ok(
        ifd_engine_create(&fake_model, o->workers, o->batch_tokens, o->batch_texts, &engine, &err),
        err);
    assert_ok(ifd_engine_warm(engine, &err), err);
    return engine;
}

/* One short job at a time is split over the idle workers' cores; one worker has nobody to ask. */
static inline void a_lone_short_job_is_split_over_cores(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct ifd_sched_options o = options_of(workers);
        struct ifd_sched *sched;
        inferd_error err;
        static struct record r;
        uint32_t seed = 5;
        struct ifd_engine *engine = engine_of(&o);
        assert_ok(ifd_sched_create(&o, &sched, &err), err);
        usleep(20000); /* all workers idle */
        uint64_t split = fake_batches_split, all = fake_batches;
        for (unsigned i = 0; i < 20; i++) {
            fill(&r, engine, 1, &seed);
            assert_ok(ifd_sched_submit(sched, &r.job, &err), err);
            while (!r.done)
                usleep(100);
            assert_int_equal(differences(&r), 0);
            usleep(1000);
        }
        assert_int_equal(fake_batches - all, 20);
        if (workers == 1)
            assert_int_equal(fake_batches_split, split);
        else
            assert_true(fake_batches_split - split >= 10); /* a worker may be late to bed */
        ifd_sched_free(sched);
        ifd_engine_release(engine);
    }
}

#endif
