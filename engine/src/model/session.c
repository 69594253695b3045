/* SPDX-License-Identifier: Apache-2.0
 *
 * session.c - the public header's session: scratch memory for one thread at a time, and classifying
 * any number of texts in ragged batches.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/team.h"
#include "model/handle.h"
#include "model/options.h"

#define BATCH_TOKENS_DEFAULT 4096u
#define BATCH_TOKENS_MAX (1u << 22)
#define THREADS_MAX 1024u

struct inferd_session {
    inferd_model *model;   /* a reference */
    struct ifd_team *team; /* NULL: the caller alone */
    struct ifd_scratch *forward;
    struct ifd_tokenizer_scratch *tokenizer;
    size_t tokens_max, texts_max; /* of one batch */
    /* The batch being collected. */
    size_t texts;
    int32_t *ids;      /* [tokens_max + max_length]: a text is encoded behind the batch, and moved
                        * to the front of the next one if it does not fit */
    uint32_t *offsets; /* [texts_max + 1] */
    float *logits;     /* [texts_max][labels] */
};

static inferd_status allocate(inferd_session *s, uint32_t threads, inferd_error *err)
{
    const inferd_model *m = s->model;
    size_t logits;
    inferd_status st = INFERD_OK;
    if (threads > 1)
        st = ifd_team_create(threads, &s->team, err);
    if (!st)
        st = ifd_scratch_create(m->weights, s->tokens_max, s->texts_max, s->team, &s->forward, err);
    if (st)
        return st;
    s->tokenizer = ifd_tokenizer_scratch_create();
    s->ids = ifd_alloc_array(s->tokens_max + m->max_length, sizeof(*s->ids));
    s->offsets = ifd_zalloc_array(s->texts_max + 1, sizeof(*s->offsets));
    if (ifd_size_mul(s->texts_max, m->config.labels, &logits))
        s->logits = ifd_alloc_array(logits, sizeof(*s->logits));
    if (!s->tokenizer || !s->ids || !s->offsets || !s->logits)
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for a session of %zu tokens",
                        s->tokens_max);
    return INFERD_OK;
}

inferd_status inferd_session_open(inferd_model *model, const inferd_session_options *options,
                                  inferd_session **out, inferd_error *err)
{
    inferd_session_options o;
    if (!model || !out)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "model and out must not be NULL");
    inferd_status st = ifd_options_copy("inferd_session_options", options, &o, sizeof(o), err);
    if (st)
        return st;
    if (o.threads > THREADS_MAX)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "threads is %u; at most %u are allowed",
                        o.threads, THREADS_MAX);
    if (o.max_batch_tokens > BATCH_TOKENS_MAX)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "max_batch_tokens is %u; at most %u are allowed", o.max_batch_tokens,
                        BATCH_TOKENS_MAX);
    inferd_session *s = ifd_zalloc(sizeof(*s));
    if (!s)
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for a session");
    s->model = inferd_model_retain(model);
    s->tokens_max = o.max_batch_tokens ? o.max_batch_tokens : BATCH_TOKENS_DEFAULT;
    if (s->tokens_max < model->max_length)
        s->tokens_max = model->max_length;
    s->texts_max = s->tokens_max / 2; /* no text has less than [CLS] and [SEP] */
    if ((st = allocate(s, o.threads, err))) {
        inferd_session_close(s);
        return st;
    }
    *out = s;
    return INFERD_OK;
}

void inferd_session_close(inferd_session *s)
{
    if (!s)
        return;
    ifd_scratch_free(s->forward);
    ifd_team_free(s->team);
    ifd_tokenizer_scratch_free(s->tokenizer);
    ifd_free(s->ids);
    ifd_free(s->offsets);
    ifd_free(s->logits);
    inferd_model_release(s->model);
    ifd_free(s);
}

struct ifd_scratch *ifd_session_scratch(inferd_session *session)
{
    return session->forward;
}

/* Run the collected batch; its first text is text `first` of the call. */
static inferd_status run_batch(inferd_session *s, size_t first, inferd_result *results,
                               float *logits, inferd_error *err)
{
    size_t labels = s->model->config.labels, n = s->texts * labels;
    const struct ifd_ragged batch = {.texts = s->texts, .ids = s->ids, .offsets = s->offsets};
    if (s->texts == 0)
        return INFERD_OK;
    ifd_forward(s->forward, &batch, s->logits);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(s->logits[i]))
            return ifd_fail(err, INFERD_MODEL_INVALID,
                            "text %zu: its logits are not finite; the model's weights are so large "
                            "that fp32 overflows",
                            first + i / labels);
    for (size_t i = 0; i < s->texts; i++)
        ifd_model_result(s->model, s->logits + i * labels, &results[first + i]);
    if (logits)
        memcpy(logits + first * labels, s->logits, n * sizeof(*logits));
    s->texts = 0;
    return INFERD_OK;
}

/* Encode a text behind the batch, running the batch first if the text no longer fits. */
static inferd_status add_text(inferd_session *s, const inferd_text *text, size_t index,
                              inferd_result *results, float *logits, inferd_error *err)
{
    const inferd_model *m = s->model;
    size_t used = s->offsets[s->texts], count = 0;
    bool truncated = false;
    inferd_status st =
        ifd_tokenizer_encode(m->tokenizer, s->tokenizer, text->size > 0 ? text->data : "",
                             text->size, m->max_length, s->ids + used, &count, &truncated, err);
    if (st)
        return st;
    IFD_ASSERT(count > 0 && count <= m->max_length);
    results[index].tokens = (uint32_t)count;
    results[index].truncated = truncated;
    if (used + count > s->tokens_max || s->texts == s->texts_max) {
        if ((st = run_batch(s, index - s->texts, results, logits, err)))
            return st;
        memmove(s->ids, s->ids + used, count * sizeof(*s->ids));
        used = 0;
    }
    s->texts++;
    s->offsets[s->texts] = (uint32_t)(used + count);
    return INFERD_OK;
}

inferd_status inferd_classify(inferd_session *s, const inferd_text *texts, size_t count,
                              inferd_result *results, float *logits, inferd_error *err)
{
    inferd_error local = {INFERD_OK, ""};
    if (!err)
        err = &local;
    if (!s || (count > 0 && (!texts || !results)))
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "session, texts and results must not be NULL");
    for (size_t i = 0; i < count; i++)
        if (texts[i].size > 0 && !texts[i].data)
            return ifd_fail(err, INFERD_INVALID_ARGUMENT, "text %zu is NULL", i);
    s->texts = 0; /* a call that failed may have left some */
    for (size_t i = 0; i < count; i++) {
        inferd_status st = add_text(s, &texts[i], i, results, logits, err);
        if (st == INFERD_INVALID_UTF8 || st == INFERD_NO_MEMORY)
            return ifd_fail_prefix(err, "text %zu", i);
        if (st)
            return st;
    }
    return run_batch(s, count - s->texts, results, logits, err);
}
