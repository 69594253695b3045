/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_options.h"

#include <string.h>

#define DEFAULT_DURATION_MS 10000u

const struct ifd_option ifd_bench_options[IFD_BENCH_OPTION_COUNT] = {
    {.kind = IFD_OPTION_SECTION, .name = "Load"},
    {.kind = IFD_OPTION_COUNT,
     .name = "connections",
     .value = "N",
     .env = "INFERD_BENCH_CONNECTIONS",
     .preset = "16",
     .least = 1,
     .most = 60000,
     .help = "keep-alive connections: so many requests are in flight at most"},
    {.kind = IFD_OPTION_COUNT,
     .name = "requests",
     .value = "N",
     .env = "INFERD_BENCH_REQUESTS",
     .preset = "0",
     .most = 1000000000000u,
     .help = "end after that many; 0: no such limit"},
    {.kind = IFD_OPTION_DURATION,
     .name = "duration",
     .value = "TIME",
     .env = "INFERD_BENCH_DURATION",
     .preset = "0",
     .most = 86400000,
     .help = "end after that time; 0: with --requests no such limit, else 10s"},
    {.kind = IFD_OPTION_DURATION,
     .name = "warmup",
     .value = "TIME",
     .env = "INFERD_BENCH_WARMUP",
     .preset = "0",
     .most = 3600000,
     .help = "load before that; its requests are in no figure"},
    {.kind = IFD_OPTION_COUNT,
     .name = "rate",
     .value = "N",
     .env = "INFERD_BENCH_RATE",
     .preset = "0",
     .most = 10000000,
     .help = "open loop: that many requests per second are due whatever the server does; 0: closed "
             "loop, each connection sends its next request when it has its answer"},
    {.kind = IFD_OPTION_CHOICE,
     .name = "arrivals",
     .value = "KIND",
     .env = "INFERD_BENCH_ARRIVALS",
     .preset = "constant",
     .choices = "constant|poisson",
     .help = "gaps of an open loop: equal, or random as of many independent users"},
    {.kind = IFD_OPTION_DURATION,
     .name = "timeout",
     .value = "TIME",
     .env = "INFERD_BENCH_TIMEOUT",
     .preset = "10s",
     .least = 1,
     .most = 600000,
     .help = "from when a request is due to the end of its answer; then its connection is closed"},
    {.kind = IFD_OPTION_COUNT,
     .name = "seed",
     .value = "N",
     .env = "INFERD_BENCH_SEED",
     .preset = "1",
     .most = UINT64_MAX,
     .help = "of everything random: the same seed sends the same requests at the same times"},
    {.kind = IFD_OPTION_SECTION, .name = "Requests"},
    {.kind = IFD_OPTION_CHOICE,
     .name = "method",
     .value = "METHOD",
     .env = "INFERD_BENCH_METHOD",
     .preset = "POST",
     .choices = "POST|GET",
     .help = "GET sends no body: for any page"},
    {.kind = IFD_OPTION_STRING,
     .name = "texts",
     .value = "FILE",
     .env = "INFERD_BENCH_TEXTS",
     .help = "texts to send, - for standard input; without it 40 sentences that are built in"},
    {.kind = IFD_OPTION_CHOICE,
     .name = "format",
     .value = "FORMAT",
     .env = "INFERD_BENCH_FORMAT",
     .preset = "text",
     .choices = "text|tsv|jsonl",
     .help = "what a line of that file is; a TSV has column names and one of them is \"text\" or "
             "stands alone beside \"label\""},
    {.kind = IFD_OPTION_COUNT,
     .name = "inputs",
     .value = "N",
     .env = "INFERD_BENCH_INPUTS",
     .preset = "1",
     .least = 1,
     .most = 65536,
     .help = "texts per request"},
    {.kind = IFD_OPTION_CHOICE,
     .name = "order",
     .value = "ORDER",
     .env = "INFERD_BENCH_ORDER",
     .preset = "sequential",
     .choices = "sequential|random",
     .help = "texts in turn, or drawn at random for 4096 requests that are sent in turn"},
    {.kind = IFD_OPTION_LIST,
     .name = "header",
     .value = "'NAME: VALUE'",
     .env = "INFERD_BENCH_HEADER",
     .help = "a header of each request; may be given again"},
    {.kind = IFD_OPTION_COUNT,
     .name = "expect-labels",
     .value = "N",
     .env = "INFERD_BENCH_EXPECT_LABELS",
     .preset = "0",
     .most = 65536,
     .help = "a 2xx answer must hold that many keys \"label\", or it is a wrong_answer; 0: not "
             "looked at"},
    {.kind = IFD_OPTION_SECTION, .name = "Output"},
    {.kind = IFD_OPTION_FLAG,
     .name = "json",
     .env = "INFERD_BENCH_JSON",
     .help = "one object; docs/bench.md has its fields"},
    {.kind = IFD_OPTION_FLAG,
     .name = "csv",
     .env = "INFERD_BENCH_CSV",
     .help = "a line of column names and a line of figures"},
    {.kind = IFD_OPTION_DURATION,
     .name = "report-interval",
     .value = "TIME",
     .env = "INFERD_BENCH_REPORT_INTERVAL",
     .preset = "1s",
     .most = 3600000,
     .help = "length of the JSON's intervals; 0: none"},
};

