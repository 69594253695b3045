/* SPDX-License-Identifier: Apache-2.0
 *
 * tune.c - `inferd tune --slo p99=20ms`: the setting of serve that carries the highest rate within
 * a latency goal, on this machine, for this model and these texts.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/jsonout.h"
#include "base/mem.h"
#include "cli/bench_load.h"
#include "cli/command.h"
#include "cli/model_args.h"
#include "cli/say.h"
#include "cli/source.h"
#include "cli/tune_search.h"
#include "cli/tune_server.h"

#define WARMUP_MS 500u
#define SETTINGS_MAX 16u
#define START_RATE 64.0
#define LEAST_RATE 1.0

static const struct ifd_option options[] = {
    {.kind = IFD_OPTION_STRING,
     .name = "slo",
     .value = "GOAL",
     .preset = "p99=20ms",
     .env = "INFERD_TUNE_SLO",
     .help = "a percentile of the latency and what it may be: p50, p90, p95, p99 or p99.9, and a "
             "time"},
    {.kind = IFD_OPTION_DURATION,
     .name = "duration",
     .value = "TIME",
     .preset = "3s",
     .least = 200,
     .most = 600000,
     .env = "INFERD_TUNE_DURATION",
     .help = "of each measurement; a rare percentile needs a longer one"},
    {.kind = IFD_OPTION_COUNT,
     .name = "connections",
     .value = "N",
     .preset = "64",
     .least = 1,
     .most = 10000,
     .env = "INFERD_TUNE_CONNECTIONS",
     .help = "most requests in flight"},
    {.kind = IFD_OPTION_COUNT,
     .name = "inputs",
     .value = "N",
     .preset = "1",
     .least = 1,
     .most = 128,
     .env = "INFERD_TUNE_INPUTS",
     .help = "texts of a request"},
    {.kind = IFD_OPTION_STRING,
     .name = "texts",
     .value = "FILE",
     .env = "INFERD_TUNE_TEXTS",
     .help = "yours, as they will come; without one, built-in sentences of 1 to 60 words"},
    IFD_SOURCE_FORMAT_OPTION,
    {.kind = IFD_OPTION_STRING,
     .name = "output",
     .value = "FILE",
     .env = "",
     .help = "write the setting there, for serve --config"},
    {.kind = IFD_OPTION_FLAG, .name = "json", .help = "one JSON object"},
    IFD_MODEL_DIR_OPTION,
    IFD_MODEL_MAX_LENGTH_OPTION,
    IFD_MODEL_DTYPE_OPTION,
    IFD_MODEL_TIER_OPTION,
};

struct tune {
    const struct ifd_options *o;
    const char *dir;
    struct ifd_tune_goal goal;
    char goal_name[16];
    struct ifd_bench_texts texts;
    struct ifd_tune_server server;
    struct ifd_tune_setting running; /* of the server, when it runs */
    struct ifd_bench_wire wire;
    struct ifd_bench_tally tally;
    unsigned measurements;
};

/* ---- one measurement ----------------------------------------------------------------------- */

static inferd_status start_server(struct tune *t, const struct ifd_tune_setting *s,
                                  inferd_error *err)
{
    char model[PATH_MAX + 16], threads[32], tokens[48], length[32], dtype[32], tier[64];
    const char *args[8] = {model, threads, tokens, length, dtype, NULL};
    if (t->server.pid && memcmp(&t->running, s, sizeof(*s)) == 0)
        return INFERD_OK;
    ifd_tune_server_stop(&t->server);
    snprintf(model, sizeof(model), "--model=%s", t->dir);
    snprintf(threads, sizeof(threads), "--threads=%u", s->threads);
    snprintf(tokens, sizeof(tokens), "--max-batch-tokens=%u", s->max_batch_tokens);
    snprintf(length, sizeof(length), "--max-length=%llu",
             (unsigned long long)ifd_options_number(t->o, "max-length"));
    snprintf(dtype, sizeof(dtype), "--dtype=%s", ifd_options_text(t->o, "dtype"));
    if (ifd_model_tier(t->o)) {
        snprintf(tier, sizeof(tier), "--tier=%s", ifd_model_tier(t->o));
        args[5] = tier;
    }
    t->running = *s;
    return ifd_tune_server_start(&t->server, args, err);
}

