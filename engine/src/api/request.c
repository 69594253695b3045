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
#include "model/options.h"
#include "model/pooling.h"

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
    struct ifd_encoding encoding;
    uint64_t began_ns, parsed_ns, tokenized_ns; /* of the body, of submitting */
    uint8_t truncation;                         /* enum ifd_truncation in force */
    float *logits;                              /* [logits_capacity] */
    size_t logits_capacity;
    struct ifd_ranking ranking;
    bool keep_logits, kept; /* from now on; of what is set */
    uint64_t serialize_ns;
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
    ifd_encoding_fini(&r->encoding);
    ifd_ranking_fini(&r->ranking);
    ifd_free(r->logits);
    ifd_free(r);
}

static inferd_text text_of_array(const void *texts, uint32_t i)
{
    const inferd_text text = ((const inferd_text *)texts)[i];
    return text.size > 0 ? text : (inferd_text){"", 0};
}

static inferd_text text_of_body(const void *texts, uint32_t i)
{
    return ifd_texts_get(texts, i);
}

static inferd_status reserve_logits(inferd_request *r, inferd_error *err)
{
    const uint32_t labels = ifd_engine_labels(r->job.engine);
    const size_t count = (size_t)r->encoding.sequences * labels;
    r->job.logits = NULL;
    r->kept = r->keep_logits;
    if (!r->kept && !ifd_codec_wants_logits(&ifd_codec_native, &r->decode) &&
        !ifd_encoding_has_windows(&r->encoding))
        return INFERD_OK;
    inferd_status st = ifd_ranking_reserve(&r->ranking, labels, err);
    if (st)
        return st;
    if (count > r->logits_capacity) {
        float *logits = ifd_alloc_array(count, sizeof(*logits));
        if (!logits)
            return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for %zu logits", count);
        ifd_free(r->logits);
        r->logits = logits;
        r->logits_capacity = count;
    }
    r->job.logits = r->logits;
    return INFERD_OK;
}

static inferd_status tokenize(inferd_request *r, ifd_text_at *at, const void *texts, uint32_t count,
                              inferd_error *err)
{
    const inferd_model *model = ifd_engine_model(r->job.engine);
    const uint8_t said = r->decode.options.truncation;
    r->truncation = said == IFD_TRUNCATION_UNSAID ? IFD_TRUNCATION_RIGHT : said;
    const struct ifd_encoding_rules rules = {.tokenizer = ifd_model_tokenizer(model),
                                             .max_length = ifd_model_max_length(model),
                                             .sequences_max = r->batcher->max_inputs,
                                             .truncation = r->truncation};
    r->job.texts = 0; /* not submittable until all is well */
    inferd_status st = ifd_encoding_fill(&r->encoding, &rules, r->scratch, at, texts, count, err);
    if (!st)
        st = reserve_logits(r, err);
    if (!st)
        r->job.texts = r->encoding.sequences;
    r->tokenized_ns = ifd_clock_ns();
    r->serialize_ns = 0;
    return st;
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
    ifd_decode_begin(&r->decode, &ifd_codec_native); /* what the last body asked for is gone */
    r->began_ns = r->parsed_ns = ifd_clock_ns();
    return tokenize(r, text_of_array, texts, (uint32_t)count, err);
}

inferd_status inferd_request_set_body(inferd_request *r, const char *body, size_t size,
                                      inferd_error *err)
{
    inferd_error local = {INFERD_OK, ""};
    if (!err)
        err = &local;
    if (!r || (size > 0 && !body))
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "request and body must not be NULL");
    r->began_ns = ifd_clock_ns();
    ifd_decode_begin(&r->decode, &ifd_codec_native);
    inferd_status st = INFERD_OK;
    if (size > 0)
        st = ifd_decode_feed(&r->decode, body, size, err);
    if (!st)
        st = ifd_decode_finish(&r->decode, err);
    if (st)
        return st;
    r->parsed_ns = ifd_clock_ns();
    return tokenize(r, text_of_body, &r->decode.texts, r->decode.texts.count, err);
}

void inferd_request_keep_logits(inferd_request *r, int keep)
{
    r->keep_logits = keep != 0;
}

static void on_done(struct ifd_job *job)
{
    inferd_request *r = (inferd_request *)job;
    if (job->status == INFERD_OK && ifd_encoding_has_windows(&r->encoding))
        ifd_model_pool(ifd_engine_model(job->engine), &r->encoding, r->truncation, r->logits);
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
    const uint32_t said_ms = r->decode.options.timeout_ms;
    if (said_ms && (ms == 0 || said_ms < ms))
        ms = said_ms;
    r->done = done;
    r->arg = arg;
    r->job.ids = r->encoding.ids;
    r->job.offsets = r->encoding.offsets;
    r->job.results = r->encoding.results;
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
    *count = r->encoding.texts;
    return r->encoding.results;
}

static const char *label_name(const void *model, uint32_t label)
{
    return inferd_model_label(model, label);
}

static void scores_of(const void *model, const float *logits, float *scores)
{
    inferd_scores(model, logits, scores);
}

void inferd_request_get_times(const inferd_request *r, inferd_request_times *out)
{
    const struct ifd_job *job = &r->job;
    const uint64_t left_queue = job->started_ns ? job->started_ns : job->finished_ns;
    const inferd_request_times full = {
        .struct_size = out->struct_size,
        .parse_ns = r->parsed_ns - r->began_ns,
        .tokenize_ns = r->tokenized_ns - r->parsed_ns,
        .queue_ns = left_queue - job->queued_ns,
        .infer_ns = job->finished_ns - left_queue,
        .serialize_ns = r->serialize_ns,
    };
    ifd_figures_copy(out, &full, sizeof(full));
}

const char *inferd_request_answer(inferd_request *r, size_t *size)
{
    const struct ifd_encoding *e = &r->encoding;
    const struct ifd_job *job = &r->job;
    inferd_request_times times = {.struct_size = sizeof(times)};
    inferd_request_get_times(r, &times);
    const struct ifd_answer answer = {
        .label = label_name,
        .scores = scores_of,
        .model = ifd_engine_model(job->engine),
        .request = &r->decode,
        .results = e->results,
        .logits = ifd_codec_wants_logits(&ifd_codec_native, &r->decode) ? r->logits : NULL,
        .windows = ifd_encoding_has_windows(e) ? e->first : NULL,
        .count = e->texts,
        .labels = ifd_engine_labels(job->engine),
        .ranking = &r->ranking,
        .times = {.parse_ns = times.parse_ns,
                  .tokenize_ns = times.tokenize_ns,
                  .queue_ns = times.queue_ns,
                  .infer_ns = times.infer_ns}};
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
    return r->kept ? r->job.logits : NULL;
}
