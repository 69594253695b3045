/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_tally.h"

#include <string.h>

#define ROWS_BYTES ((size_t)64 << 20)

#define NAME(name, text, about) [IFD_BENCH_##name] = text,
#define ABOUT(name, text, about) [IFD_BENCH_##name] = about,
static const char *const names[] = {IFD_BENCH_OUTCOME_MAP(NAME)};
static const char *const abouts[] = {IFD_BENCH_OUTCOME_MAP(ABOUT)};

const char *ifd_bench_outcome_name(enum ifd_bench_outcome outcome)
{
    return names[outcome];
}

const char *ifd_bench_outcome_about(enum ifd_bench_outcome outcome)
{
    return abouts[outcome];
}

void ifd_bench_tally_init(struct ifd_bench_tally *t)
{
    memset(t, 0, sizeof(*t)); /* 170 KiB: not by way of the stack */
    ifd_buf_init(&t->rows, ROWS_BYTES);
}

void ifd_bench_tally_fini(struct ifd_bench_tally *t)
{
    ifd_buf_fini(&t->rows);
}

void ifd_bench_tally_begin(struct ifd_bench_tally *t)
{
    t->begun++;
    t->now.begun++;
}

static uint64_t since(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? to_ns - from_ns : 0;
}

void ifd_bench_tally_end(struct ifd_bench_tally *t, const struct ifd_bench_end *e)
{
    t->outcome[e->outcome]++;
    if (e->outcome != IFD_BENCH_ANSWER) {
        t->now.failed++;
        return;
    }
    uint64_t latency = since(e->due_ns, e->end_ns), service = since(e->sent_ns, e->end_ns);
    t->status[e->status]++;
    if (e->status >= 200 && e->status < 300) {
        t->ok++;
        t->ok_in_time += e->in_time;
        t->now.ok++;
        ifd_bench_hist_add(&t->ok_latency, latency);
        ifd_bench_hist_add(&t->ok_service, service);
        ifd_bench_hist_add(&t->interval, latency);
    } else if (e->status == 429 || e->status == 503) {
        t->refused++;
        t->now.refused++;
        ifd_bench_hist_add(&t->refused_latency, latency);
        ifd_bench_hist_add(&t->refused_service, service);
    } else {
        t->now.failed++;
    }
}

void ifd_bench_tally_row(struct ifd_bench_tally *t, double at_s)
{
    t->now.at_s = at_s;
    t->now.p50_ms = (double)ifd_bench_hist_percentile(&t->interval, 500000) / 1e6;
    t->now.p99_ms = (double)ifd_bench_hist_percentile(&t->interval, 990000) / 1e6;
    ifd_buf_add(&t->rows, &t->now, sizeof(t->now));
    t->now = (struct ifd_bench_row){0};
    ifd_bench_hist_clear(&t->interval);
}

void ifd_bench_tally_last_row(struct ifd_bench_tally *t, double at_s)
{
    if (t->now.begun || t->now.ok || t->now.refused || t->now.failed)
        ifd_bench_tally_row(t, at_s);
}

const struct ifd_bench_row *ifd_bench_tally_rows(const struct ifd_bench_tally *t, size_t *count)
{
    *count = t->rows.size / sizeof(struct ifd_bench_row);
    return (const struct ifd_bench_row *)(const void *)t->rows.data; /* from realloc: aligned */
}

uint64_t ifd_bench_tally_ended(const struct ifd_bench_tally *t)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < IFD_BENCH_OUTCOMES; i++)
        sum += t->outcome[i];
    return sum;
}

bool ifd_bench_tally_holds(const struct ifd_bench_tally *t)
{
    uint64_t answers = 0;
    for (size_t i = 0; i < sizeof(t->status) / sizeof(t->status[0]); i++)
        answers += t->status[i];
    return ifd_bench_tally_ended(t) == t->begun && answers == t->outcome[IFD_BENCH_ANSWER];
}
