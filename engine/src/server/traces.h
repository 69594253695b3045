/* SPDX-License-Identifier: Apache-2.0
 *
 * traces.h - from finished requests to an OpenTelemetry collector, beside the traffic.
 *
 * I/O threads put spans into a bounded queue; one thread of its own takes them every second, or
 * when the queue is half full, and posts them (OTLP/HTTP, JSON). A collector that is slow, down or
 * wrong costs spans, which are counted, and never a request: a full queue drops, and a batch is
 * given up after the collector's last chance (5 tries, 1 to 8 s apart, as OTLP's retry rules have
 * it: only for 429, 502, 503, 504 and lost connections).
 */
#ifndef IFD_SERVER_TRACES_H
#define IFD_SERVER_TRACES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/http_client.h"
#include "server/span.h"

#define IFD_TRACES_QUEUE 1024u

struct ifd_conn;
struct ifd_request;

struct ifd_traces {
    bool on;
    struct ifd_url collector;
    const char *service;
    char instance[96];

    pthread_mutex_t lock;
    pthread_cond_t wake; /* half full, or to stop */
    struct ifd_span *filling,
        *sending;     /* [IFD_TRACES_QUEUE]; filling: lock; sending: the thread's */
    unsigned waiting; /* lock: spans in filling */
    bool stopping;    /* lock */
    _Atomic uint64_t exported, dropped,
        failed; /* spans: taken by the collector; queue full; given up */
    pthread_t thread;
    bool started;
};

/* `endpoint` NULL or "": off, and the other calls do nothing. An endpoint without a path gets
 * /v1/traces. Borrowed strings live until fini. INFERD_INVALID_ARGUMENT: not an http:// URL. */
IFD_MUST_CHECK inferd_status ifd_traces_init(struct ifd_traces *t, const char *endpoint,
                                             const char *service, inferd_error *err);
/* `instance` tells this server from others: its address. */
IFD_MUST_CHECK inferd_status ifd_traces_start(struct ifd_traces *t, const char *instance,
                                              inferd_error *err);
/* Hands over what is left, for at most two seconds, and joins the thread. */
void ifd_traces_stop(struct ifd_traces *t);
void ifd_traces_fini(struct ifd_traces *t);

/* From any thread; copies. Never blocks for longer than a copy. */
void ifd_traces_add(struct ifd_traces *t, const struct ifd_span *span);
/* From the connection's I/O thread, when the answer to `r` (may be NULL) has been made. */
void ifd_traces_record(const struct ifd_conn *c, const struct ifd_request *r);

#endif
