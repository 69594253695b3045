/* SPDX-License-Identifier: Apache-2.0 */
#include "server/metrics_page.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/log.h"
#include "sched/batch_stats.h"
#include "server/metrics_text.h"
#include "server/process_stats.h"

#define COUNTER IFD_MTYPE_COUNTER
#define GAUGE IFD_MTYPE_GAUGE
#define HISTOGRAM IFD_MTYPE_HISTOGRAM
#define LABEL(k, v) (&(const struct ifd_mlabel){k, v}), 1

/* --- sums over the I/O threads' shards and the workers' --- */

uint64_t ifd_metrics_page_sum(const struct ifd_server *s, size_t field)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < s->config.http_threads; i++)
        total += ifd_counter_get(
            (const _Atomic uint64_t *)(const void *)((const char *)&s->ios[i].metrics + field));
    return total;
}
#define SUM(s, field) ifd_metrics_page_sum((s), offsetof(struct ifd_metrics_io, field))
#define SUM_AT(s, field, i) \
    ifd_metrics_page_sum((s), offsetof(struct ifd_metrics_io, field) + (i) * sizeof(uint64_t))

void ifd_metrics_page_view(const struct ifd_server *s, size_t field, struct ifd_hist_view *v)
{
    memset(v, 0, sizeof(*v));
    for (unsigned i = 0; i < s->config.http_threads; i++)
        ifd_hist_view_add(
            v, (const struct ifd_hist *)(const void *)((const char *)&s->ios[i].metrics + field));
}

void ifd_metrics_page_batch_view(const struct ifd_server *s, size_t field, struct ifd_hist_view *v)
{
    memset(v, 0, sizeof(*v));
    for (unsigned i = 0; i < s->threads; i++)
        ifd_hist_view_add(
            v, (const struct ifd_hist *)(const void *)((const char *)ifd_sched_batch_stats(s->sched,
                                                                                           i) +
                                                       field));
}

/* --- the families --- */

static void gauge(struct ifd_mtext *m, const char *name, const char *help, double value)
{
    ifd_mtext_family(m, GAUGE, name, help);
    ifd_mtext_f64(m, NULL, 0, value);
}

static void add_state(struct ifd_mtext *m, struct ifd_io *io)
{
    struct ifd_server *s = io->server;
    const bool serving = ifd_server_phase(s) == IFD_SERVING;
    const bool ready = serving && ifd_server_readiness(s) == IFD_READY && io->engine;
    const struct ifd_mlabel build[] = {{"version", INFERD_VERSION},
                                       {"isa", ifd_tier_name(ifd_cpu_best())}};
    ifd_mtext_family(m, GAUGE, "inferd_build_info", "1, labelled with what was built.");
    ifd_mtext_u64(m, build, 2, 1);
    gauge(m, "inferd_ready", "Whether /readyz says yes.", ready);
    gauge(m, "inferd_draining", "Whether the server is on its way out.", !serving);
    ifd_mtext_family(m, GAUGE, "inferd_model_info", "1, labelled with the model that serves.");
    if (io->engine) {
        inferd_model_info info = {.struct_size = sizeof(info)};
        char length[16];
        inferd_model_get_info(ifd_engine_model(io->engine), &info);
        snprintf(length, sizeof(length), "%u", info.max_length);
        const struct ifd_mlabel labels[] = {
            {"name", info.name},    {"architecture", info.architecture},
            {"dtype", info.dtype},  {"isa", info.tier},
            {"max_length", length}, {"digest", ifd_engine_label(io->engine)}};
        ifd_mtext_u64(m, labels, 6, 1);
    }
    ifd_mtext_family(m, GAUGE, "inferd_model_load_seconds",
                     "What loading and warming up the model took; 0 until then.");
    ifd_mtext_scaled(m, NULL, 0, ifd_counter_get(&s->model_load_ns), 9);
}