static void show(const struct tune *t, const struct ifd_tune_setting *s,
                 const struct ifd_tune_figures *f)
{
    if (ifd_options_flag(t->o, "json"))
        return;
    fprintf(stderr, "  threads %-3u batch %-5u %8.1f/s  %s %7.2f ms  lost %.2f %%  %s\n",
            s->threads, s->max_batch_tokens, f->rate, t->goal_name, f->goal_ms,
            100.0 * f->lost_share, ifd_tune_meets(&t->goal, f) ? "meets" : "misses");
}

static uint64_t timeout_ms(const struct tune *t)
{
    const double ms = 5.0 * t->goal.ms;
    return ms < 500.0 ? 500 : ms > 10000.0 ? 10000 : (uint64_t)ms;
}

static inferd_status load(struct tune *t, const struct ifd_url *url, double rate,
                          struct ifd_tune_figures *out, inferd_error *err)
{
    struct ifd_bench_requests requests = {0};
    const struct ifd_bench_head head = {.url = url, .method = "POST"};
    const struct ifd_bench_load_options o = {
        .requests = &requests,
        .connections = (size_t)ifd_options_number(t->o, "connections"),
        .duration_ms = ifd_options_number(t->o, "duration"),
        .warmup_ms = WARMUP_MS,
        .timeout_ms = timeout_ms(t), /* what is later than that is lost in any case */
        .rate = rate,
        .poisson = true,
        .seed = 1};
    struct ifd_bench_load_result r;
    inferd_status s = ifd_bench_requests_make(
        &requests, &head, &t->texts, (size_t)ifd_options_number(t->o, "inputs"), false, 1, err);
    if (!s)
        s = ifd_bench_wire_open(&t->wire, url, 10000, err);
    if (!s)
        s = ifd_bench_load_run(&o, &t->wire, &t->tally, &r, err);
    if (!s && r.end == IFD_BENCH_LOAD_INTERRUPTED)
        s = ifd_fail(err, INFERD_CANCELLED, "interrupted");
    if (!s)
        *out = (struct ifd_tune_figures){
            .rate = rate,
            .answered = r.window_s > 0.0 ? (double)t->tally.ok_in_time / r.window_s : 0.0,
            .goal_ms = (double)ifd_bench_hist_percentile(&t->tally.ok_latency, t->goal.ppm) / 1e6,
            .median_ms = (double)ifd_bench_hist_percentile(&t->tally.ok_latency, 500000) / 1e6,
            .lost_share =
                t->tally.begun ? 1.0 - (double)t->tally.ok / (double)t->tally.begun : 0.0};
    ifd_bench_wire_close(&t->wire);
    ifd_bench_requests_fini(&requests);
    return s;
}

static inferd_status measure(void *ctx, const struct ifd_tune_setting *setting, double rate,
                             struct ifd_tune_figures *out, inferd_error *err)
{
    struct tune *t = ctx;
    struct ifd_url url;
    char text[sizeof(t->server.url) + 8];
    inferd_status s = start_server(t, setting, err);
    if (s)
        return s;
    snprintf(text, sizeof(text), "%s/infer", t->server.url);
    s = ifd_url_parse(text, &url, err);
    if (s)
        return s;
    ifd_bench_tally_init(&t->tally);
    s = load(t, &url, rate, out, err);
    ifd_bench_tally_fini(&t->tally);
    if (!s) {
        t->measurements++;
        show(t, setting, out);
    }
    return s;
}

/* ---- the goal and the candidates ----------------------------------------------------------- */

static inferd_status read_goal(const char *text, struct tune *t, inferd_error *err)
{
    static const struct {
        const char *name;
        uint32_t ppm;
    } names[] = {
        {"p50", 500000}, {"p90", 900000}, {"p95", 950000}, {"p99", 990000}, {"p99.9", 999000}};
    const size_t n = strcspn(text, "=");
    uint64_t ms = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i].name) == n && memcmp(names[i].name, text, n) == 0 && text[n] &&
            ifd_option_number(IFD_OPTION_DURATION, text + n + 1, &ms) && ms > 0 && ms <= 60000) {
            t->goal =
                (struct ifd_tune_goal){.ppm = names[i].ppm, .ms = (double)ms, .lost_share = 0.001};
            snprintf(t->goal_name, sizeof(t->goal_name), "%s", names[i].name);
            return INFERD_OK;
        }
    return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                    "--slo %.40s: must be p50, p90, p95, p99 or p99.9, '=', and a time up to 60s, "
                    "such as p99=20ms",
                    text);
}

