/* SPDX-License-Identifier: Apache-2.0
 *
 * batcher.c - the public header's batcher: options, compute threads, figures. Requests are in
 * request.c.
 */
#include "api/batcher.h"

#include <string.h>

#include "base/cgroup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "model/options.h"
#include "sched/batch_stats.h"

/* Zero is the default; anything else must be in its range. */
static inferd_status settle(inferd_batcher_options *o, inferd_error *err)
{
    const struct {
        const char *name;
        uint32_t *value, fallback, least, most;
    } rows[] = {
        {"threads", &o->threads, ifd_cpu_budget(), 1, 1024},
        {"max_batch_tokens", &o->max_batch_tokens, 256, 3, 1u << 20},
        {"max_batch_texts", &o->max_batch_texts, 64, 1, 65536},
        {"batch_wait_us", &o->batch_wait_us, 0, 0, 1000000},
        {"max_queue_texts", &o->max_queue_texts, 1024, 1, 1000000},
        {"max_queue_tokens", &o->max_queue_tokens, 131072, 3, 1u << 30},
        {"max_queue_wait_ms", &o->max_queue_wait_ms, 0, 0, 86400000},
        {"max_inputs", &o->max_inputs, 128, 1, 65536},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (*rows[i].value == 0)
            *rows[i].value = rows[i].fallback;
        if (*rows[i].value < rows[i].least || *rows[i].value > rows[i].most)
            return ifd_fail(err, INFERD_INVALID_ARGUMENT, "%s is %u; it must be %u to %u",
                            rows[i].name, *rows[i].value, rows[i].least, rows[i].most);
    }
    return INFERD_OK;
}

/* A full request must fit into an empty queue, or it could never be answered. */
static inferd_status check_queue(const inferd_batcher_options *o, uint32_t max_length,
                                 inferd_error *err)
{
    const uint64_t tokens = (uint64_t)o->max_inputs * max_length;
    if (o->max_queue_texts < o->max_inputs)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "max_queue_texts is %u, below max_inputs %u: a full request could never "
                        "be queued; raise the one or lower the other",
                        o->max_queue_texts, o->max_inputs);
    if (o->max_queue_tokens < tokens)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "max_queue_tokens is %u, below %llu (max_inputs %u of max_length %u): a "
                        "full request could never be queued; raise it or lower max_inputs",
                        o->max_queue_tokens, (unsigned long long)tokens, o->max_inputs, max_length);
    return INFERD_OK;
}

static inferd_status start(inferd_batcher *b, inferd_model *model, const inferd_batcher_options *o,
                           inferd_error *err)
{
    const uint32_t max_length = ifd_model_max_length(model);
    const struct ifd_sched_options sched = {
        .workers = o->threads,
        .batch_tokens = o->max_batch_tokens < max_length ? max_length : o->max_batch_tokens,
        .batch_texts = o->max_batch_texts,
        .batch_wait_us = o->batch_wait_us,
        .queue_texts = o->max_queue_texts,
        .queue_tokens = o->max_queue_tokens,
        .queue_wait_ns = o->max_queue_wait_ms * UINT64_C(1000000),
    };
    b->max_inputs = o->max_inputs;
    b->workers = o->threads;
    inferd_status st = ifd_engine_create(model, sched.workers, sched.batch_tokens,
                                         sched.batch_texts, &b->engine, err);
    if (!st)
        st = ifd_engine_warm(b->engine, err);
    if (!st)
        st = ifd_sched_create(&sched, &b->sched, err);
    ifd_load_signal_init(&b->load, b->workers, ifd_clock_ns());
    return st;
}

inferd_status inferd_batcher_open(inferd_model *model, const inferd_batcher_options *options,
                                  inferd_batcher **out, inferd_error *err)
{
    inferd_batcher_options o;
    if (!model || !out)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "model and out must not be NULL");
    inferd_status st = ifd_options_copy("inferd_batcher_options", options, &o, sizeof(o), err);
    if (st || (st = settle(&o, err)) || (st = check_queue(&o, ifd_model_max_length(model), err)))
        return st;
    inferd_batcher *b = ifd_zalloc(sizeof(*b));
    if (!b)
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for a batcher");
    if ((st = start(b, model, &o, err))) {
        inferd_batcher_close(b);
        return st;
    }
    *out = b;
    return INFERD_OK;
}

void inferd_batcher_close(inferd_batcher *b)
{
    if (!b)
        return;
    ifd_sched_free(b->sched);
    ifd_engine_release(b->engine);
    if (b->workers > 0)
        ifd_load_signal_fini(&b->load);
    ifd_free(b);
}

void inferd_batcher_get_stats(inferd_batcher *b, inferd_batcher_stats *out)
{
    struct ifd_sched_stats s;
    struct ifd_load_sample sample = {.at_ns = ifd_clock_ns()};
    ifd_sched_get_stats(b->sched, &s);
    for (unsigned i = 0; i < b->workers; i++)
        sample.busy_ns += ifd_batch_stats_busy_ns(ifd_sched_batch_stats(b->sched, i), sample.at_ns);
    sample.tokens = s.tokens;
    const struct ifd_load_reading load = ifd_load_signal_read(&b->load, sample, s.queue_tokens);
    inferd_batcher_stats full = {
        .struct_size = out->struct_size,
        .threads = b->workers,
        .batches = s.batches,
        .texts = s.texts,
        .tokens = s.tokens,
        .refused = s.refused,
        .expired = s.expired,
        .cancelled = s.cancelled,
        .queue_texts = s.queue_texts,
        .queue_tokens = s.queue_tokens,
        .busy_ns = sample.busy_ns,
        .estimated_wait_s = load.wait_s,
        .saturation_ratio = load.saturation_ratio,
    };
    ifd_figures_copy(out, &full, sizeof(full));
}
