/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges repeat ifd_server_config_check, so that a message can say where a value came from; a test
 * holds both against each other.
 */
#include "cli/serve_options.h"

#include "cli/model_args.h"

#define DAY_MS 86400000u

#define SECTION(title)                              \
    {                                               \
        .kind = IFD_OPTION_SECTION, .name = (title) \
    }
#define COUNT(option, from, to, text)                                                            \
    {                                                                                            \
        .kind = IFD_OPTION_COUNT, .name = (option), .value = "N", .least = (from), .most = (to), \
        .help = (text)                                                                           \
    }
#define BYTES(option, from, to, text)                                                 \
    {                                                                                 \
        .kind = IFD_OPTION_BYTES, .name = (option), .value = "SIZE", .least = (from), \
        .most = (to), .help = (text)                                                  \
    }
#define TIME(option, from, text)                                                         \
    {                                                                                    \
        .kind = IFD_OPTION_DURATION, .name = (option), .value = "TIME", .least = (from), \
        .most = DAY_MS, .help = (text)                                                   \
    }

const struct ifd_option ifd_serve_options[] = {
    SECTION("Model"),
    IFD_MODEL_DIR_OPTION,
    IFD_MODEL_MAX_LENGTH_OPTION,
    IFD_MODEL_DTYPE_OPTION,
    IFD_MODEL_TIER_OPTION,
    {.kind = IFD_OPTION_STRING,
     .name = "served-model-name",
     .value = "NAME",
     .help = "what clients call the model; the last part of its directory's name by default"},
    {.kind = IFD_OPTION_CHOICE,
     .name = "long-text",
     .value = "HOW",
     .preset = "truncate",
     .choices = "truncate|head_tail|window_mean|window_max",
     .help = "what is done with a text of more than --max-length tokens, where its request does "
             "not say"},

    SECTION("Listener"),
    {.kind = IFD_OPTION_STRING,
     .name = "host",
     .value = "ADDRESS",
     .preset = "127.0.0.1",
     .help = "IPv4 or IPv6 address to listen on; 0.0.0.0 or :: for all"},
    COUNT("port", 0, 65535, "TCP port; 0 lets the system pick one, which the log tells"),
    COUNT("max-connections", 1, 1000000,
          "open connections; the oldest idle one makes room for a new one"),

    SECTION("Threads and batches"),
    COUNT("threads", 0, 1024, "threads that compute; 0 means as many as this process may use"),
    COUNT("http-threads", 1, 64, "threads that read, parse, tokenize and answer"),
    COUNT("max-batch-tokens", 3, 1u << 20,
          "tokens computed at once; raised to --max-length if below"),
    COUNT("max-batch-size", 1, 65536, "texts computed at once"),
    COUNT("batch-wait-us", 0, 1000000,
          "microseconds that a batch that is not full waits for more; 0 never waits"),
    COUNT("max-queue", 1, 1000000, "inputs that may wait; more are answered with 429"),
    COUNT("max-queue-tokens", 3, 1u << 30, "tokens that may wait; more are answered with 429"),

    SECTION("One request"),
    COUNT("max-inputs", 1, 65536, "inputs of one request"),
    BYTES("max-body-bytes", 2, 1u << 30, "largest body"),
    BYTES("max-header-bytes", 256, 1u << 20, "largest request line and headers together"),
    COUNT("max-headers", 1, 10000, "number of headers"),
    BYTES("max-target-bytes", 16, 1u << 20, "longest request target; not above --max-header-bytes"),

    SECTION("Time"),
    TIME("keepalive-timeout", 1, "between two requests of a connection, and before the first"),
    TIME("header-timeout", 1, "from the first byte of a request to the end of its headers"),
    TIME("body-timeout", 1, "from the end of the headers to the end of the body"),
    TIME("write-timeout", 1, "for a client to take an answer"),
    TIME("request-timeout", 1,
         "from admission to the answer, where a request does not ask for less; 504 after it"),
    TIME("max-queue-wait", 0,
         "longest estimated wait of a request; a longer one is answered with 429 at once. 0 means "
         "no bound but the request's own time-out"),
    TIME("drain-delay", 0, "from SIGTERM, when /readyz says no, to the closing of the listener"),
    TIME("drain-timeout", 1, "then, for requests in flight"),

    SECTION("For a person"),
    {.kind = IFD_OPTION_CHOICE,
     .name = "ui",
     .value = "on|off",
     .preset = "on",
     .choices = "off|on",
     .help = "the page at / for a browser, and /docs; off leaves / to its list of routes"},

    SECTION("Trust"),
    {.kind = IFD_OPTION_STRING,
     .name = "api-key-file",
     .value = "FILE",
     .help = "a key per line; requests need one of them, probes do not"},
    {.kind = IFD_OPTION_STRING,
     .name = "tls-cert",
     .value = "FILE",
     .help = "certificate chain in PEM: the port speaks TLS 1.2 and 1.3; read again when it "
             "changes, as the next two are"},
    {.kind = IFD_OPTION_STRING,
     .name = "tls-key",
     .value = "FILE",
     .help = "the certificate's private key in PEM"},
    {.kind = IFD_OPTION_STRING,
     .name = "tls-client-ca",
     .value = "FILE",
     .help = "authorities in PEM: clients need a certificate of one of them"},
    COUNT("rate-limit", 0, 1000000,
          "requests per second of one client (an API key, or an address); more are answered with "
          "429. 0 means no limit"),
    COUNT("rate-burst", 0, 1000000, "of them at once; 0 means as many as --rate-limit"),
    {.kind = IFD_OPTION_STRING,
     .name = "cors-origin",
     .value = "ORIGIN",
     .help = "whose pages may ask from a browser, as https://example.org, or * for all; none "
             "without it"},
    {.kind = IFD_OPTION_STRING,
     .name = "uds",
     .value = "PATH",
     .help = "a Unix socket to listen on, too"},

    SECTION("Administration"),
    {.kind = IFD_OPTION_STRING,
     .name = "admin-key-file",
     .value = "FILE",
     .help = "a key per line, for the routes under /admin; without it there are none"},
    {.kind = IFD_OPTION_CHOICE,
     .name = "load-priority",
     .value = "PRIORITY",
     .preset = "idle",
     .choices = "idle|normal",
     .help = "of loads while serving: idle takes only processor time that nobody wants"},

    SECTION("Logs"),
    {.kind = IFD_OPTION_CHOICE,
     .name = "log-format",
     .value = "FORMAT",
     .preset = "auto",
     .choices = "auto|text|json",
     .help = "lines on stderr; auto is text on a terminal and JSON otherwise"},
    {.kind = IFD_OPTION_CHOICE,
     .name = "log-level",
     .value = "LEVEL",
     .preset = "info",
     .choices = "debug|info|warn|error",
     .help = "the least level that is written"},
    {.kind = IFD_OPTION_FLAG, .name = "access-log", .help = "one line per request"},
    {.kind = IFD_OPTION_CHOICE,
     .name = "metrics-compat",
     .value = "none|tei",
     .preset = "none",
     .choices = "none|tei",
     .help = "/metrics under other names, too: those of Text Embeddings Inference, for its "
             "dashboards and autoscaling rules"},
    {.kind = IFD_OPTION_STRING,
     .name = "otlp-endpoint",
     .value = "URL",
     .help =
         "an OpenTelemetry collector, such as http://127.0.0.1:4318, that gets traces of requests "
         "(OTLP/HTTP, JSON)"},
    {.kind = IFD_OPTION_STRING,
     .name = "otlp-service",
     .value = "NAME",
     .preset = "inferd",
     .help = "service.name in the traces"},
    COUNT(
        "otlp-sample-percent", 0, 100,
        "of the requests without a traceparent header, how many are traced; with one, its sampled "
        "flag decides"),
    {.kind = IFD_OPTION_STRING,
     .name = "config",
     .value = "FILE",
     .help =
         "lines of `name = value`, each an option of this list; the environment and the command "
         "line are stronger"},
    {.kind = IFD_OPTION_FLAG,
     .name = "print-config",
     .env = "",
     .help = "print every value and where it came from, and stop"},
};