/* Shards name their routes in the order of their own traffic: add up by name. */
static void add_routes(struct ifd_mtext *m, const struct ifd_server *s)
{
    static const char metric[] = "inferd_requests_total";
    const char *seen[2 * IFD_METRICS_ROUTES_MAX];
    unsigned count = 0;
    ifd_mtext_family(m, COUNTER, metric, "Answers that went out, by route and status code.");
    for (unsigned t = 0; t < s->config.http_threads; t++)
        for (unsigned i = 0; i < IFD_METRICS_ROUTES_MAX; i++) {
            const char *path =
                atomic_load_explicit(&s->ios[t].metrics.routes[i].path, memory_order_acquire);
            unsigned k = 0;
            while (path && k < count && strcmp(seen[k], path) != 0)
                k++;
            if (path && k == count && count < sizeof(seen) / sizeof(seen[0]))
                seen[count++] = path;
        }
    for (unsigned k = 0; k < count; k++)
        for (unsigned code = 0; code < IFD_METRICS_CODES_MAX; code++) {
            uint64_t total = 0;
            for (unsigned t = 0; t < s->config.http_threads; t++)
                for (unsigned i = 0; i < IFD_METRICS_ROUTES_MAX; i++) {
                    const struct ifd_route_counts *r = &s->ios[t].metrics.routes[i];
                    const char *path = atomic_load_explicit(&r->path, memory_order_acquire);
                    if (path && strcmp(path, seen[k]) == 0)
                        total += ifd_counter_get(&r->codes[code]);
                }
            const struct ifd_mlabel labels[] = {{"route", seen[k]},
                                                {"code", ifd_metrics_code_name(code)}};
            if (total)
                ifd_mtext_u64(m, labels, 2, total);
        }
}

static void add_requests(struct ifd_mtext *m, const struct ifd_server *s)
{
    struct ifd_hist_view v;
    ifd_mtext_counter(
        m, "inferd_requests_started_total",
        "Requests of which a byte has come. Equals all outcomes and what is in flight.",
        SUM(s, started));
    add_routes(m, s);
    ifd_mtext_family(m, COUNTER, "inferd_request_outcomes_total",
                     "How requests ended; each ends once.");
    for (unsigned i = 0; i < IFD_OUTCOMES; i++)
        ifd_mtext_u64(m, LABEL("outcome", ifd_outcome_names[i]), SUM_AT(s, outcomes, i));
    gauge(m, "inferd_requests_in_flight", "Requests begun and not ended, this scrape included.",
          (double)(int64_t)SUM(s, in_flight));
    ifd_mtext_family(m, COUNTER, "inferd_rejected_total", "Requests shed, by reason.");
    for (unsigned i = 0; i < IFD_SHEDS; i++)
        ifd_mtext_u64(m, LABEL("reason", ifd_shed_names[i]), SUM_AT(s, shed, i));
    ifd_mtext_family(m, COUNTER, "inferd_cancelled_total",
                     "Requests whose client went away, by where they were.");
    for (unsigned i = 0; i < IFD_LOSTS; i++)
        ifd_mtext_u64(m, LABEL("stage", ifd_lost_names[i]), SUM_AT(s, lost, i));
    ifd_mtext_family(m, HISTOGRAM, "inferd_request_duration_seconds",
                     "Answered inference requests: first byte in to last byte out, by outcome.");
    struct ifd_exemplar exemplars[IFD_EXEMPLARS] = {0};
    for (unsigned i = 0; m->open_metrics && i < s->config.http_threads; i++)
        ifd_exemplars_merge(&s->ios[i].exemplars, exemplars);
    for (unsigned i = 0; i < IFD_OUTCOMES; i++) {
        ifd_metrics_page_view(
            s, offsetof(struct ifd_metrics_io, duration) + i * sizeof(struct ifd_hist), &v);
        if (i == IFD_OUTCOME_OK && m->open_metrics)
            m->exemplars = exemplars;
        if (i == IFD_OUTCOME_OK || v.count) /* 75 series each: those that there are */
            ifd_mtext_hist(m, LABEL("outcome", ifd_outcome_names[i]), &v);
    }
    ifd_mtext_family(m, HISTOGRAM, "inferd_stage_duration_seconds",
                     "Where the time of answered inferences went; stages add up to the duration.");
    for (unsigned i = 0; i < IFD_STAGES; i++) {
        ifd_metrics_page_view(
            s, offsetof(struct ifd_metrics_io, stages) + i * sizeof(struct ifd_hist), &v);
        ifd_mtext_hist(m, LABEL("stage", ifd_stage_names[i]), &v);
    }
    const uint64_t closed = SUM(s, closed), opened = SUM(s, opened);
    gauge(m, "inferd_connections", "Open client connections.", (double)(int64_t)(opened - closed));
    ifd_mtext_counter(m, "inferd_connections_total", "Client connections since the start.", opened);
    ifd_mtext_family(m, COUNTER, "inferd_tls_handshakes_total", "TLS handshakes, by result.");
    ifd_mtext_u64(m, LABEL("result", "ok"), SUM_AT(s, handshakes, 0));
    ifd_mtext_u64(m, LABEL("result", "failed"), SUM_AT(s, handshakes, 1));
    const uint64_t expiry = atomic_load_explicit(&s->tls_expiry, memory_order_relaxed);
    ifd_mtext_family(m, GAUGE, "inferd_tls_certificate_expiry_timestamp_seconds",
                     "When the certificate in use ends, Unix time; no series without TLS.");
    if (expiry)
        ifd_mtext_u64(m, NULL, 0, expiry);
}

