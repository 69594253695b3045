/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_report.h"

#define SATURATED 0.9

struct ifd_bench_rates ifd_bench_rates_of(const struct ifd_bench_report *r)
{
    const struct ifd_bench_load_result *x = r->result;
    struct ifd_bench_rates v = {0};
    if (x->window_s > 0.0) {
        v.ok_per_s = (double)r->tally->ok_in_time / x->window_s;
        v.inputs_per_s = v.ok_per_s * (double)r->settings->inputs;
    }
    if (x->elapsed_s > 0.0) {
        v.ended_per_s = (double)ifd_bench_tally_ended(r->tally) / x->elapsed_s;
        v.cpu_share = (x->cpu_user_s + x->cpu_system_s) / x->elapsed_s;
    }
    return v;
}

bool ifd_bench_saturated(const struct ifd_bench_report *r)
{
    return r->result->elapsed_s >= 0.2 && ifd_bench_rates_of(r).cpu_share > SATURATED;
}

static void add_times(struct ifd_buf *b, const char *name, const struct ifd_bench_hist *h)
{
    static const uint32_t ppm[] = {500000, 900000, 950000, 990000, 999000};
    if (!h->count)
        return;
    ifd_buf_printf(b, "  %-16s %9.3f", name, ifd_bench_hist_mean(h) / 1e6);
    for (size_t i = 0; i < sizeof(ppm) / sizeof(ppm[0]); i++)
        ifd_buf_printf(b, " %9.3f", (double)ifd_bench_hist_percentile(h, ppm[i]) / 1e6);
    ifd_buf_printf(b, " %9.3f\n", (double)h->max_ns / 1e6);
}

static void add_load(const struct ifd_bench_report *r, struct ifd_buf *b)
{
    const struct ifd_bench_load_options *o = &r->settings->load;
    ifd_buf_printf(b, "%s http://%s%s, %zu connection%s, ", r->settings->method,
                   r->settings->url.authority, r->settings->url.path, o->connections,
                   o->connections == 1 ? "" : "s");
    if (o->rate > 0.0)
        ifd_buf_printf(b, "open loop, %.0f requests/s (%s)", o->rate,
                       o->poisson ? "Poisson" : "constant");
    else
        ifd_buf_add_str(b, "closed loop");
    if (r->settings->inputs > 1)
        ifd_buf_printf(b, ", %zu texts per request", r->settings->inputs);
    ifd_buf_printf(b, "\n%.2f s", r->result->window_s);
    if (r->result->warmup_requests)
        ifd_buf_printf(b, " after a warm-up of %llu requests",
                       (unsigned long long)r->result->warmup_requests);
    if (r->result->end == IFD_BENCH_LOAD_INTERRUPTED)
        ifd_buf_add_str(b, ", interrupted");
    ifd_buf_add_str(b, "\n\n");
}

static void add_outcomes(const struct ifd_bench_tally *t, struct ifd_buf *b)
{
    for (size_t code = 0; code < sizeof(t->status) / sizeof(t->status[0]); code++)
        if (t->status[code])
            ifd_buf_printf(b, "  %-28zu %12llu\n", code, (unsigned long long)t->status[code]);
    for (size_t i = 0; i < IFD_BENCH_OUTCOMES; i++)
        if (t->outcome[i] && i != IFD_BENCH_ANSWER)
            ifd_buf_printf(b, "  %-28s %12llu  %s\n",
                           ifd_bench_outcome_name((enum ifd_bench_outcome)i),
                           (unsigned long long)t->outcome[i],
                           ifd_bench_outcome_about((enum ifd_bench_outcome)i));
    ifd_buf_printf(b, "  %-28s %12llu  %s\n", "requests = sum of outcomes",
                   (unsigned long long)t->begun,
                   ifd_bench_tally_holds(t) ? "holds" : "DOES NOT HOLD");
}

void ifd_bench_report_text(const struct ifd_bench_report *r, struct ifd_buf *b)
{
    const struct ifd_bench_tally *t = r->tally;
    struct ifd_bench_rates v = ifd_bench_rates_of(r);
    add_load(r, b);
    ifd_buf_printf(b, "ok/s %.1f   texts/s %.1f\n\n", v.ok_per_s, v.inputs_per_s);
    ifd_buf_printf(b, "  %-16s %9s %9s %9s %9s %9s %9s %9s\n", "milliseconds", "mean", "p50", "p90",
                   "p95", "p99", "p99.9", "max");
    add_times(b, "ok, since due", &t->ok_latency);
    add_times(b, "ok, since sent", &t->ok_service);
    add_times(b, "429/503, due", &t->refused_latency);
    add_times(b, "429/503, sent", &t->refused_service);
    add_times(b, "client late", &t->late);
    ifd_buf_add_str(b, "\n");
    add_outcomes(t, b);
    ifd_buf_printf(
        b,
        "\nconnections: %llu opened, %llu of them again; answers that close %llu, closed "
        "while idle %llu\nbytes: %llu sent, %llu received   client: %.0f %% of one core\n",
        (unsigned long long)r->wire->opened, (unsigned long long)r->wire->reconnects,
        (unsigned long long)r->wire->closes, (unsigned long long)r->wire->idle_closed,
        (unsigned long long)r->result->bytes_sent, (unsigned long long)r->result->bytes_received,
        100.0 * v.cpu_share);
}
