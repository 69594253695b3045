/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_model.h - the model room as the scheduler sees it, replaced by arithmetic that a test can
 * check and slow down: logit c of a text is a hash of its ids and c. Include once per test.
 */
#ifndef IFD_TESTS_FAKE_MODEL_H
#define IFD_TESTS_FAKE_MODEL_H

#include <stdatomic.h>
#include <time.h>

#include "base/mem.h"
#include "model/forward.h"
#include "model/model.h"

#define FAKE_LABELS 3u
#define FAKE_MAX_LENGTH 32u

struct inferd_model {
    struct ifd_weights weights;
    _Atomic int references;
};
struct ifd_scratch {
    size_t tokens_max, texts_max;
    bool team;         /* splits its batches over cores */
    _Atomic bool busy; /* two threads in one scratch would be seen */
    ifd_pause_fn *pause;
    void *pause_arg;
};

#define FAKE_STEPS 4u
static _Atomic uint64_t fake_delay_ns; /* per batch, in FAKE_STEPS steps */
static _Atomic bool fake_deaf;         /* positive control: no pause between the steps */
static _Atomic bool fake_mixes_up;     /* positive control: text i gets the logits of text 0 */
static _Atomic uint64_t fake_batches;
static _Atomic uint64_t fake_batches_split; /* of them by a team */
static _Atomic size_t fake_texts_most;      /* of any batch */

static struct inferd_model fake_model = {.weights = {.labels = FAKE_LABELS}, .references = 1};

static inline void fake_logits(const int32_t *ids, size_t n, float *logits)
{
    for (uint32_t c = 0; c < FAKE_LABELS; c++) {
        uint32_t h = 2166136261u + c;
        for (size_t i = 0; i < n; i++)
            h = (h ^ (uint32_t)ids[i]) * 16777619u;
        logits[c] = (float)(h >> 8) / 16777216.0f;
    }
}

inferd_model *inferd_model_retain(inferd_model *model)
{
    model->references++;
    return model;
}

void inferd_model_release(inferd_model *model)
{
    if (model)
        model->references--;
}

inferd_status inferd_tokenize(const inferd_model *model, inferd_text text, int32_t *ids,
                              size_t capacity, size_t *count, int *truncated, inferd_error *err)
{
    (void)model;
    (void)truncated;
    (void)err;
    *count = text.size < capacity ? text.size : capacity;
    for (size_t i = 0; i < *count; i++)
        ids[i] = text.data[i];
    return INFERD_OK;
}

const struct ifd_weights *ifd_model_weights(const inferd_model *model)
{
    return &model->weights;
}

uint32_t ifd_model_max_length(const inferd_model *model)
{
    (void)model;
    return FAKE_MAX_LENGTH;
}

void ifd_model_result(const inferd_model *model, const float *logits, inferd_result *out)
{
    out->label = 0;
    for (uint32_t c = 1; c < model->weights.labels; c++)
        if (logits[c] > logits[out->label])
            out->label = c;
    out->confidence = logits[out->label];
}

inferd_status ifd_scratch_create(const struct ifd_weights *w, size_t tokens_max, size_t texts_max,
                                 struct ifd_team *team, struct ifd_scratch **out, inferd_error *err)
{
    (void)w;
    (void)err;
    struct ifd_scratch *s = ifd_zalloc(sizeof(*s));
    if (!s)
        return INFERD_NO_MEMORY;
    s->tokens_max = tokens_max;
    s->texts_max = texts_max;
    s->team = team != NULL;
    *out = s;
    return INFERD_OK;
}

void ifd_scratch_free(struct ifd_scratch *s)
{
    ifd_free(s);
}

void ifd_scratch_set_pause(struct ifd_scratch *s, ifd_pause_fn *pause, void *arg)
{
    s->pause = pause;
    s->pause_arg = arg;
}

void ifd_forward(struct ifd_scratch *s, const struct ifd_ragged *batch, float *logits)
{
    IFD_ASSERT(!atomic_exchange(&s->busy, true));
    IFD_ASSERT(batch->texts >= 1 && batch->texts <= s->texts_max);
    IFD_ASSERT(batch->offsets[batch->texts] <= s->tokens_max);
    fake_batches++;
    fake_batches_split += s->team;
    if (batch->texts > fake_texts_most)
        fake_texts_most = batch->texts;
    const uint64_t ns = fake_delay_ns / FAKE_STEPS;
    for (unsigned step = 0; step < FAKE_STEPS; step++) {
        if (ns) {
            struct timespec t = {.tv_sec = (time_t)(ns / 1000000000u),
                                 .tv_nsec = (long)(ns % 1000000000u)};
            nanosleep(&t, NULL);
        }
        if (s->pause && !fake_deaf)
            s->pause(s->pause_arg);
    }
    for (size_t i = 0; i < batch->texts; i++) {
        size_t from = fake_mixes_up ? 0 : i;
        fake_logits(batch->ids + batch->offsets[from],
                    batch->offsets[from + 1] - batch->offsets[from], logits + i * FAKE_LABELS);
    }
    atomic_store(&s->busy, false);
}

#endif
