/* SPDX-License-Identifier: Apache-2.0 */
#include "server/infer.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "model/pooling.h"
#include "server/route.h"

static inferd_text text_at(const void *texts, uint32_t i)
{
    return ifd_texts_get(texts, i);
}

static inferd_text second_text_at(const void *texts, uint32_t i)
{
    return ifd_texts_second(texts, i);
}

inferd_status ifd_infer_tokenize(struct ifd_io *io, const inferd_model *model,
                                 struct ifd_request *r, inferd_error *err)
{
    const bool pairs = r->decode.texts.has_pairs;
    const inferd_status st = pairs ? ifd_model_check_pairs(model, err) : INFERD_OK;
    if (st)
        return st;
    const struct ifd_encoding_rules rules = {.tokenizer = ifd_model_tokenizer(model),
                                             .max_length = ifd_model_max_length(model),
                                             .sequences_max = io->server->config.max_inputs,
                                             .truncation = r->truncation,
                                             .second = pairs ? second_text_at : NULL};
    return ifd_encoding_fill(&r->encoding, &rules, io->tokenizer, text_at, &r->decode.texts,
                             r->decode.texts.count, err);
}

/* How long the answer may take: what the request says, up to --request-timeout. */
static inferd_status find_timeout(const struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    const uint32_t most = io->server->config.request_timeout_ms;
    const struct ifd_request *said_by = r->parent ? r->parent : r;
    const char *header = ifd_http_header(&said_by->http, "x-request-timeout-ms");
    uint32_t ms = r->decode.options.timeout_ms, said = 0;
    if (header && !ifd_codec_timeout(header, strlen(header), &said))
        return ifd_fail(err, INFERD_INVALID_REQUEST,
                        "X-Request-Timeout-Ms must be a whole number of milliseconds, 1 to "
                        "86400000");
    if (said && (ms == 0 || said < ms))
        ms = said;
    r->timeout_ms = ms && ms < most ? ms : most;
    return INFERD_OK;
}

static void count_texts(struct ifd_io *io, const struct ifd_request *r)
{
    const struct ifd_encoding *e = &r->encoding;
    if (!r->parent)
        ifd_counter_add(&io->metrics.requests[e->texts > 1], 1);
    for (uint32_t i = 0; i < e->texts; i++)
        ifd_metrics_count_input(&io->metrics, e->results[i].tokens, e->results[i].truncated,
                                e->first[i + 1] - e->first[i] > 1);
}

/* What the answer takes beyond a label and its confidence. */
static inferd_status reserve_logits(struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    const uint32_t labels = ifd_engine_labels(io->engine);
    r->job.logits = NULL;
    if (!ifd_codec_wants_logits(r->route->codec, &r->decode) &&
        !ifd_encoding_has_windows(&r->encoding))
        return INFERD_OK;
    inferd_status status = ifd_request_reserve_logits(r, labels, err);
    if (!status)
        status = ifd_ranking_reserve(&io->ranking, labels, err);
    if (!status)
        r->job.logits = r->logits;
    return status;
}

/* Is there a model, and the one that is asked for? */
static inferd_status check_model(const struct ifd_io *io, const struct ifd_request *r,
                                 inferd_error *err)
{
    if (!io->engine)
        return ifd_fail(err, INFERD_LOADING, "the model is still loading; retry in a second");
    if (r->decode.model[0] && strcmp(r->decode.model, ifd_server_model_name(io->server)) != 0)
        return ifd_fail(err, INFERD_NOT_FOUND, "there is no model \"%s\" here; this is \"%s\"",
                        r->decode.model, ifd_server_model_name(io->server));
    return INFERD_OK;
}

/* Before work is spent on it. */
static inferd_status precheck(struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    uint64_t retry_ns = 0;
    const inferd_status status =
        ifd_sched_precheck(io->server->sched, r->timeout_ms * (uint64_t)1000000, &retry_ns, err);
    r->retry_after_s = status ? (unsigned)(retry_ns / 1000000000u) + 1 : 0;
    return status;
}