static void add_labels(struct ifd_mtext *m, const struct ifd_server *s)
{
    ifd_mtext_family(m, COUNTER, "inferd_predictions_total",
                     "Answered inputs by predicted label, over all models that served.");
    unsigned shown = 0;
    for (unsigned t = 0; t < s->config.http_threads && shown < IFD_METRICS_LABELS_MAX; t++) {
        const struct ifd_metrics_io *mine = &s->ios[t].metrics;
        const uint32_t used = atomic_load_explicit(&mine->labels, memory_order_acquire);
        for (uint32_t i = 0; i < used && shown < IFD_METRICS_LABELS_MAX; i++) {
            const char *name = mine->label[i].name;
            uint64_t total = 0;
            bool before = false; /* an earlier shard has it: shown already */
            for (unsigned u = 0; u < s->config.http_threads; u++) {
                const struct ifd_metrics_io *other = &s->ios[u].metrics;
                const uint32_t n = atomic_load_explicit(&other->labels, memory_order_acquire);
                for (uint32_t k = 0; k < n; k++)
                    if (strcmp(other->label[k].name, name) == 0) {
                        before = before || u < t || (u == t && k < i);
                        total += ifd_counter_get(&other->label[k].count);
                    }
            }
            if (before)
                continue;
            shown++;
            ifd_mtext_u64(m, LABEL("label", name), total);
        }
    }
}

static void add_inputs(struct ifd_mtext *m, const struct ifd_server *s)
{
    struct ifd_hist_view v;
    ifd_mtext_counter(m, "inferd_inputs_total", "Texts tokenized.", SUM(s, inputs));
    ifd_mtext_counter(m, "inferd_truncated_inputs_total", "Texts cut at the model's length.",
                      SUM(s, truncated));
    ifd_mtext_counter(m, "inferd_windowed_inputs_total", "Longer texts computed whole, in windows.",
                      SUM(s, windowed));
    ifd_metrics_page_view(s, offsetof(struct ifd_metrics_io, input_tokens), &v);
    ifd_mtext_histogram(m, "inferd_input_tokens", "Tokens of a text, after truncation.", &v);
    add_labels(m, s);
    ifd_metrics_page_view(s, offsetof(struct ifd_metrics_io, confidence), &v);
    ifd_mtext_histogram(m, "inferd_confidence",
                        "Confidence of the predicted label of answered inputs.", &v);
}

