/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_tally.h - what became of the requests: each that was begun ends in exactly one outcome, and
 * the sum is checked (ifd_bench_tally_holds). Times, and a row for each interval. One owner.
 *
 * Latency counts from when a request was due, service time from its first byte on the wire. A
 * client that waits for a stalled server before it sends the next request omits the very requests
 * that would have been slow ("coordinated omission", Gil Tene; wrk2 measures as done here). In an
 * open loop the difference between the two is that omission.
 */
#ifndef IFD_CLI_BENCH_TALLY_H
#define IFD_CLI_BENCH_TALLY_H

#include <stdbool.h>

#include "base/buf.h"
#include "cli/bench_hist.h"

/* X(name, name in reports, what it means). Names are an interface (docs/bench.md). */
#define IFD_BENCH_OUTCOME_MAP(X)                                                              \
    X(ANSWER, "answer", "a complete answer, counted by its status")                           \
    X(WRONG_ANSWER, "wrong_answer", "a 2xx answer without the number of labels expected")     \
    X(CONNECT_REFUSED, "connect_refused", "nothing listens there")                            \
    X(CONNECT_FAILED, "connect_failed", "no connection for another reason")                   \
    X(RESET_FRESH, "reset_before_answer_fresh", "reset on a new connection, no byte came")    \
    X(RESET_REUSED, "reset_before_answer_reused", "reset on one that had answered before")    \
    X(CLOSED_FRESH, "closed_before_answer_fresh", "closed on a new connection, no byte came") \
    X(CLOSED_REUSED, "closed_before_answer_reused", "closed on one that had answered before") \
    X(TRUNCATED, "truncated", "the connection ended inside the answer")                       \
    X(MALFORMED, "malformed_answer", "not HTTP/1, or its end is uncertain")                   \
    X(TIMEOUT, "timeout", "not answered within --timeout of being due")                       \
    X(NOT_SENT, "not_sent", "no connection was free for it in time")                          \
    X(INTERRUPTED, "interrupted", "in flight when the run was interrupted")

enum ifd_bench_outcome {
#define IFD_BENCH_OUTCOME_ENUM_(name, text, about) IFD_BENCH_##name,
    IFD_BENCH_OUTCOME_MAP(IFD_BENCH_OUTCOME_ENUM_)
#undef IFD_BENCH_OUTCOME_ENUM_
        IFD_BENCH_OUTCOMES
};
const char *ifd_bench_outcome_name(enum ifd_bench_outcome outcome);
const char *ifd_bench_outcome_about(enum ifd_bench_outcome outcome);

struct ifd_bench_row { /* one interval; times from the end of the warm-up */
    double at_s;       /* its end */
    uint64_t begun, ok, refused, failed;
    double p50_ms, p99_ms; /* latency of ok; 0 when there was none */
};

struct ifd_bench_tally {
    uint64_t begun; /* due (open loop) or started (closed loop) */
    uint64_t outcome[IFD_BENCH_OUTCOMES];
    uint64_t status[600]; /* of ANSWER, by code */
    uint64_t ok;          /* answers with 2xx */
    uint64_t refused;     /* answers with 429 or 503 */
    uint64_t ok_in_time;  /* ok that came before the load ended */
    struct ifd_bench_hist ok_latency, ok_service, refused_latency, refused_service;
    struct ifd_bench_hist late; /* open loop: due to noticed. The client's own part of a latency */
    struct ifd_buf rows;        /* of struct ifd_bench_row */
    /* private */
    struct ifd_bench_row now;
    struct ifd_bench_hist interval;
};

struct ifd_bench_end { /* how one request ended */
    enum ifd_bench_outcome outcome;
    int status; /* of ANSWER */
    uint64_t due_ns, sent_ns, end_ns;
    bool in_time; /* before the load ended */
};

void ifd_bench_tally_init(struct ifd_bench_tally *t);
void ifd_bench_tally_fini(struct ifd_bench_tally *t);
void ifd_bench_tally_begin(struct ifd_bench_tally *t);
void ifd_bench_tally_end(struct ifd_bench_tally *t, const struct ifd_bench_end *e);
/* Ends the interval at that time; the next begins. */
void ifd_bench_tally_row(struct ifd_bench_tally *t, double at_s);
/* The same for what is left, if anything is. */
void ifd_bench_tally_last_row(struct ifd_bench_tally *t, double at_s);
const struct ifd_bench_row *ifd_bench_tally_rows(const struct ifd_bench_tally *t, size_t *count);
/* Requests that have ended: the sum over outcomes. */
uint64_t ifd_bench_tally_ended(const struct ifd_bench_tally *t);
/* The law, for when nothing is in flight: begun == sum of outcomes, answers == sum of statuses. */
bool ifd_bench_tally_holds(const struct ifd_bench_tally *t);

#endif
