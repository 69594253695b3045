/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_report_machine.c - the figures for programs. Names are an interface: docs/bench.md.
 */
#include <stdio.h>

#include "base/jsonout.h"
#include "cli/bench_report.h"

static const struct {
    const char *name;
    uint32_t ppm;
} percentiles[] = {
    {"p50", 500000}, {"p90", 900000}, {"p95", 950000}, {"p99", 990000}, {"p99_9", 999000}};
#define PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

/* ---- JSON ---------------------------------------------------------------------------------- */

static void key(struct ifd_buf *b, const char *name)
{
    char last = b->size ? b->data[b->size - 1] : '{';
    if (last != '{' && last != '[')
        ifd_buf_add_char(b, ',');
    ifd_jsonout_cstr(b, name);
    ifd_buf_add_char(b, ':');
}

static void add_count(struct ifd_buf *b, const char *name, uint64_t v)
{
    key(b, name);
    ifd_buf_printf(b, "%llu", (unsigned long long)v);
}

static void add_real(struct ifd_buf *b, const char *name, double v)
{
    key(b, name);
    ifd_jsonout_fixed(b, v, 3);
}

static void add_text(struct ifd_buf *b, const char *name, const char *v)
{
    key(b, name);
    ifd_jsonout_cstr(b, v);
}

static void add_flag(struct ifd_buf *b, const char *name, bool v)
{
    key(b, name);
    ifd_buf_add_str(b, v ? "true" : "false");
}

static void open_object(struct ifd_buf *b, const char *name)
{
    key(b, name);
    ifd_buf_add_char(b, '{');
}

static void add_times(struct ifd_buf *b, const char *name, const struct ifd_bench_hist *h)
{
    open_object(b, name);
    add_count(b, "count", h->count);
    if (h->count) { /* no value rather than a 0 that looks like one */
        add_real(b, "mean", ifd_bench_hist_mean(h) / 1e6);
        add_real(b, "min", (double)h->min_ns / 1e6);
        for (size_t i = 0; i < PERCENTILES; i++)
            add_real(b, percentiles[i].name,
                     (double)ifd_bench_hist_percentile(h, percentiles[i].ppm) / 1e6);
        add_real(b, "max", (double)h->max_ns / 1e6);
    }
    ifd_buf_add_char(b, '}');
}

static void add_load(const struct ifd_bench_report *r, struct ifd_buf *b)
{
    const struct ifd_bench_settings *s = r->settings;
    const struct ifd_bench_load_options *o = &s->load;
    bool open = o->rate > 0.0;
    open_object(b, "load");
    add_text(b, "method", s->method);
    add_text(b, "authority", s->url.authority);
    add_text(b, "path", s->url.path);
    add_text(b, "loop", open ? "open" : "closed");
    add_count(b, "connections", o->connections);
    add_count(b, "inputs", s->inputs);
    if (open) {
        add_real(b, "rate", o->rate);
        add_text(b, "arrivals", o->poisson ? "poisson" : "constant");
    }
    add_count(b, "seed", o->seed);
    add_count(b, "timeout_ms", o->timeout_ms);
    add_count(b, "warmup_ms", o->warmup_ms);
    ifd_buf_add_char(b, '}');
}

static void add_outcomes(const struct ifd_bench_tally *t, struct ifd_buf *b)
{
    char code[24];
    open_object(b, "status");
    for (size_t i = 0; i < sizeof(t->status) / sizeof(t->status[0]); i++) {
        if (!t->status[i])
            continue;
        snprintf(code, sizeof(code), "%zu", i);
        add_count(b, code, t->status[i]);
    }
    ifd_buf_add_char(b, '}');
    open_object(b, "outcomes");
    for (size_t i = 0; i < IFD_BENCH_OUTCOMES; i++)
        add_count(b, ifd_bench_outcome_name((enum ifd_bench_outcome)i), t->outcome[i]);
    ifd_buf_add_char(b, '}');
    open_object(b, "law");
    add_count(b, "requests", t->begun);
    add_count(b, "outcomes", ifd_bench_tally_ended(t));
    add_flag(b, "holds", ifd_bench_tally_holds(t));
    ifd_buf_add_char(b, '}');
}

static void add_intervals(const struct ifd_bench_tally *t, struct ifd_buf *b)
{
    size_t count;
    const struct ifd_bench_row *row = ifd_bench_tally_rows(t, &count);
    key(b, "intervals");
    ifd_buf_add_char(b, '[');
    for (size_t i = 0; i < count; i++) {
        ifd_buf_add_str(b, i ? ",\n{" : "\n{");
        add_real(b, "at_s", row[i].at_s);
        add_count(b, "begun", row[i].begun);
        add_count(b, "ok", row[i].ok);
        add_count(b, "refused", row[i].refused);
        add_count(b, "failed", row[i].failed);
        if (row[i].ok) {
            add_real(b, "p50_ms", row[i].p50_ms);
            add_real(b, "p99_ms", row[i].p99_ms);
        }
        ifd_buf_add_char(b, '}');
    }
    ifd_buf_add_char(b, ']');
}

static const char *end_name(enum ifd_bench_load_end end)
{
    switch (end) {
    case IFD_BENCH_LOAD_INTERRUPTED:
        return "interrupted";
    case IFD_BENCH_LOAD_UNREACHABLE:
        return "unreachable";
    default:
        return "complete";
    }
}

