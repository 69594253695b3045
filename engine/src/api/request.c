/* SPDX-License-Identifier: Apache-2.0
 *
 * request.c - the public header's request: texts or a body in, token ids to the scheduler, results
 * or an answer's bytes out. A request keeps its buffers, so one that is used again allocates
 * nothing in steady state.
 */
#include <string.h>

#include "api/batcher.h"
#include "base/clock.h"
#include "base/mem.h"
#include "codec/codec.h"
#include "model/model.h"
#include "model/options.h"

#define TEXT_BYTES_MAX ((size_t)1 << 30)    /* of one request, decoded */
#define ANSWER_BYTES_MAX ((size_t)64 << 20) /* of 65,536 results with the longest label names */
#define TIMEOUT_MS_MAX 86400000u

struct inferd_request {
    struct ifd_job job; /* first: `done` casts back */
    inferd_batcher *batcher;
    struct ifd_tokenizer_scratch *scratch;
    struct ifd_decode decode;
    struct ifd_buf answer;
    inferd_done_fn *done;
    void *arg;
    uint32_t said_ms; /* the body's own time-out; 0 = it has none */
    int32_t *ids;     /* [ids_capacity] */
    size_t ids_capacity;
    uint32_t *offsets;      /* [texts_capacity + 1] */
    inferd_result *results; /* [texts_capacity] */
    size_t texts_capacity;
    bool keep_logits;
    float *logits; /* [logits_capacity] */
    size_t logits_capacity;
    uint64_t parse_ns, tokenize_ns, serialize_ns;
};

inferd_status inferd_request_open(inferd_batcher *batcher, inferd_request **out, inferd_error *err)
{
    if (!batcher || !out)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "batcher and out must not be NULL");
    inferd_request *r = ifd_zalloc(sizeof(*r));
    struct ifd_tokenizer_scratch *scratch = ifd_tokenizer_scratch_create();
    if (!r || !scratch) {
        ifd_free(r);
        ifd_tokenizer_scratch_free(scratch);
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for a request");
    }
    r->batcher = batcher;
    r->scratch = scratch;
    r->job.engine = ifd_engine_retain(batcher->engine);
    ifd_decode_init(&r->decode, TEXT_BYTES_MAX, batcher->max_inputs);
    ifd_buf_init(&r->answer, ANSWER_BYTES_MAX);
    *out = r;
    return INFERD_OK;
}

void inferd_request_close(inferd_request *r)
{
    if (!r)
        return;
    ifd_engine_release(r->job.engine);
    ifd_decode_fini(&r->decode);
    ifd_buf_fini(&r->answer);
    ifd_tokenizer_scratch_free(r->scratch);
    ifd_free(r->ids);
    ifd_free(r->offsets);
    ifd_free(r->results);
    ifd_free(r->logits);
    ifd_free(r);
}

static inferd_status no_memory(inferd_error *err, size_t texts)
{
    return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for a request of %zu texts", texts);
}

static void *grown(void *array, size_t count, size_t size)
{
    size_t bytes;
    return ifd_size_mul(count, size, &bytes) ? ifd_realloc(array, bytes) : NULL;
}

static inferd_status reserve_texts(inferd_request *r, size_t texts, inferd_error *err)
{
    if (texts <= r->texts_capacity)
        return INFERD_OK;
    uint32_t *offsets = grown(r->offsets, texts + 1, sizeof(*offsets));
    if (offsets)
        r->offsets = offsets;
    inferd_result *results = grown(r->results, texts, sizeof(*results));
    if (results)
        r->results = results;
    if (!offsets || !results)
        return no_memory(err, texts);
    r->texts_capacity = texts;
    return INFERD_OK;
}

static inferd_status reserve_ids(inferd_request *r, size_t ids, size_t texts, inferd_error *err)
{
    if (ids <= r->ids_capacity)
        return INFERD_OK;
    size_t capacity = r->ids_capacity ? r->ids_capacity : 512;
    while (capacity < ids)
        capacity += capacity / 2;
    int32_t *now = grown(r->ids, capacity, sizeof(*now));
    if (!now)
        return no_memory(err, texts);
    r->ids = now;
    r->ids_capacity = capacity;
    return INFERD_OK;
}

static inferd_status reserve_logits(inferd_request *r, size_t texts, inferd_error *err)
{
    size_t count;
    r->job.logits = NULL;
    if (!r->keep_logits)
        return INFERD_OK;
    if (!ifd_size_mul(texts, ifd_engine_labels(r->job.engine), &count))
        return no_memory(err, texts);
    if (count > r->logits_capacity) {
        float *now = grown(r->logits, count, sizeof(*now));
        if (!now)
            return no_memory(err, texts);
        r->logits = now;
        r->logits_capacity = count;
    }
    r->job.logits = r->logits;
    return INFERD_OK;
}

/* A text of the caller's array, or of the decoded body when there is none. */
static inferd_text text_at(const inferd_request *r, const inferd_text *texts, uint32_t i)
{
    if (!texts)
        return ifd_texts_get(&r->decode.texts, i);
    return texts[i].size > 0 ? texts[i] : (inferd_text){"", 0};
}