inferd_status ifd_infer_prepare(struct ifd_io *io, struct ifd_request *r, bool patient,
                                inferd_error *err)
{
    inferd_status status = check_model(io, r, err);
    if (status)
        return status;
    r->parsed_ns = ifd_clock_ns();
    status = find_timeout(io, r, err);
    if (!status && !patient)
        status = precheck(io, r, err);
    if (status)
        return status;
    r->truncation = r->decode.options.truncation == IFD_TRUNCATION_UNSAID
                        ? (uint8_t)io->server->config.long_text
                        : r->decode.options.truncation;
    status = ifd_infer_tokenize(io, ifd_engine_model(io->engine), r, err);
    if (!status)
        status = reserve_logits(io, r, err);
    if (status)
        return status;
    count_texts(io, r);
    r->job.engine = ifd_engine_retain(io->engine);
    r->job.texts = r->encoding.sequences;
    r->job.ids = r->encoding.ids;
    r->job.offsets = r->encoding.offsets;
    r->job.second = ifd_encoding_second(&r->encoding);
    r->job.results = r->encoding.results;
    r->job.background = false;
    r->job.done = ifd_io_job_done;
    r->prepared_ns = ifd_clock_ns();
    return INFERD_OK;
}

inferd_status ifd_infer_enqueue(struct ifd_io *io, struct ifd_request *r, uint64_t now_ns,
                                inferd_error *err)
{
    r->job.deadline_ns = now_ns + r->timeout_ms * (uint64_t)1000000;
    r->submitted = true; /* before it is: the job may be back at once */
    io->outstanding++;
    const inferd_status status = ifd_sched_submit(io->server->sched, &r->job, err);
    if (status) {
        r->submitted = false;
        io->outstanding--;
        r->retry_after_s = (unsigned)(r->job.retry_ns / 1000000000u) + 1;
    }
    return status;
}

inferd_status ifd_infer_submit(struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    inferd_status status = ifd_infer_prepare(io, r, false, err);
    if (!status)
        status = ifd_infer_enqueue(io, r, r->prepared_ns, err);
    if (status) { /* an answer without a model */
        ifd_engine_release(r->job.engine);
        r->job.engine = NULL;
    }
    return status;
}

static const char *label_name(const void *model, uint32_t label)
{
    return inferd_model_label(model, label);
}

static void scores_of(const void *model, const float *logits, float *scores)
{
    inferd_scores(model, logits, scores);
}

/* Texts that were cut are always told of. */
void ifd_infer_tell_truncation(struct ifd_request *r)
{
    uint32_t cut = 0;
    for (uint32_t i = 0; i < r->encoding.texts; i++)
        cut += r->encoding.results[i].truncated;
    if (cut)
        snprintf(r->headers, sizeof(r->headers), "X-Truncated-Inputs: %u\r\n", cut);
}

static uint64_t between(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? to_ns - from_ns : 0;
}

void ifd_infer_encode(struct ifd_request *r, struct ifd_buf *body)
{
    struct ifd_encoding *e = &r->encoding;
    const inferd_model *model = ifd_engine_model(r->job.engine);
    const bool windows = ifd_encoding_has_windows(e);
    if (windows) {
        ifd_model_pool(model, e, r->truncation, r->logits);
        r->job.texts = e->texts; /* one result each, from here on */
    }
    struct ifd_answer_head head = {.headers = r->headers, .capacity = sizeof(r->headers)};
    const struct ifd_answer answer = {
        .label = label_name,
        .scores = scores_of,
        .model = model,
        .request = &r->decode,
        .results = e->results,
        .logits = ifd_codec_wants_logits(r->route->codec, &r->decode) ? r->logits : NULL,
        .windows = windows ? e->first : NULL,
        .count = e->texts,
        .labels = ifd_engine_labels(r->job.engine),
        .ranking = &r->io->ranking,
        .model_name = ifd_server_model_name(r->io->server),
        .request_id = ifd_ident_id(&r->ident, &r->io->ids),
        .unix_s = (ifd_io_date(r->io), r->io->date_second),
        .head = &head,
        .times = {.parse_ns = between(r->began_ns, r->parsed_ns),
                  .tokenize_ns = between(r->parsed_ns, r->prepared_ns),
                  .queue_ns = between(r->prepared_ns, r->job.started_ns),
                  .infer_ns = between(r->job.started_ns, r->job.finished_ns)}};
    ifd_infer_tell_truncation(r);
    r->route->codec->encode(&answer, body);
    r->media_type = head.media_type ? head.media_type : r->route->codec->media_type;
    for (uint32_t i = 0; i < answer.count; i++)
        ifd_metrics_count_result(&r->io->metrics, label_name(answer.model, e->results[i].label),
                                 e->results[i].confidence);
}
