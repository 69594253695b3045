/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics_tei.c - --metrics-compat tei: what we count, once more under the names and labels of Text
 * Embeddings Inference, so that its dashboards, alerts and autoscaling rules go on working. Nothing
 * is counted for it alone but whether a request had several inputs. docs/metrics.md has the
 * mapping. Names and labels were read in TEI's core/src/infer.rs and queue.rs.
 */
#include "server/metrics_page.h"

#include "sched/batch_stats.h"
#include "server/metrics_text.h"

#define LABEL(k, v) (&(const struct ifd_mlabel){k, v}), 1

static const char *const methods[] = {"single", "batch"};

static void by_method(struct ifd_mtext *m, const struct ifd_server *s, const char *name,
                      const char *help, size_t field)
{
    ifd_mtext_family(m, IFD_MTYPE_COUNTER, name, help);
    for (unsigned i = 0; i < 2; i++)
        ifd_mtext_u64(m, LABEL("method", methods[i]),
                      ifd_metrics_page_sum(s, field + i * sizeof(uint64_t)));
}

/* How long requests took that ended so. */
static void duration_view(const struct ifd_server *s, enum ifd_outcome outcome,
                          struct ifd_hist_view *v)
{
    ifd_metrics_page_view(
        s, offsetof(struct ifd_metrics_io, duration) + outcome * sizeof(struct ifd_hist), v);
}

static uint64_t answered(const struct ifd_server *s, enum ifd_outcome outcome)
{
    struct ifd_hist_view v;
    duration_view(s, outcome, &v);
    return v.count;
}

static void add_requests(struct ifd_mtext *m, const struct ifd_server *s)
{
    by_method(m, s, "te_request_count", "Inference requests read.",
              offsetof(struct ifd_metrics_io, requests));
    by_method(m, s, "te_request_success", "Inference requests answered.",
              offsetof(struct ifd_metrics_io, answers));
    ifd_mtext_family(m, IFD_MTYPE_COUNTER, "te_request_failure",
                     "Inference requests refused or lost.");
    ifd_mtext_u64(m, LABEL("err", "validation"), answered(s, IFD_OUTCOME_CLIENT_ERROR));
    ifd_mtext_u64(m, LABEL("err", "overloaded"), answered(s, IFD_OUTCOME_SHED));
    ifd_mtext_u64(m, LABEL("err", "inference"),
                  answered(s, IFD_OUTCOME_DEADLINE) + answered(s, IFD_OUTCOME_FAULT));
}

static void add_durations(struct ifd_mtext *m, const struct ifd_server *s)
{
    static const struct {
        const char *name, *help;
        enum ifd_stage stage;
    } rows[] = {
        {"te_request_tokenization_duration", "Of answered requests: to tokenize.",
         IFD_STAGE_TOKENIZE},
        {"te_request_queue_duration", "Of answered requests: waiting.", IFD_STAGE_QUEUE},
        {"te_request_inference_duration", "Of answered requests: to compute.", IFD_STAGE_INFER},
    };
    struct ifd_hist_view v;
    duration_view(s, IFD_OUTCOME_OK, &v);
    ifd_mtext_histogram(m, "te_request_duration", "Answered inference requests, in seconds.", &v);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ifd_metrics_page_view(
            s, offsetof(struct ifd_metrics_io, stages) + rows[i].stage * sizeof(struct ifd_hist),
            &v);
        ifd_mtext_histogram(m, rows[i].name, rows[i].help, &v);
    }
}

static void add_inputs(struct ifd_mtext *m, const struct ifd_server *s)
{
    struct ifd_hist_view v;
    ifd_mtext_counter(m, "te_predict_count", "Inputs tokenized.",
                      ifd_metrics_page_sum(s, offsetof(struct ifd_metrics_io, inputs)));
    ifd_metrics_page_view(s, offsetof(struct ifd_metrics_io, confidence), &v);
    ifd_mtext_counter(m, "te_predict_success", "Inputs answered.", v.count);
    ifd_metrics_page_view(s, offsetof(struct ifd_metrics_io, input_tokens), &v);
    ifd_mtext_histogram(m, "te_request_input_length", "Tokens of an input.", &v);
}

static void add_batches(struct ifd_mtext *m, const struct ifd_server *s)
{
    struct ifd_hist_view v;
    struct ifd_sched_stats stats;
    ifd_sched_get_stats(s->sched, &stats);
    ifd_mtext_family(m, IFD_MTYPE_GAUGE, "te_queue_size", "Inputs waiting.");
    ifd_mtext_u64(m, NULL, 0, stats.queue_texts);
    ifd_metrics_page_batch_view(s, offsetof(struct ifd_batch_stats, texts), &v);
    ifd_mtext_histogram(m, "te_batch_next_size", "Inputs of a batch.", &v);
    ifd_metrics_page_batch_view(s, offsetof(struct ifd_batch_stats, tokens), &v);
    ifd_mtext_histogram(m, "te_batch_next_tokens", "Tokens of a batch.", &v);
}

void ifd_metrics_tei(struct ifd_mtext *m, const struct ifd_server *s)
{
    add_requests(m, s);
    add_durations(m, s);
    add_inputs(m, s);
    add_batches(m, s);
}
