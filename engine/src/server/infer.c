/* SPDX-License-Identifier: Apache-2.0 */
#include "server/infer.h"

#include <string.h>

#include "base/clock.h"
#include "server/route.h"

inferd_status ifd_infer_tokenize(struct ifd_io *io, const inferd_model *model,
                                 struct ifd_request *r, inferd_result *results, inferd_error *err)
{
    const struct ifd_texts *texts = &r->decode.texts;
    const uint32_t max_length = ifd_model_max_length(model);
    inferd_status status = INFERD_OK;
    size_t total = 0;
    r->offsets[0] = 0;
    for (uint32_t i = 0; i < texts->count; i++) {
        size_t count = 0;
        bool cut = false;
        inferd_text text = ifd_texts_get(texts, i);
        status = ifd_request_reserve_ids(r, total + max_length, err);
        if (status)
            return status;
        status = ifd_tokenizer_encode(ifd_model_tokenizer(model), io->tokenizer, text.data,
                                      text.size, max_length, r->ids + total, &count, &cut, err);
        if (status) {
            (void)ifd_fail_prefix(err, "inputs[%u]", i);
            return status;
        }
        results[i].tokens = (uint32_t)count;
        results[i].truncated = cut;
        total += count;
        r->offsets[i + 1] = (uint32_t)total;
    }
    return INFERD_OK;
}

/* How long the answer may take: what the request says, up to --request-timeout. */
static inferd_status find_timeout(const struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    const uint32_t most = io->server->config.request_timeout_ms;
    const char *header = ifd_http_header(&r->http, "x-request-timeout-ms");
    uint32_t ms = r->decode.timeout_ms, said = 0;
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
    for (uint32_t i = 0; i < r->decode.texts.count; i++)
        ifd_metrics_count_input(&io->metrics, r->results[i].tokens, r->results[i].truncated);
}

inferd_status ifd_infer_submit(struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    if (!io->engine)
        return ifd_fail(err, INFERD_LOADING, "the model is still loading; retry in a second");
    r->parsed_ns = ifd_clock_ns();
    inferd_status status = find_timeout(io, r, err);
    if (!status) {
        uint64_t retry_ns = 0;
        status = ifd_sched_precheck(io->server->sched, r->timeout_ms * (uint64_t)1000000, &retry_ns,
                                    err);
        r->retry_after_s = status ? (unsigned)(retry_ns / 1000000000u) + 1 : 0;
    }
    if (!status)
        status = ifd_request_reserve_texts(r, r->decode.texts.count, err);
    if (!status)
        status = ifd_infer_tokenize(io, ifd_engine_model(io->engine), r, r->results, err);
    if (status)
        return status;
    count_texts(io, r);
    r->job.engine = ifd_engine_retain(io->engine);
    r->job.texts = r->decode.texts.count;
    r->job.ids = r->ids;
    r->job.offsets = r->offsets;
    r->job.results = r->results;
    r->job.logits = NULL;
    r->job.background = false;
    r->job.deadline_ns = ifd_clock_ns() + r->timeout_ms * (uint64_t)1000000;
    r->job.done = ifd_io_job_done;
    r->submitted = true; /* before it is: the job may be back at once */
    io->outstanding++;
    status = ifd_sched_submit(io->server->sched, &r->job, err);
    if (status) {
        r->submitted = false;
        io->outstanding--;
        ifd_engine_release(r->job.engine);
        r->job.engine = NULL;
        r->retry_after_s = (unsigned)(r->job.retry_ns / 1000000000u) + 1;
    }
    return status;
}

static const char *label_name(const void *model, uint32_t label)
{
    return inferd_model_label(model, label);
}

void ifd_infer_encode(const struct ifd_request *r, struct ifd_buf *body)
{
    const struct ifd_answer answer = {.label = label_name,
                                      .model = ifd_engine_model(r->job.engine),
                                      .results = r->results,
                                      .count = r->job.texts};
    r->route->codec->encode(&answer, body);
    for (uint32_t i = 0; i < answer.count; i++)
        ifd_metrics_count_result(&r->io->metrics, label_name(answer.model, r->results[i].label),
                                 r->results[i].confidence);
}
