/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_load.h - a run: which request begins when, on which connection, and when it is over.
 *
 * Closed loop: each connection sends its next request as soon as it has its answer. Open loop:
 * requests are due at times that do not depend on the server; as many are in flight as there are
 * connections, the rest wait in the client, and one that has waited for its whole time-out ends as
 * not_sent. One thread, one epoll instance, no allocation once it runs.
 */
#ifndef IFD_CLI_BENCH_LOAD_H
#define IFD_CLI_BENCH_LOAD_H

#include "cli/bench_conn.h"
#include "cli/bench_requests.h"
#include "cli/bench_tally.h"

struct ifd_bench_load_options {
    const struct ifd_bench_requests *requests;
    size_t connections;
    uint64_t request_count; /* after the warm-up; 0: no limit */
    uint64_t duration_ms;   /* after the warm-up; 0: no limit. One of the two is set */
    uint64_t warmup_ms;
    uint64_t timeout_ms;
    uint64_t interval_ms; /* of the rows; 0: none */
    double rate;          /* per second; 0: closed loop */
    bool poisson;
    uint64_t seed;
    bool live; /* a line on stderr each second */
};

enum ifd_bench_load_end {
    IFD_BENCH_LOAD_COMPLETE,
    IFD_BENCH_LOAD_INTERRUPTED, /* SIGINT or SIGTERM */
    IFD_BENCH_LOAD_UNREACHABLE, /* the first request of every connection could not connect */
};

struct ifd_bench_load_result {
    enum ifd_bench_load_end end;
    uint64_t warmup_requests;        /* that ended outside the figures */
    double window_s;                 /* end of the warm-up to the end of the load */
    double elapsed_s;                /* end of the warm-up to the last outcome */
    double cpu_user_s, cpu_system_s; /* of this process within elapsed_s */
    uint64_t bytes_sent, bytes_received;
};

/* Catches SIGINT and SIGTERM while it runs. INFERD_NO_MEMORY, INFERD_INVALID_ARGUMENT (more
 * connections than this process may open), INFERD_IO. */
IFD_MUST_CHECK inferd_status ifd_bench_load_run(const struct ifd_bench_load_options *options,
                                                struct ifd_bench_wire *wire,
                                                struct ifd_bench_tally *tally,
                                                struct ifd_bench_load_result *out,
                                                inferd_error *err);

#endif