void ifd_bench_report_json(const struct ifd_bench_report *r, struct ifd_buf *b)
{
    const struct ifd_bench_tally *t = r->tally;
    struct ifd_bench_rates v = ifd_bench_rates_of(r);
    ifd_buf_add_char(b, '{');
    add_load(r, b);
    add_text(b, "end", end_name(r->result->end));
    add_real(b, "window_s", r->result->window_s);
    add_real(b, "elapsed_s", r->result->elapsed_s);
    add_count(b, "requests", t->begun);
    add_count(b, "ok", t->ok);
    add_count(b, "refused", t->refused);
    add_count(b, "warmup_requests", r->result->warmup_requests);
    add_real(b, "ok_per_s", v.ok_per_s);
    add_real(b, "inputs_per_s", v.inputs_per_s);
    add_real(b, "ended_per_s", v.ended_per_s);
    add_outcomes(t, b);
    add_times(b, "ok_latency_ms", &t->ok_latency);
    add_times(b, "ok_service_ms", &t->ok_service);
    add_times(b, "refused_latency_ms", &t->refused_latency);
    add_times(b, "refused_service_ms", &t->refused_service);
    add_times(b, "client_late_ms", &t->late);
    open_object(b, "connections");
    add_count(b, "opened", r->wire->opened);
    add_count(b, "reconnects", r->wire->reconnects);
    add_count(b, "closing_answers", r->wire->closes);
    add_count(b, "idle_closed", r->wire->idle_closed);
    ifd_buf_add_char(b, '}');
    add_count(b, "bytes_sent", r->result->bytes_sent);
    add_count(b, "bytes_received", r->result->bytes_received);
    open_object(b, "client");
    add_real(b, "cpu_share", v.cpu_share);
    add_real(b, "user_s", r->result->cpu_user_s);
    add_real(b, "system_s", r->result->cpu_system_s);
    add_flag(b, "saturated", ifd_bench_saturated(r));
    ifd_buf_add_char(b, '}');
    add_intervals(t, b);
    ifd_buf_add_str(b, "}\n");
}

/* ---- CSV ----------------------------------------------------------------------------------- */

/* Names and figures are written by the same walk, so that they cannot come apart. */
struct csv {
    struct ifd_buf *b;
    bool names, begun;
};

static void cell(struct csv *c, const char *prefix, const char *name, double v, int digits)
{
    if (c->begun)
        ifd_buf_add_char(c->b, ',');
    c->begun = true;
    if (c->names)
        ifd_buf_printf(c->b, "%s%s", prefix, name);
    else
        ifd_jsonout_fixed(c->b, v, digits);
}

static void csv_times(struct csv *c, const char *prefix, const struct ifd_bench_hist *h)
{
    cell(c, prefix, "mean", ifd_bench_hist_mean(h) / 1e6, 3);
    for (size_t i = 0; i < PERCENTILES; i++)
        cell(c, prefix, percentiles[i].name,
             (double)ifd_bench_hist_percentile(h, percentiles[i].ppm) / 1e6, 3);
    cell(c, prefix, "max", (double)h->max_ns / 1e6, 3);
}

static void csv_line(const struct ifd_bench_report *r, struct csv *c)
{
    const struct ifd_bench_tally *t = r->tally;
    const struct ifd_bench_load_options *o = &r->settings->load;
    struct ifd_bench_rates v = ifd_bench_rates_of(r);
    uint64_t by_class[6] = {0};
    for (size_t i = 0; i < sizeof(t->status) / sizeof(t->status[0]); i++)
        by_class[i / 100] += t->status[i];
    cell(c, "", "connections", (double)o->connections, 0);
    cell(c, "", "rate", o->rate, 0);
    cell(c, "", "inputs", (double)r->settings->inputs, 0);
    cell(c, "", "window_s", r->result->window_s, 3);
    cell(c, "", "requests", (double)t->begun, 0);
    cell(c, "", "ok_per_s", v.ok_per_s, 3);
    cell(c, "", "inputs_per_s", v.inputs_per_s, 3);
    csv_times(c, "ok_latency_ms_", &t->ok_latency);
    csv_times(c, "ok_service_ms_", &t->ok_service);
    csv_times(c, "refused_latency_ms_", &t->refused_latency);
    csv_times(c, "client_late_ms_", &t->late);
    cell(c, "", "status_2xx", (double)by_class[2], 0);
    cell(c, "", "status_3xx", (double)by_class[3], 0);
    cell(c, "", "status_4xx", (double)by_class[4], 0);
    cell(c, "", "status_5xx", (double)by_class[5], 0);
    cell(c, "", "status_429_503", (double)t->refused, 0);
    for (size_t i = 0; i < IFD_BENCH_OUTCOMES; i++)
        cell(c, "", ifd_bench_outcome_name((enum ifd_bench_outcome)i), (double)t->outcome[i], 0);
    cell(c, "", "reconnects", (double)r->wire->reconnects, 0);
    cell(c, "", "bytes_sent", (double)r->result->bytes_sent, 0);
    cell(c, "", "bytes_received", (double)r->result->bytes_received, 0);
    cell(c, "", "cpu_share", v.cpu_share, 3);
    ifd_buf_add_char(c->b, '\n');
}

void ifd_bench_report_csv(const struct ifd_bench_report *r, struct ifd_buf *b)
{
    csv_line(r, &(struct csv){.b = b, .names = true});
    csv_line(r, &(struct csv){.b = b});
}