static inferd_status make_headers(const struct ifd_options *o, struct ifd_bench_settings *s,
                                  inferd_error *err)
{
    const char *header;
    while ((header = ifd_options_item(o, "header", s->header_count))) {
        inferd_status status = ifd_bench_header_check(header, err);
        if (status)
            return status;
        s->headers[s->header_count++] = header;
    }
    return INFERD_OK;
}

/* "http://host:port" means the route that this command is for. */
static inferd_status make_url(const char *text, struct ifd_url *out, inferd_error *err)
{
    inferd_status s = ifd_url_parse(text, out, err);
    const char *authority = s ? "" : text + strlen("http://");
    if (!s && !authority[strcspn(authority, "/?#")])
        memcpy(out->path, "/infer", sizeof("/infer"));
    return s;
}

inferd_status ifd_bench_settings_make(const struct ifd_options *o, struct ifd_bench_settings *out,
                                      inferd_error *err)
{
    struct ifd_bench_settings s = {
        .load =
            {
                .connections = (size_t)ifd_options_number(o, "connections"),
                .request_count = ifd_options_number(o, "requests"),
                .duration_ms = ifd_options_number(o, "duration"),
                .warmup_ms = ifd_options_number(o, "warmup"),
                .timeout_ms = ifd_options_number(o, "timeout"),
                .interval_ms = ifd_options_number(o, "report-interval"),
                .rate = (double)ifd_options_number(o, "rate"),
                .poisson = ifd_options_number(o, "arrivals") == 1,
                .seed = ifd_options_number(o, "seed"),
            },
        .method = ifd_options_text(o, "method"),
        .texts = ifd_options_text(o, "texts"),
        .format = (enum ifd_records_format)ifd_options_number(o, "format"),
        .inputs = (size_t)ifd_options_number(o, "inputs"),
        .random = ifd_options_number(o, "order") == 1,
        .labels = (uint32_t)ifd_options_number(o, "expect-labels"),
        .json = ifd_options_flag(o, "json"),
        .csv = ifd_options_flag(o, "csv"),
    };
    if (!s.load.request_count && !s.load.duration_ms)
        s.load.duration_ms = DEFAULT_DURATION_MS;
    if (s.json && s.csv)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "give one of --json and --csv");
    if (s.load.poisson && s.load.rate == 0.0)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "--arrivals poisson is for an open loop: give a --rate too");
    if (s.texts && strcmp(s.method, "GET") == 0)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "--method GET sends no body: leave --texts out");
    inferd_status status = make_url(o->args[0], &s.url, err);
    if (!status)
        status = make_headers(o, &s, err);
    if (!status)
        *out = s;
    return status;
}
