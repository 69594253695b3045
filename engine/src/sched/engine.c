/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/engine.h"

#include <math.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "base/team.h"

/* A batch that is split over cores: one short request. Larger ones are shared out as batches of
 * their own, and past a few members the barriers eat what another core gives. */
#define ALONE_MEMBERS_MAX 4u
#define ALONE_TEXTS_MAX 8u
#define ALONE_TOKENS_MAX 128u

struct slot {
    struct ifd_scratch *scratch;
    float *logits; /* [batch_texts][labels] */
};

struct ifd_engine {
    _Atomic uint32_t references;
    inferd_model *model;
    unsigned workers;
    size_t batch_tokens, batch_texts;
    uint32_t labels;
    struct slot *slots; /* [workers] */
    /* For a worker that is alone; belongs to whoever holds `alone_taken`. NULL with one worker. */
    struct ifd_team *team;
    struct ifd_scratch *alone;
    _Atomic bool alone_taken;
};

static void engine_free(struct ifd_engine *e)
{
    for (unsigned i = 0; e->slots && i < e->workers; i++) {
        ifd_scratch_free(e->slots[i].scratch);
        ifd_free(e->slots[i].logits);
    }
    ifd_free(e->slots);
    ifd_scratch_free(e->alone);
    ifd_team_free(e->team);
    inferd_model_release(e->model);
    ifd_free(e);
}

inferd_status ifd_engine_create(inferd_model *model, unsigned workers, size_t batch_tokens,
                                size_t batch_texts, struct ifd_engine **out, inferd_error *err)
{
    inferd_status status = INFERD_OK;
    const struct ifd_weights *w = ifd_model_weights(model);
    struct ifd_engine *e = ifd_zalloc(sizeof(*e));
    if (!e)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for the engine");
    atomic_init(&e->references, 1);
    e->model = inferd_model_retain(model);
    e->workers = workers;
    e->batch_tokens = batch_tokens;
    if (e->batch_tokens < ifd_model_max_length(model))
        e->batch_tokens = ifd_model_max_length(model);
    e->batch_texts = batch_texts;
    e->labels = w->labels;
    size_t logits = 0;
    e->slots = ifd_zalloc_array(workers, sizeof(*e->slots));
    if (!e->slots || !ifd_size_mul(batch_texts, e->labels, &logits)) {
        status = ifd_fail(err, INFERD_NO_MEMORY, "no memory for %u workers", workers);
        goto out;
    }
    for (unsigned i = 0; i < workers; i++) {
        status =
            ifd_scratch_create(w, e->batch_tokens, batch_texts, NULL, &e->slots[i].scratch, err);
        if (status)
            goto out;
        e->slots[i].logits = ifd_zalloc_array(logits, sizeof(float));
        if (!e->slots[i].logits) {
            status = ifd_fail(err, INFERD_NO_MEMORY, "no memory for the logits of %zu texts",
                              batch_texts);
            goto out;
        }
    }
    if (workers > 1)
        status = ifd_team_create(workers < ALONE_MEMBERS_MAX ? workers : ALONE_MEMBERS_MAX,
                                 &e->team, err);
    if (!status && workers > 1)
        status = ifd_scratch_create(w, ALONE_TOKENS_MAX, ALONE_TEXTS_MAX, e->team, &e->alone, err);
out:
    if (status)
        engine_free(e);
    else
        *out = e;
    return status;
}

struct ifd_engine *ifd_engine_retain(struct ifd_engine *e)
{
    /* relaxed: whoever retains already holds a reference */
    atomic_fetch_add_explicit(&e->references, 1, memory_order_relaxed);
    return e;
}

void ifd_engine_release(struct ifd_engine *e)
{
    /* acquire-release: the last one out sees what all others did with it */
    if (e && atomic_fetch_sub_explicit(&e->references, 1, memory_order_acq_rel) == 1)
        engine_free(e);
}

const inferd_model *ifd_engine_model(const struct ifd_engine *e)
{
    return e->model;
}

uint32_t ifd_engine_labels(const struct ifd_engine *e)
{
    return e->labels;
}

unsigned ifd_engine_workers(const struct ifd_engine *e)
{
    return e->workers;
}

size_t ifd_engine_batch_tokens(const struct ifd_engine *e)
{
    return e->batch_tokens;
}

size_t ifd_engine_batch_texts(const struct ifd_engine *e)
{
    return e->batch_texts;
}

const float *ifd_engine_run(struct ifd_engine *e, unsigned worker, const struct ifd_ragged *batch)
{
    IFD_ASSERT(worker < e->workers && batch->texts <= e->batch_texts &&
               batch->offsets[batch->texts] <= e->batch_tokens);
    struct slot *slot = &e->slots[worker];
    ifd_forward(slot->scratch, batch, slot->logits);
    return slot->logits;
}

const float *ifd_engine_run_alone(struct ifd_engine *e, unsigned worker,
                                  const struct ifd_ragged *batch)
{
    /* acquire: what the last holder did to the scratch is over and seen */
    if (!e->alone || batch->texts > ALONE_TEXTS_MAX || batch->texts > e->batch_texts ||
        batch->offsets[batch->texts] > ALONE_TOKENS_MAX ||
        atomic_exchange_explicit(&e->alone_taken, true, memory_order_acquire))
        return ifd_engine_run(e, worker, batch);
    float *logits = e->slots[worker].logits;
    ifd_forward(e->alone, batch, logits);
    atomic_store_explicit(&e->alone_taken, false, memory_order_release);
    return logits;
}

inferd_status ifd_engine_warm(struct ifd_engine *e, inferd_error *err)
{
    static const char text[] = "A short text that warms the server up.";
    enum { CAPACITY = 64 };
    int32_t ids[CAPACITY];
    size_t count = 0;
    inferd_status status = inferd_tokenize(e->model, (inferd_text){text, sizeof(text) - 1}, ids,
                                           CAPACITY, &count, NULL, err);
    if (status)
        return status;
    if (count > CAPACITY)
        count = CAPACITY;
    const uint32_t offsets[2] = {0, (uint32_t)count};
    const struct ifd_ragged batch = {.texts = 1, .ids = ids, .offsets = offsets};
    for (unsigned i = 0; i < e->workers; i++) {
        const float *logits = ifd_engine_run(e, i, &batch);
        for (uint32_t c = 0; c < e->labels; c++)
            if (!isfinite(logits[c]))
                return ifd_fail(err, INFERD_MODEL_INVALID,
                                "the warm-up text gave a logit that is not finite for label %u: "
                                "the weights are damaged; fetch the model again",
                                c);
    }
    return INFERD_OK;
}
