/* SPDX-License-Identifier: Apache-2.0
 *
 * server.h - the whole server behind one call.
 *
 *     struct ifd_server_config c;
 *     ifd_server_config_defaults(&c);
 *     c.model_dir = "models/sst2-minilm-l6";
 *     inferd_status status = ifd_server_run(&c, &err);
 *
 * ifd_server_run opens the listener at once, loads the model on a thread of its own, serves until
 * SIGTERM or SIGINT, answers what is in flight, and returns; SIGHUP loads the model again. It
 * belongs to the main thread of a process: it installs handlers for those signals for the time that
 * it runs, ignores SIGPIPE, and raises the soft limit of open files. ifd_log_init must have run
 * before. docs/server.md has the threads, the limits and the status codes.
 */
#ifndef IFD_SERVER_SERVER_H
#define IFD_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/truncation.h"

/* Every limit and time-out of the server. A field is named as its option: max_batch_tokens is
 * --max-batch-tokens, keepalive_timeout_ms is --keepalive-timeout. Strings are borrowed until
 * ifd_server_run returns. The range of a number is beside it; ifd_server_config_check refuses
 * others. */
struct ifd_server_config {
    /* model */
    const char *model_dir;         /* required */
    const char *served_model_name; /* 1..128 of A-Z a-z 0-9 . _ -; NULL: the last part of model_dir,
                                    * of whatever characters */
    const char *dtype;             /* NULL = auto */
    const char *tier;              /* NULL = $INFERD_CPU, else the best of this CPU */
    uint32_t max_length;           /* tokens per text; 0 = min(128, the model's limit) */
    uint32_t long_text; /* enum ifd_truncation: what is done with a longer text, unless its
                         * request says; NONE is for requests alone */

    /* listener */
    const char *host;         /* IPv4 or IPv6 address, or "localhost" */
    uint32_t port;            /* 0..65535; 0 = one that the system picks */
    uint32_t max_connections; /* 1..1000000; the oldest idle one makes room for a new one */

    /* threads and batches */
    uint32_t threads;          /* compute threads, 0..1024; 0 = what the cgroup's quota allows */
    uint32_t http_threads;     /* I/O threads, 1..64 */
    uint32_t max_batch_tokens; /* 3..1048576; raised to max_length if below */
    uint32_t max_batch_size;   /* texts, 1..65536 */
    uint32_t batch_wait_us;    /* 0..1000000; only when the batch is not full */
    uint32_t max_queue;        /* inputs waiting, 1..1000000; at least max_inputs */
    uint32_t max_queue_tokens; /* tokens waiting, 3..1073741824; at least one full request */

    /* one request */
    uint32_t max_inputs;       /* 1..65536 */
    uint32_t max_body_bytes;   /* 2..1073741824 */
    uint32_t max_header_bytes; /* request line and headers, 256..1048576 */
    uint32_t max_headers;      /* 1..10000; trailers the same */
    uint32_t max_target_bytes; /* 16..max_header_bytes */

    /* time, in milliseconds */
    uint32_t keepalive_timeout_ms; /* 1..86400000: between requests, and before the first */
    uint32_t header_timeout_ms;    /* 1..86400000: from the first byte of a head to its last */
    uint32_t body_timeout_ms;    /* 1..86400000: from the end of the head to the end of the body */
    uint32_t write_timeout_ms;   /* 1..86400000: to take an answer */
    uint32_t request_timeout_ms; /* 1..86400000: from admission to the answer, unless the request
                                  * asks for less; 429 if it cannot be met, 504 after it */
    uint32_t max_queue_wait_ms;  /* 0..86400000: longest estimated wait in the queue; 0 = no bound
                                  * but the request's time-out */
    uint32_t drain_delay_ms;     /* 0..86400000: from SIGTERM to the closing of the listener */
    uint32_t drain_timeout_ms;   /* 1..86400000: then, for what is in flight */

    const char *api_key_file;   /* who may use the other routes; NULL = everybody */
    const char *tls_cert;       /* PEM, the server's certificate first; NULL = no TLS */
    const char *tls_key;        /* PEM, with tls_cert */
    const char *tls_client_ca;  /* PEM: clients need a certificate of these; NULL = none */
    const char *cors_origin;    /* whose pages may ask from a browser; "*": all; NULL = none */
    const char *uds;            /* a Unix socket to listen on, too; NULL = none */
    uint32_t rate_limit;        /* 0..1000000 requests per second of one client; 0 = any number */
    uint32_t rate_burst;        /* 0..1000000 of them at once; 0 = rate_limit */
    const char *admin_key_file; /* who may use /admin; NULL = nobody, and there is no /admin */
    bool load_at_full_priority; /* models that are swapped in; false: at idle priority */

    bool ui;                      /* the page at / and what belongs to it */
    bool metrics_tei;             /* /metrics has Text Embeddings Inference's names, too */
    bool access_log;              /* one line per request */
    const char *otlp_endpoint;    /* http:// URL of a collector of traces; NULL = no traces */
    const char *otlp_service;     /* the service's name in them; NULL = "inferd" */
    uint32_t otlp_sample_percent; /* 0..100, of the requests whose caller has not decided */
    bool banner; /* print "ready in 0.2 s: http://..." on stderr; default: if it is a terminal */
};

void ifd_server_config_defaults(struct ifd_server_config *config);
/* INFERD_INVALID_ARGUMENT with the option's name and its range. ifd_server_run calls it too. */
IFD_MUST_CHECK inferd_status ifd_server_config_check(const struct ifd_server_config *config,
                                                     inferd_error *err);

/* Blocks until the server has stopped. INFERD_OK after a clean stop by signal; otherwise the reason
 * why it could not start (INFERD_IO: the address; the model's own status) or that the drain
 * time-out cut requests off (INFERD_DEADLINE). A second signal ends it at once (INFERD_CANCELLED).
 */
IFD_MUST_CHECK inferd_status ifd_server_run(const struct ifd_server_config *config,
                                            inferd_error *err);

#endif
