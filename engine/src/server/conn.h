/* SPDX-License-Identifier: Apache-2.0
 *
 * conn.h - one client connection: bytes in, requests one after the other, answers out.
 *
 *     IDLE -> HEAD -> BODY -> WAIT (the scheduler has it) -> WRITE -> IDLE, or LINGER -> CLOSED
 *
 * One request at a time: what a client pipelines waits in a bounded stash, then in the kernel, so
 * answers come in order and a fast client is held back. An idle connection holds this struct and
 * nothing else. Belongs to its I/O thread.
 */
#ifndef IFD_SERVER_CONN_H
#define IFD_SERVER_CONN_H

#include <uv.h>

#include "server/io.h"
#include "server/outcome.h"

enum ifd_conn_state {
    IFD_CONN_IDLE,
    IFD_CONN_HEAD,
    IFD_CONN_BODY,
    IFD_CONN_WAIT,
    IFD_CONN_STREAM, /* /infer/stream: no more of the body for now */
    IFD_CONN_WRITE,  /* the client is slow to take an answer */
    IFD_CONN_LINGER, /* our side is shut; reading on, so that the answer is not lost to a reset */
    IFD_CONN_CLOSED,
};

struct ifd_conn {
    union { /* first: the handle casts back */
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    struct ifd_io *io;
    struct ifd_timer timer;
    struct ifd_link all, evictable;
    struct ifd_request *request; /* the one that is read, computed or answered; NULL when idle */
    struct ifd_buf stash;        /* read, but after the request in hand */
    struct ifd_buf out;          /* of an answer, what the kernel did not take at once */
    struct ifd_due due;          /* the answer on its way out, as outcome.h counts it */
    char trace[IFD_TRACE_ID_SIZE + 1]; /* with due.traced: of its request */
    size_t pending;                    /* bytes behind the request that is being completed */
    uint64_t answers;
    uint64_t armed_answers; /* with armed_state: what the timer was armed for */
    struct ifd_tls *tls;    /* NULL: plain */
    uint64_t client;        /* who it is, for --rate-limit: its address, or user */
    uint32_t lingered;      /* bytes thrown away while lingering */
    uint8_t state, armed_state;
    bool reading, writing, eof, shut, close_after;
    bool said_bye; /* TLS has been told that no more is sent */
    bool local;    /* a Unix socket */
    bool asked;    /* whether a client that shut its side is still there */
    union {
        uv_write_t write;
        uv_shutdown_t shutdown;
    } pending_op;
};

/* Takes the connection that waits at the listener. */
void ifd_conn_accept(struct ifd_io *io, uv_stream_t *listener);
/* Takes an accepted socket, of the Unix listener if `local`. */
void ifd_conn_adopt(struct ifd_io *io, int fd, bool local);
/* The job of the connection's request is back. */
void ifd_conn_job_done(struct ifd_conn *c);
/* An answer has gone out, later than it was given: go on with what was stashed meanwhile. */
void ifd_conn_resume(struct ifd_conn *c);
/* Bytes to the client, now or never: what the kernel does not take at once is lost. False unless it
 * took all of them; an interim answer may be left out then, and the connection must be closed if
 * *nothing (may be NULL) is false, as a part of it is out. */
bool ifd_conn_say(struct ifd_conn *c, const char *bytes, size_t n, bool *nothing);
/* With c->tls: what TLS itself has to say; behind an answer that is still on its way it waits for
 * the next. False if the kernel did not take all of it. */
bool ifd_conn_flush(struct ifd_conn *c);
/* conn_time.c: the timer follows the state that the connection is in. */
void ifd_conn_arm(struct ifd_conn *c);
void ifd_conn_timeout(struct ifd_conn *c);
/* What a request is told whose time is over. */
void ifd_conn_fail_deadline(const struct ifd_conn *c, inferd_status status, inferd_error *err);
/* The server stops taking connections: an idle one gets a second for a request that is on its way,
 * which is answered with Connection: close. */
void ifd_conn_wind_down(struct ifd_conn *c);
/* At once. A request in flight is cancelled; *cut (may be NULL) is set if there was one. */
void ifd_conn_close(struct ifd_conn *c, bool *cut);
static inline struct ifd_conn *ifd_conn_of_timer(struct ifd_timer *t)
{
    return (struct ifd_conn *)((char *)t - offsetof(struct ifd_conn, timer));
}
static inline struct ifd_conn *ifd_conn_of_all(struct ifd_link *l)
{
    return (struct ifd_conn *)((char *)l - offsetof(struct ifd_conn, all));
}
static inline struct ifd_conn *ifd_conn_of_evictable(struct ifd_link *l)
{
    return (struct ifd_conn *)((char *)l - offsetof(struct ifd_conn, evictable));
}

#endif
