/* SPDX-License-Identifier: Apache-2.0
 *
 * bench.c - `inferd bench URL`: put a load on a server and say how it took it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/bench_report.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/source.h"

struct bench {
    struct ifd_bench_settings settings;
    struct ifd_bench_requests requests;
    struct ifd_bench_wire wire;
    struct ifd_bench_tally tally;
    struct ifd_bench_load_result result;
};

static enum ifd_exit fail(enum ifd_exit code, const inferd_error *err)
{
    ifd_say_error("bench: %s", err->message);
    return code;
}

static inferd_status read_texts(const struct ifd_bench_settings *s, struct ifd_bench_texts *texts,
                                inferd_error *err)
{
    if (!s->texts)
        return ifd_bench_texts_built_in(texts, err);
    if (strcmp(s->texts, "-") == 0)
        return ifd_bench_texts_read(texts, STDIN_FILENO, s->format, err);
    int fd = open(s->texts, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ifd_fail(err, INFERD_IO, "%s: cannot be opened: %s", s->texts, strerror(errno));
    inferd_status status = ifd_bench_texts_read(texts, fd, s->format, err);
    close(fd);
    if (status)
        ifd_fail_prefix(err, "%s", s->texts);
    return status;
}

static inferd_status make_requests(struct bench *x, inferd_error *err)
{
    const struct ifd_bench_settings *s = &x->settings;
    const struct ifd_bench_head head = {.url = &s->url,
                                        .method = s->method,
                                        .headers = s->headers,
                                        .header_count = s->header_count};
    struct ifd_bench_texts texts;
    if (strcmp(s->method, "GET") == 0)
        return ifd_bench_requests_make(&x->requests, &head, NULL, 1, false, 0, err);
    ifd_bench_texts_init(&texts);
    inferd_status status = read_texts(s, &texts, err);
    if (!status)
        status = ifd_bench_requests_make(&x->requests, &head, &texts, s->inputs, s->random,
                                         s->load.seed, err);
    ifd_bench_texts_fini(&texts);
    return status;
}

static void report(const struct bench *x, struct ifd_out *out)
{
    const struct ifd_bench_report r = {
        .settings = &x->settings, .wire = &x->wire, .tally = &x->tally, .result = &x->result};
    if (x->settings.json)
        ifd_bench_report_json(&r, &out->buf);
    else if (x->settings.csv)
        ifd_bench_report_csv(&r, &out->buf);
    else
        ifd_bench_report_text(&r, &out->buf);
    if (ifd_bench_saturated(&r))
        ifd_say_notice("bench: the client kept its core busy (%.0f %%): these may be its limits, "
                       "not the server's; a lower --rate, or a second client, tells",
                       100.0 * ifd_bench_rates_of(&r).cpu_share);
}

static enum ifd_exit run_load(struct bench *x, struct ifd_out *out)
{
    inferd_error err;
    const struct ifd_url *url = &x->settings.url;
    x->settings.load.requests = &x->requests;
    x->settings.load.live = ifd_say_terminal();
    inferd_status s = ifd_bench_wire_open(&x->wire, url, x->settings.load.timeout_ms, &err);
    if (s)
        return fail(IFD_EXIT_UNREACHABLE, &err);
    x->wire.labels = x->settings.labels;
    s = ifd_bench_load_run(&x->settings.load, &x->wire, &x->tally, &x->result, &err);
    if (s)
        return fail(s == INFERD_INVALID_ARGUMENT ? IFD_EXIT_USAGE : IFD_EXIT_INTERNAL, &err);
    report(x, out);
    if (!ifd_bench_tally_holds(&x->tally)) {
        ifd_say_error("bench: %llu requests were begun and %llu ended: these figures are wrong, "
                      "and that is a fault of this program",
                      (unsigned long long)x->tally.begun,
                      (unsigned long long)ifd_bench_tally_ended(&x->tally));
        return IFD_EXIT_INTERNAL;
    }
    if (x->result.end == IFD_BENCH_LOAD_UNREACHABLE) {
        ifd_say_error("bench: cannot connect to %s port %s: %s; is the server running there?",
                      url->host, url->port, strerror(x->wire.connect_errno));
        return IFD_EXIT_UNREACHABLE;
    }
    return IFD_EXIT_OK;
}

static enum ifd_exit run_bench(const struct ifd_options *o, struct ifd_out *out)
{
    inferd_error err;
    struct bench *x = ifd_zalloc(sizeof(*x)); /* histograms and buffers: too large for a stack */
    if (!x) {
        ifd_say_error("bench: no memory");
        return IFD_EXIT_INTERNAL;
    }
    enum ifd_exit code = IFD_EXIT_USAGE;
    ifd_bench_tally_init(&x->tally);
    x->wire.epoll = -1;
    if (ifd_bench_settings_make(o, &x->settings, &err)) {
        code = fail(IFD_EXIT_USAGE, &err);
    } else {
        inferd_status s = make_requests(x, &err);
        code = s ? fail(ifd_exit_of_input(s), &err) : run_load(x, out);
    }
    ifd_bench_wire_close(&x->wire);
    ifd_bench_requests_fini(&x->requests);
    ifd_bench_tally_fini(&x->tally);
    ifd_free(x);
    return code;
}

const struct ifd_command ifd_command_bench = {
    .name = "bench",
    .summary = "put a load on a server and measure it",
    .arguments = "URL",
    .about =
        "Sends POST /infer (or what URL says) over plain HTTP/1.1 and counts how each request\n"
        "ended; never sends one again. Times are from when a request was due, so that a server\n"
        "that stalls cannot hide it by slowing the client down, and from when it was sent.\n"
        "Ctrl-C ends early and reports what was done.\n",
    .options = ifd_bench_options,
    .option_count = IFD_BENCH_OPTION_COUNT,
    .args_least = 1,
    .args_most = 1,
    .run = run_bench,
};
