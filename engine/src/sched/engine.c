/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/engine.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/pace.h"
#include "base/team.h"

/* A batch that is split over cores: one short request. Larger ones are shared out as batches of
 * their own, and past a few members the barriers eat what another core gives. */
#define ALONE_MEMBERS_MAX 4u
#define ALONE_TEXTS_MAX 8u
#define ALONE_TOKENS_MAX 128u

/* What one batch needs. */
struct slot {
    struct ifd_scratch *scratch;
    float *logits; /* [batch_texts][labels] */
};

/* Of a worker. */
enum { SLOT_BATCH, SLOT_URGENT, SLOTS };

struct ifd_engine {
    _Atomic uint32_t references;
    inferd_model *model;
    unsigned workers;
    size_t batch_tokens, batch_texts;
    uint32_t labels;
    char label[IFD_ENGINE_LABEL_SIZE];
    struct slot (*slots)[SLOTS]; /* [workers] */
    /* For a worker that is alone; belongs to whoever holds `alone_taken`. NULL with one worker. */
    struct ifd_team *team;
    struct ifd_scratch *alone;
    _Atomic bool alone_taken;
};

static void engine_free(struct ifd_engine *e)
{
    for (unsigned i = 0; e->slots && i < e->workers; i++) {
        for (unsigned k = 0; k < SLOTS; k++) {
            ifd_scratch_free(e->slots[i][k].scratch);
            ifd_free(e->slots[i][k].logits);
        }
    }
    ifd_free(e->slots);
    ifd_scratch_free(e->alone);
    ifd_team_free(e->team);
    inferd_model_release(e->model);
    ifd_free(e);
}

static inferd_status slot_init(struct slot *slot, const struct ifd_engine *e, inferd_error *err)
{
    inferd_status status = ifd_scratch_create(ifd_model_weights(e->model), e->batch_tokens,
                                              e->batch_texts, NULL, &slot->scratch, err);
    if (status)
        return status;
    size_t logits = 0;
    if (ifd_size_mul(e->batch_texts, e->labels, &logits))
        slot->logits = ifd_zalloc_array(logits, sizeof(float));
    return slot->logits ? INFERD_OK
                        : ifd_fail(err, INFERD_NO_MEMORY, "no memory for the logits of %zu texts",
                                   e->batch_texts);
}

inferd_status ifd_engine_create(inferd_model *model, unsigned workers, size_t batch_tokens,
                                size_t batch_texts, struct ifd_engine **out, inferd_error *err)
{
    inferd_status status = INFERD_OK;
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
    e->labels = ifd_model_weights(model)->labels;
    e->slots = ifd_zalloc_array(workers, sizeof(*e->slots));
    if (!e->slots)
        status = ifd_fail(err, INFERD_NO_MEMORY, "no memory for %u workers", workers);
    for (unsigned i = 0; !status && i < workers * SLOTS; i++)
        status = slot_init(&e->slots[i / SLOTS][i % SLOTS], e, err);
    const struct ifd_weights *w = ifd_model_weights(model);
    if (!status && workers > 1)
        status = ifd_team_create(workers < ALONE_MEMBERS_MAX ? workers : ALONE_MEMBERS_MAX,
                                 &e->team, err);
    if (!status && workers > 1)
        status = ifd_scratch_create(w, ALONE_TOKENS_MAX, ALONE_TEXTS_MAX, e->team, &e->alone, err);
    if (status)
        engine_free(e);
    else
        *out = e;
    return status;
}

void ifd_engine_set_label(struct ifd_engine *e, const char *label)
{
    snprintf(e->label, sizeof(e->label), "%s", label);
}

const char *ifd_engine_label(const struct ifd_engine *e)
{
    return e->label;
}

bool ifd_engine_is_sole(const struct ifd_engine *e)
{
    /* acquire: pairs with the release of whoever let go last */
    return atomic_load_explicit(&e->references, memory_order_acquire) == 1;
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

static const float *run(struct ifd_engine *e, unsigned worker, unsigned which,
                        const struct ifd_ragged *batch, ifd_pause_fn *pause, void *arg)
{
    IFD_ASSERT(worker < e->workers && batch->texts <= e->batch_texts &&
               batch->offsets[batch->texts] <= e->batch_tokens);
    struct slot *slot = &e->slots[worker][which];
    ifd_scratch_set_pause(slot->scratch, pause, arg);
    ifd_forward(slot->scratch, batch, slot->logits);
    return slot->logits;
}

const float *ifd_engine_run(struct ifd_engine *e, unsigned worker, const struct ifd_ragged *batch,
                            ifd_pause_fn *pause, void *arg)
{
    return run(e, worker, SLOT_BATCH, batch, pause, arg);
}

const float *ifd_engine_run_urgent(struct ifd_engine *e, unsigned worker,
                                   const struct ifd_ragged *batch)
{
    return run(e, worker, SLOT_URGENT, batch, NULL, NULL);
}

const float *ifd_engine_run_alone(struct ifd_engine *e, unsigned worker,
                                  const struct ifd_ragged *batch)
{
    /* acquire: what the last holder did to the scratch is over and seen */
    if (!e->alone || batch->texts > ALONE_TEXTS_MAX || batch->texts > e->batch_texts ||
        batch->offsets[batch->texts] > ALONE_TOKENS_MAX ||
        atomic_exchange_explicit(&e->alone_taken, true, memory_order_acquire))
        return run(e, worker, SLOT_BATCH, batch, NULL, NULL);
    float *logits = e->slots[worker][SLOT_BATCH].logits;
    ifd_forward(e->alone, batch, logits);
    atomic_store_explicit(&e->alone_taken, false, memory_order_release);
    return logits;
}

static void at_this_threads_pace(void *arg)
{
    (void)arg;
    ifd_pace();
}

/* One text as often as a batch holds it: what it touches of a scratch, no request has to touch
 * first.
 */
static inferd_status warm_batch(struct ifd_engine *e, const int32_t *ids, size_t count,
                                inferd_error *err)
{
    size_t texts = e->batch_tokens / count;
    texts = texts < e->batch_texts ? texts : e->batch_texts;
    int32_t *all = ifd_alloc_array(texts * count, sizeof(*all));
    uint32_t *offsets = ifd_alloc_array(texts + 1, sizeof(*offsets));
    inferd_status status = INFERD_OK;
    if (!all || !offsets) {
        status = ifd_fail(err, INFERD_NO_MEMORY, "no memory for the warm-up batch");
        goto out;
    }
    for (size_t t = 0; t < texts; t++) {
        memcpy(all + t * count, ids, count * sizeof(*ids));
        offsets[t] = (uint32_t)(t * count);
    }
    offsets[texts] = (uint32_t)(texts * count);
    const struct ifd_ragged batch = {.texts = texts, .ids = all, .offsets = offsets};
    for (unsigned i = 0; i < e->workers * SLOTS; i++) {
        const float *logits = run(e, i / SLOTS, i % SLOTS, &batch, at_this_threads_pace, NULL);
        for (uint32_t c = 0; c < e->labels; c++)
            if (!isfinite(logits[c])) {
                status = ifd_fail(err, INFERD_MODEL_INVALID,
                                  "the warm-up text gave a logit that is not finite for label %u: "
                                  "the weights are damaged; fetch the model again",
                                  c);
                goto out;
            }
    }
out:
    ifd_free(all);
    ifd_free(offsets);
    return status;
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
    return warm_batch(e, ids, count < CAPACITY ? count : CAPACITY, err);
}