static void add_batches(struct ifd_mtext *m, struct ifd_server *s)
{
    struct ifd_hist_view v;
    struct ifd_sched_stats stats;
    struct ifd_load_sample now = {.at_ns = ifd_clock_ns()};
    ifd_sched_get_stats(s->sched, &stats);
    for (unsigned i = 0; i < s->threads; i++)
        now.busy_ns += ifd_batch_stats_busy_ns(ifd_sched_batch_stats(s->sched, i), now.at_ns);
    ifd_metrics_page_batch_view(s, offsetof(struct ifd_batch_stats, tokens), &v);
    now.tokens = v.sum;
    const struct ifd_load_reading load = ifd_load_signal_read(&s->load, now, stats.queue_tokens);

    gauge(m, "inferd_queue_depth", "Texts waiting.", (double)stats.queue_texts);
    gauge(m, "inferd_queue_tokens", "Tokens waiting.", (double)stats.queue_tokens);
    ifd_mtext_family(m, GAUGE, "inferd_queue_limit", "What may wait.");
    ifd_mtext_u64(m, LABEL("kind", "inputs"), s->config.max_queue);
    ifd_mtext_u64(m, LABEL("kind", "tokens"), s->config.max_queue_tokens);
    gauge(m, "inferd_estimated_wait_seconds",
          "When what waits now will have been computed, at the present speed.", load.wait_s);
    gauge(m, "inferd_saturation_ratio",
          "Busy share of the compute threads plus seconds of work waiting: 1 is at capacity.",
          load.saturation_ratio);
    gauge(m, "inferd_compute_threads", "Threads that compute.", (double)s->threads);
    ifd_mtext_family(m, COUNTER, "inferd_compute_busy_seconds_total",
                     "Time inside batches, of all compute threads together.");
    ifd_mtext_scaled(m, NULL, 0, now.busy_ns, 9);
    ifd_mtext_counter(m, "inferd_tokens_total", "Tokens computed.", now.tokens);
    ifd_mtext_histogram(m, "inferd_batch_tokens", "Tokens of a batch.", &v);
    ifd_metrics_page_batch_view(s, offsetof(struct ifd_batch_stats, texts), &v);
    ifd_mtext_histogram(m, "inferd_batch_size", "Texts of a batch.", &v);
    ifd_metrics_page_batch_view(s, offsetof(struct ifd_batch_stats, fill), &v);
    ifd_mtext_histogram(
        m, "inferd_batch_fill_ratio",
        "Share of a batch's limit that was used, of texts or of tokens: the larger.", &v);
    ifd_metrics_page_batch_view(s, offsetof(struct ifd_batch_stats, wait), &v);
    ifd_mtext_histogram(m, "inferd_batch_wait_seconds",
                        "How long a batch's longest waiting request waited.", &v);
}

static void add_models(struct ifd_mtext *m, struct ifd_server *s)
{
    struct ifd_models *models = &s->models;
    struct ifd_shadow_figures f;
    pthread_mutex_lock(&models->lock);
    const uint64_t loads = models->loads, refusals = models->refusals, id = models->shadow_id;
    const double share = models->candidate ? (double)models->share_ppm / 1e6 : 0;
    pthread_mutex_unlock(&models->lock);
    ifd_shadow_figures_get(s, id, &f);
    ifd_mtext_counter(m, "inferd_model_loads_total", "Models loaded, the first one included.",
                      loads);
    ifd_mtext_counter(m, "inferd_model_refusals_total", "Models refused while another served.",
                      refusals);
    gauge(m, "inferd_shadow_share_ratio", "Share of the requests that a candidate computes too.",
          share);
    ifd_mtext_counter(m, "inferd_shadow_requests_total",
                      "Requests compared, of the last candidate.", f.requests);
    ifd_mtext_counter(m, "inferd_shadow_inputs_total", "Inputs compared, of the last candidate.",
                      f.inputs);
    ifd_mtext_counter(
        m, "inferd_shadow_skipped_inputs_total",
        "Inputs chosen for the candidate but not compared, as too much was under way.", f.skipped);
    ifd_mtext_counter(m, "inferd_shadow_disagreements_total",
                      "Inputs to which the last candidate gave another label.", f.disagreements);
    ifd_mtext_family(m, GAUGE, "inferd_shadow_p99_seconds",
                     "99th percentile of the time to compute a compared request, by model.");
    ifd_mtext_f64(m, LABEL("model", "active"), f.active.p99_s);
    ifd_mtext_f64(m, LABEL("model", "candidate"), f.candidate.p99_s);
}

