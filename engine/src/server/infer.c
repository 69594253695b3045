/* SPDX-License-Identifier: Apache-2.0 */
#include "server/infer.h"

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

static void count_texts(struct ifd_io *io, const struct ifd_request *r)
{
    uint64_t truncated = 0;
    for (uint32_t i = 0; i < r->decode.texts.count; i++)
        truncated += r->results[i].truncated;
    ifd_io_count(&io->counters.inputs, r->decode.texts.count);
    ifd_io_count(&io->counters.truncated, truncated);
}

inferd_status ifd_infer_submit(struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    if (!io->engine)
        return ifd_fail(err, INFERD_LOADING, "the model is still loading; retry in a second");
    inferd_status status = ifd_request_reserve_texts(r, r->decode.texts.count, err);
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
    r->job.deadline_ns = ifd_clock_ns() + io->server->config.request_timeout_ms * (uint64_t)1000000;
    r->job.done = ifd_io_job_done;
    r->submitted = true; /* before it is: the job may be back at once */
    io->outstanding++;
    status = ifd_sched_submit(io->server->sched, &r->job, err);
    if (status) {
        r->submitted = false;
        io->outstanding--;
        ifd_engine_release(r->job.engine);
        r->job.engine = NULL;
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
}