/* Where the numbers go. */
static const struct {
    const char *option;
    size_t offset;
} fields[] = {
#define FIELD(option, member)                                \
    {                                                        \
        (option), offsetof(struct ifd_server_config, member) \
    }
    FIELD("max-length", max_length),
    FIELD("port", port),
    FIELD("max-connections", max_connections),
    FIELD("threads", threads),
    FIELD("http-threads", http_threads),
    FIELD("max-batch-tokens", max_batch_tokens),
    FIELD("max-batch-size", max_batch_size),
    FIELD("batch-wait-us", batch_wait_us),
    FIELD("max-queue", max_queue),
    FIELD("max-queue-tokens", max_queue_tokens),
    FIELD("max-inputs", max_inputs),
    FIELD("max-body-bytes", max_body_bytes),
    FIELD("max-header-bytes", max_header_bytes),
    FIELD("max-headers", max_headers),
    FIELD("max-target-bytes", max_target_bytes),
    FIELD("keepalive-timeout", keepalive_timeout_ms),
    FIELD("header-timeout", header_timeout_ms),
    FIELD("body-timeout", body_timeout_ms),
    FIELD("write-timeout", write_timeout_ms),
    FIELD("request-timeout", request_timeout_ms),
    FIELD("max-queue-wait", max_queue_wait_ms),
    FIELD("drain-delay", drain_delay_ms),
    FIELD("drain-timeout", drain_timeout_ms),
    FIELD("otlp-sample-percent", otlp_sample_percent),
    FIELD("rate-limit", rate_limit),
    FIELD("rate-burst", rate_burst),
#undef FIELD
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static uint32_t *field_of(struct ifd_server_config *c, size_t i)
{
    return (uint32_t *)(void *)((char *)c + fields[i].offset);
}

void ifd_serve_prepare(struct ifd_options *o)
{
    struct ifd_server_config c;
    ifd_server_config_defaults(&c);
    for (size_t i = 0; i < FIELDS; i++)
        ifd_options_preset(o, fields[i].option, *field_of(&c, i));
}

/* In the order of --long-text's choices. */
static const uint8_t long_texts[] = {IFD_TRUNCATION_RIGHT, IFD_TRUNCATION_HEAD_TAIL,
                                     IFD_TRUNCATION_WINDOW_MEAN, IFD_TRUNCATION_WINDOW_MAX};

void ifd_serve_config(const struct ifd_options *o, struct ifd_server_config *c)
{
    ifd_server_config_defaults(c);
    for (size_t i = 0; i < FIELDS; i++)
        *field_of(c, i) = (uint32_t)ifd_options_number(o, fields[i].option);
    c->long_text = long_texts[ifd_options_number(o, "long-text")];
    c->served_model_name = ifd_options_text(o, "served-model-name");
    c->dtype = ifd_options_text(o, "dtype");
    c->tier = ifd_model_tier(o);
    c->host = ifd_options_text(o, "host");
    c->api_key_file = ifd_options_text(o, "api-key-file");
    c->tls_cert = ifd_options_text(o, "tls-cert");
    c->tls_key = ifd_options_text(o, "tls-key");
    c->tls_client_ca = ifd_options_text(o, "tls-client-ca");
    c->cors_origin = ifd_options_text(o, "cors-origin");
    c->uds = ifd_options_text(o, "uds");
    c->admin_key_file = ifd_options_text(o, "admin-key-file");
    c->load_at_full_priority = ifd_options_number(o, "load-priority") == 1; /* idle|normal */
    c->ui = ifd_options_number(o, "ui") == 1;                               /* off|on */
    c->metrics_tei = ifd_options_number(o, "metrics-compat") == 1;          /* none|tei */
    c->access_log = ifd_options_flag(o, "access-log");
    c->otlp_endpoint = ifd_options_text(o, "otlp-endpoint");
    c->otlp_service = ifd_options_text(o, "otlp-service");
}