static void process_row(struct ifd_mtext *m, enum ifd_mtype type, const char *name,
                        const char *help, double value)
{
    if (value < 0.0) /* the kernel does not say: better no series than a wrong one */
        return;
    ifd_mtext_family(m, type, name, help);
    ifd_mtext_f64(m, NULL, 0, value);
}

static void add_traces(struct ifd_mtext *m, const struct ifd_server *s)
{
    const struct ifd_traces *t = &s->traces;
    ifd_mtext_family(m, COUNTER, "inferd_trace_spans_total",
                     "Traced requests, by what became of their spans.");
    ifd_mtext_u64(m, LABEL("result", "exported"), ifd_counter_get(&t->exported));
    ifd_mtext_u64(m, LABEL("result", "dropped"), ifd_counter_get(&t->dropped));
    ifd_mtext_u64(m, LABEL("result", "failed"), ifd_counter_get(&t->failed));
}

static void add_process(struct ifd_mtext *m, const struct ifd_server *s)
{
    struct ifd_process_stats p;
    ifd_process_stats_read(&p);
    process_row(m, COUNTER, "process_cpu_seconds_total", "User and system time.", p.cpu_seconds);
    process_row(m, GAUGE, "process_resident_memory_bytes", "Memory resident.", p.resident_bytes);
    process_row(m, GAUGE, "process_virtual_memory_bytes", "Address space.", p.virtual_bytes);
    process_row(m, GAUGE, "process_open_fds", "Open file descriptors.", p.open_fds);
    process_row(m, GAUGE, "process_max_fds", "File descriptors that may be open.", p.max_fds);
    process_row(m, GAUGE, "process_threads", "Threads.", p.threads);
    process_row(m, GAUGE, "process_start_time_seconds", "When the process began, Unix time.",
                s->start_seconds);
}

static int page(struct ifd_io *io, struct ifd_buf *body, bool open_metrics)
{
    struct ifd_mtext m = {.out = body, .open_metrics = open_metrics};
    add_state(&m, io);
    add_requests(&m, io->server);
    add_inputs(&m, io->server);
    add_batches(&m, io->server);
    add_models(&m, io->server);
    add_traces(&m, io->server);
    add_process(&m, io->server);
    if (io->server->config.metrics_tei)
        ifd_metrics_tei(&m, io->server);
    ifd_mtext_end(&m);
    return 200;
}

int ifd_metrics_page(struct ifd_io *io, struct ifd_buf *body)
{
    return page(io, body, false);
}

int ifd_metrics_open_page(struct ifd_io *io, struct ifd_buf *body)
{
    return page(io, body, true);
}

void ifd_metrics_log_totals(const struct ifd_server *s)
{
#define FIELD(outcome) IFD_U64(ifd_outcome_names[outcome], SUM_AT(s, outcomes, outcome))
    ifd_log(IFD_LOG_INFO, "totals", IFD_U64("started", SUM(s, started)), FIELD(IFD_OUTCOME_OK),
            FIELD(IFD_OUTCOME_CLIENT_ERROR), FIELD(IFD_OUTCOME_SHED), FIELD(IFD_OUTCOME_DEADLINE),
            FIELD(IFD_OUTCOME_CANCELLED), FIELD(IFD_OUTCOME_DRAINED), FIELD(IFD_OUTCOME_FAULT),
            IFD_U64("in_flight", SUM(s, in_flight)), IFD_U64("connections", SUM(s, opened)));
#undef FIELD
}