static inferd_status tokenize(inferd_request *r, const inferd_text *texts, uint32_t count,
                              inferd_error *err)
{
    const inferd_model *model = ifd_engine_model(r->job.engine);
    const uint32_t max_length = ifd_model_max_length(model);
    const uint64_t began = ifd_clock_ns();
    size_t total = 0;
    r->job.texts = 0; /* not submittable until all is well */
    r->serialize_ns = 0;
    inferd_status st = reserve_texts(r, count, err);
    if (!st)
        st = reserve_logits(r, count, err);
    for (uint32_t i = 0; i < count && !st; i++) {
        const inferd_text text = text_at(r, texts, i);
        size_t n = 0;
        bool cut = false;
        if ((st = reserve_ids(r, total + max_length, count, err)))
            break;
        st = ifd_tokenizer_encode(ifd_model_tokenizer(model), r->scratch, text.data, text.size,
                                  max_length, r->ids + total, &n, &cut, err);
        if (st)
            return ifd_fail_prefix(err, "inputs[%u]", i);
        r->offsets[i] = (uint32_t)total;
        r->results[i].tokens = (uint32_t)n;
        r->results[i].truncated = cut;
        total += n;
    }
    if (st)
        return st;
    r->offsets[count] = (uint32_t)total;
    r->job.texts = count;
    r->tokenize_ns = ifd_clock_ns() - began;
    return INFERD_OK;
}

inferd_status inferd_request_set_texts(inferd_request *r, const inferd_text *texts, size_t count,
                                       inferd_error *err)
{
    inferd_error local = {INFERD_OK, ""};
    if (!err)
        err = &local;
    if (!r || !texts || count == 0)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "a request needs at least one text");
    if (count > r->batcher->max_inputs)
        return ifd_fail(err, INFERD_TOO_MANY_INPUTS,
                        "the request has %zu texts, more than max_inputs %u; split it", count,
                        r->batcher->max_inputs);
    for (size_t i = 0; i < count; i++)
        if (texts[i].size > 0 && !texts[i].data)
            return ifd_fail(err, INFERD_INVALID_ARGUMENT, "text %zu is NULL", i);
    r->said_ms = 0;
    r->parse_ns = 0;
    return tokenize(r, texts, (uint32_t)count, err);
}

inferd_status inferd_request_set_body(inferd_request *r, const char *body, size_t size,
                                      inferd_error *err)
{
    inferd_error local = {INFERD_OK, ""};
    if (!err)
        err = &local;
    if (!r || (size > 0 && !body))
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "request and body must not be NULL");
    const uint64_t began = ifd_clock_ns();
    ifd_decode_begin(&r->decode, &ifd_codec_native);
    inferd_status st = INFERD_OK;
    if (size > 0)
        st = ifd_decode_feed(&r->decode, body, size, err);
    if (!st)
        st = ifd_decode_finish(&r->decode, err);
    if (st)
        return st;
    r->said_ms = r->decode.timeout_ms;
    r->parse_ns = ifd_clock_ns() - began;
    return tokenize(r, NULL, r->decode.texts.count, err);
}

void inferd_request_keep_logits(inferd_request *r, int keep)
{
    r->keep_logits = keep != 0;
}

static void on_done(struct ifd_job *job)
{
    inferd_request *r = (inferd_request *)job;
    r->done(r->arg, job->status); /* the request is its submitter's again */
}

inferd_status inferd_request_submit(inferd_request *r, uint32_t timeout_ms, inferd_done_fn *done,
                                    void *arg, inferd_error *err)
{
    if (!r || !done)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "request and done must not be NULL");
    if (r->job.texts == 0)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "the request has no texts; set them first");
    if (timeout_ms > TIMEOUT_MS_MAX)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "timeout_ms is %u; at most %u are allowed",
                        timeout_ms, TIMEOUT_MS_MAX);
    uint32_t ms = timeout_ms;
    if (r->said_ms && (ms == 0 || r->said_ms < ms))
        ms = r->said_ms;
    r->done = done;
    r->arg = arg;
    r->job.ids = r->ids;
    r->job.offsets = r->offsets;
    r->job.results = r->results;
    r->job.deadline_ns = ms ? ifd_clock_ns() + ms * UINT64_C(1000000) : 0;
    r->job.done = on_done;
    return ifd_sched_submit(r->batcher->sched, &r->job, err);
}

void inferd_request_cancel(inferd_request *r)
{
    ifd_sched_cancel(&r->job);
}

uint32_t inferd_request_retry_ms(const inferd_request *r)
{
    const uint64_t ms = r->job.retry_ns / 1000000u + 1;
    return ms < TIMEOUT_MS_MAX ? (uint32_t)ms : TIMEOUT_MS_MAX;
}

const inferd_result *inferd_request_results(const inferd_request *r, size_t *count)
{
    *count = r->job.texts;
    return r->results;
}

static const char *label_name(const void *model, uint32_t label)
{
    return inferd_model_label(model, label);
}

const char *inferd_request_answer(inferd_request *r, size_t *size)
{
    const struct ifd_answer answer = {.label = label_name,
                                      .model = ifd_engine_model(r->job.engine),
                                      .results = r->results,
                                      .count = r->job.texts};
    const uint64_t began = ifd_clock_ns();
    ifd_buf_reset(&r->answer);
    ifd_codec_native.encode(&answer, &r->answer);
    r->serialize_ns = ifd_clock_ns() - began;
    if (r->answer.failed)
        return NULL;
    *size = r->answer.size;
    return r->answer.data;
}

const float *inferd_request_logits(const inferd_request *r)
{
    return r->job.logits;
}

void inferd_request_get_times(const inferd_request *r, inferd_request_times *out)
{
    const struct ifd_job *job = &r->job;
    const uint64_t left_queue = job->started_ns ? job->started_ns : job->finished_ns;
    const inferd_request_times full = {
        .struct_size = out->struct_size,
        .parse_ns = r->parse_ns,
        .tokenize_ns = r->tokenize_ns,
        .queue_ns = left_queue - job->queued_ns,
        .infer_ns = job->finished_ns - left_queue,
        .serialize_ns = r->serialize_ns,
    };
    ifd_figures_copy(out, &full, sizeof(full));
}
