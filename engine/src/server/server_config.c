/* SPDX-License-Identifier: Apache-2.0
 *
 * server_config.c - defaults and ranges of the server's options. docs/server.md repeats the table.
 */
#include <string.h>
#include <unistd.h>

#include "server/server.h"

#define DAY_MS 86400000u

void ifd_server_config_defaults(struct ifd_server_config *c)
{
    *c = (struct ifd_server_config){
        .host = "127.0.0.1",
        .port = 8000,
        .max_connections = 16384,
        .threads = 0,
        .http_threads = 1,
        .max_batch_tokens = 256,
        .max_batch_size = 64,
        .batch_wait_us = 0,
        .max_queue = 1024,
        .max_queue_tokens = 131072,
        .max_inputs = 128,
        .max_body_bytes = 2u << 20,
        .max_header_bytes = 16u << 10,
        .max_headers = 64,
        .max_target_bytes = 4u << 10,
        .keepalive_timeout_ms = 75000,
        .header_timeout_ms = 5000,
        .body_timeout_ms = 30000,
        .write_timeout_ms = 30000,
        .request_timeout_ms = 10000,
        .max_queue_wait_ms = 1000,
        .drain_delay_ms = 0,
        .drain_timeout_ms = 20000,
        .ui = true,
        .banner = isatty(STDERR_FILENO) == 1,
    };
}

/* Safe in a path as it stands. */
static bool is_name(const char *s)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const size_t n = strspn(s, allowed);
    return n >= 1 && n <= 128 && s[n] == '\0';
}

inferd_status ifd_server_config_check(const struct ifd_server_config *c, inferd_error *err)
{
    const struct {
        const char *option;
        uint32_t value, least, most;
    } rows[] = {
        {"--max-length", c->max_length, 0, 1u << 20},
        {"--port", c->port, 0, 65535},
        {"--max-connections", c->max_connections, 1, 1000000},
        {"--threads", c->threads, 0, 1024},
        {"--http-threads", c->http_threads, 1, 64},
        {"--max-batch-tokens", c->max_batch_tokens, 3, 1u << 20},
        {"--max-batch-size", c->max_batch_size, 1, 65536},
        {"--batch-wait-us", c->batch_wait_us, 0, 1000000},
        {"--max-inputs", c->max_inputs, 1, 65536},
        {"--max-queue", c->max_queue, 1, 1000000},
        {"--max-queue-tokens", c->max_queue_tokens, 3, 1u << 30},
        {"--rate-limit", c->rate_limit, 0, 1000000},
        {"--rate-burst", c->rate_burst, 0, 1000000},
        {"--max-body-bytes", c->max_body_bytes, 2, 1u << 30},
        {"--max-header-bytes", c->max_header_bytes, 256, 1u << 20},
        {"--max-headers", c->max_headers, 1, 10000},
        {"--max-target-bytes", c->max_target_bytes, 16, c->max_header_bytes},
        {"--keepalive-timeout (ms)", c->keepalive_timeout_ms, 1, DAY_MS},
        {"--header-timeout (ms)", c->header_timeout_ms, 1, DAY_MS},
        {"--body-timeout (ms)", c->body_timeout_ms, 1, DAY_MS},
        {"--write-timeout (ms)", c->write_timeout_ms, 1, DAY_MS},
        {"--request-timeout (ms)", c->request_timeout_ms, 1, DAY_MS},
        {"--max-queue-wait (ms)", c->max_queue_wait_ms, 0, DAY_MS},
        {"--drain-delay (ms)", c->drain_delay_ms, 0, DAY_MS},
        {"--drain-timeout (ms)", c->drain_timeout_ms, 1, DAY_MS},
    };
    if (!c->model_dir || !c->model_dir[0])
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "--model is needed: a model directory");
    if (c->served_model_name && !is_name(c->served_model_name))
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "--served-model-name must have 1 to 128 of A-Z a-z 0-9 . _ -");
    if (!c->tls_cert != !c->tls_key || (c->tls_client_ca && !c->tls_cert))
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "TLS needs --tls-cert and --tls-key; --tls-client-ca needs them, too");
    if (c->long_text >= IFD_TRUNCATIONS)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "--long-text has no value %u", c->long_text);
    if (!c->host || !c->host[0])
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "--host is needed: an address to listen on");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].value < rows[i].least || rows[i].value > rows[i].most)
            return ifd_fail(err, INFERD_INVALID_ARGUMENT, "%s %u is out of its range %u..%u",
                            rows[i].option, rows[i].value, rows[i].least, rows[i].most);
    if (c->max_queue < c->max_inputs)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "--max-queue %u could never take a request of --max-inputs %u: raise it",
                        c->max_queue, c->max_inputs);
    return INFERD_OK;
}
