/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_conn.h - one connection of the load generator: connect, send a request, read its answer,
 * say how it ended. One request at a time; never a second try of the same request: what a client
 * library would retry in silence is what is to be measured.
 *
 * Non-blocking, on the epoll instance of its wire. One thread owns a wire and its connections.
 */
#ifndef IFD_CLI_BENCH_CONN_H
#define IFD_CLI_BENCH_CONN_H

#include <sys/socket.h>

#include "base/err.h"
#include "cli/bench_answer.h"
#include "cli/bench_tally.h"
#include "base/http_client.h"

#define IFD_BENCH_RECEIVE_BYTES ((size_t)64 << 10)

struct ifd_bench_wire { /* what all connections share */
    int epoll;
    struct sockaddr_storage address;
    socklen_t address_size;
    uint32_t labels; /* that a 2xx answer must hold; 0: not looked at */
    /* counted */
    uint64_t opened;      /* connections that were established */
    uint64_t reconnects;  /* of them, in the place of one that had ended */
    uint64_t idle_closed; /* ended by the server between two requests: no failure */
    uint64_t closes;      /* answers that said `Connection: close` */
    uint64_t bytes_sent, bytes_received;
    int connect_errno; /* of the last connection that failed */
    /* private */
    char buffer[IFD_BENCH_RECEIVE_BYTES];
};

/* Resolves, and takes the first address that accepts a connection when there are several
 * (localhost: ::1, then 127.0.0.1). INFERD_IO. The wire is caller-allocated and large. */
IFD_MUST_CHECK inferd_status ifd_bench_wire_open(struct ifd_bench_wire *w,
                                                 const struct ifd_url *url, uint64_t timeout_ms,
                                                 inferd_error *err);
void ifd_bench_wire_close(struct ifd_bench_wire *w);

enum ifd_bench_conn_state {
    IFD_BENCH_CONN_CLOSED,
    IFD_BENCH_CONN_CONNECTING,
    IFD_BENCH_CONN_SENDING,
    IFD_BENCH_CONN_READING,
    IFD_BENCH_CONN_IDLE,
};

struct ifd_bench_conn {
    struct ifd_bench_conn *before, *after; /* the caller's lists */
    uint64_t due_ns, wake_ns;              /* the caller's */
    bool measured;                         /* the caller's */
    enum ifd_bench_conn_state state;
    uint64_t sent_ns; /* first byte of the request on the wire; 0: none yet */
    int status;       /* of the answer */
    /* private */
    int fd;
    bool reused;  /* has answered before */
    bool existed; /* not the first connection in this place */
    bool wants_out;
    const char *request; /* borrowed until the request ends */
    size_t request_size, sent;
    struct ifd_bench_answer answer;
};

/* A call that may end the request returns true and its outcome, or false while it is under way. */

/* Begin a request on a connection that is CLOSED or IDLE. */
bool ifd_bench_conn_start(struct ifd_bench_wire *w, struct ifd_bench_conn *c, const char *request,
                          size_t size, uint64_t now_ns, enum ifd_bench_outcome *outcome);
/* epoll reports `events`. On an idle connection: the server has ended it; returns false. */
bool ifd_bench_conn_event(struct ifd_bench_wire *w, struct ifd_bench_conn *c, uint32_t events,
                          uint64_t now_ns, enum ifd_bench_outcome *outcome);
/* Whatever it is doing. Accepts a closed one. */
void ifd_bench_conn_close(struct ifd_bench_conn *c);

#endif