static void add_setting(struct ifd_tune_setting *list, size_t *count, unsigned threads,
                        unsigned tokens)
{
    for (size_t i = 0; i < *count; i++)
        if (list[i].threads == threads && list[i].max_batch_tokens == tokens)
            return;
    if (threads > 0 && *count < SETTINGS_MAX)
        list[(*count)++] = (struct ifd_tune_setting){threads, tokens};
}

/* The default first, then what differs from it in one way. */
static size_t make_settings(struct ifd_tune_setting *list)
{
    const unsigned budget = ifd_cpu_budget();
    size_t count = 0;
    add_setting(list, &count, budget, 256);
    add_setting(list, &count, budget, 128);
    add_setting(list, &count, budget, 512);
    add_setting(list, &count, budget, 1024);
    add_setting(list, &count, budget - 1, 256); /* a processor for the I/O thread and the client */
    add_setting(list, &count, budget / 2, 256);
    return count;
}

/* A wait that leaves room for computing: under overload, accepted requests then keep the goal. */
static unsigned queue_wait_ms(const struct tune *t, const struct ifd_tune_figures *f)
{
    const double left = t->goal.ms - 2.0 * f->median_ms;
    const double wait = left > t->goal.ms / 4 ? left : t->goal.ms / 4;
    return wait < 1.0 ? 1 : (unsigned)wait;
}

/* ---- telling ------------------------------------------------------------------------------- */

static void add_config(const struct tune *t, const struct ifd_tune_setting *s,
                       const struct ifd_tune_figures *f, struct ifd_buf *b)
{
    ifd_buf_printf(b,
                   "# inferd tune --slo %s: %.0f requests/s with %s %.1f ms\n"
                   "threads = %u\nmax-batch-tokens = %u\nmax-queue-wait = %ums\n",
                   ifd_options_text(t->o, "slo"), f->rate, t->goal_name, f->goal_ms, s->threads,
                   s->max_batch_tokens, queue_wait_ms(t, f));
}

static void tell(const struct tune *t, const struct ifd_tune_setting *s,
                 const struct ifd_tune_figures *f, const struct ifd_tune_figures *preset,
                 struct ifd_buf *b)
{
    ifd_buf_printf(b, "%.0f requests/s within %s: %s %.2f ms, median %.2f ms", f->rate,
                   ifd_options_text(t->o, "slo"), t->goal_name, f->goal_ms, f->median_ms);
    if (preset->rate > 0.0)
        ifd_buf_printf(b, " (the defaults: %.0f)", preset->rate);
    ifd_buf_printf(b,
                   "\nThe load came from this machine and took its share of the processors; %u "
                   "measurements.\n\n"
                   "inferd serve --model %s --threads %u --max-batch-tokens %u --max-queue-wait "
                   "%ums\n\n",
                   t->measurements, t->dir, s->threads, s->max_batch_tokens, queue_wait_ms(t, f));
    add_config(t, s, f, b);
}

static void tell_json(const struct tune *t, const struct ifd_tune_setting *s,
                      const struct ifd_tune_figures *f, const struct ifd_tune_figures *preset,
                      struct ifd_buf *b)
{
    ifd_buf_add_str(b, "{\"slo\":");
    ifd_jsonout_cstr(b, ifd_options_text(t->o, "slo"));
    ifd_buf_printf(b, ",\"met\":%s,\"measurements\":%u", f->rate > 0.0 ? "true" : "false",
                   t->measurements);
    ifd_buf_printf(b, ",\"requests_per_s\":%.1f,\"percentile_ms\":%.3f,\"median_ms\":%.3f", f->rate,
                   f->goal_ms, f->median_ms);
    ifd_buf_printf(b, ",\"default_requests_per_s\":%.1f", preset->rate);
    ifd_buf_printf(
        b, ",\"setting\":{\"threads\":%u,\"max_batch_tokens\":%u,\"max_queue_wait_ms\":%u}}\n",
        s->threads, s->max_batch_tokens, queue_wait_ms(t, f));
}

static enum ifd_exit write_config(const struct tune *t, const struct ifd_tune_setting *s,
                                  const struct ifd_tune_figures *f)
{
    const char *path = ifd_options_text(t->o, "output");
    struct ifd_buf b;
    ifd_buf_init(&b, 4096);
    add_config(t, s, f, &b);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool good = fd >= 0 && !b.failed && write(fd, b.data, b.size) == (ssize_t)b.size;
    if (!good)
        ifd_say_error("tune: %s: cannot be written: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    ifd_buf_fini(&b);
    return good ? IFD_EXIT_OK : IFD_EXIT_IO;
}

/* ---- the command --------------------------------------------------------------------------- */

static inferd_status read_texts(struct tune *t, inferd_error *err)
{
    const char *name = ifd_options_text(t->o, "texts");
    if (!name)
        return ifd_bench_texts_built_in(&t->texts, err);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ifd_fail(err, INFERD_IO, "%s: cannot be opened: %s", name, strerror(errno));
    inferd_status s = ifd_bench_texts_read(
        &t->texts, fd, (enum ifd_records_format)ifd_options_number(t->o, "format"), err);
    close(fd);
    return s ? ifd_fail_prefix(err, "%s", name) : INFERD_OK;
}

static enum ifd_exit search(struct tune *t, struct ifd_out *out)
{
    struct ifd_tune_setting list[SETTINGS_MAX];
    struct ifd_tune_figures preset, top;
    size_t best = 0;
    inferd_error err;
    const size_t count = make_settings(list);
    inferd_status s = ifd_tune_search(&t->goal, list, count, START_RATE, LEAST_RATE, measure, t,
                                      &preset, &best, &top, &err);
    ifd_tune_server_stop(&t->server);
    if (s) {
        ifd_say_error("tune: %s", err.message);
        return s == INFERD_CANCELLED ? IFD_EXIT_INTERNAL : IFD_EXIT_MODEL;
    }
    if (ifd_options_flag(t->o, "json"))
        tell_json(t, &list[best], &top, &preset, &out->buf);
    if (top.rate == 0.0) {
        ifd_say_error(
            "tune: no setting meets %s at even %.0f request/s: `inferd doctor` says what one "
            "text takes; a goal must be above that",
            ifd_options_text(t->o, "slo"), LEAST_RATE);
        return IFD_EXIT_UNFIT;
    }
    if (!ifd_options_flag(t->o, "json"))
        tell(t, &list[best], &top, &preset, &out->buf);
    return ifd_options_text(t->o, "output") ? write_config(t, &list[best], &top) : IFD_EXIT_OK;
}

static enum ifd_exit run_tune(const struct ifd_options *o, struct ifd_out *out)
{
    char path[PATH_MAX + 64];
    inferd_error err;
    enum ifd_exit code = IFD_EXIT_USAGE;
    struct tune *t = ifd_zalloc(sizeof(*t)); /* histograms: too large for a stack */
    if (!t) {
        ifd_say_error("tune: no memory");
        return IFD_EXIT_INTERNAL;
    }
    t->o = o;
    t->wire.epoll = -1;
    ifd_bench_texts_init(&t->texts);
    if (read_goal(ifd_options_text(o, "slo"), t, &err)) {
        ifd_say_error("tune: %s", err.message);
    } else if (ifd_model_dir(o, path, sizeof(path), &t->dir, &err)) {
        ifd_say_error("tune: %s", err.message);
        code = IFD_EXIT_MODEL;
    } else if (read_texts(t, &err)) {
        ifd_say_error("tune: %s", err.message);
        code = IFD_EXIT_INPUT;
    } else {
        code = search(t, out);
    }
    ifd_bench_texts_fini(&t->texts);
    ifd_free(t);
    return code;
}

const struct ifd_command ifd_command_tune = {
    .name = "tune",
    .summary = "find the setting of serve that carries most within a latency goal",
    .arguments = "",
    .about =
        "Starts servers on this machine one after the other, puts open loads of rising rates\n"
        "on each, and prints the setting with the highest rate that meets the goal with at\n"
        "most 0.1 % of the requests lost: as a command line, and as lines for serve --config.\n"
        "Takes a minute or two; run it where and when nothing else runs.\n",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .run = run_tune,
};
