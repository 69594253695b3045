/* SPDX-License-Identifier: Apache-2.0
 *
 * io.h - an I/O thread: its event loop, its listener, its connections, and the list through which
 * the scheduler hands finished jobs back to it.
 *
 * Everything in it belongs to its thread, but for `completed` (pushed by workers), `async` (sent
 * from anywhere), the counters and the metrics (read from anywhere).
 */
#ifndef IFD_SERVER_IO_H
#define IFD_SERVER_IO_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "server/exemplars.h"
#include "server/http_response.h"
#include "server/ident.h"
#include "server/metrics.h"
#include "server/request.h"
#include "server/server_state.h"
#include "server/shadow.h"
#include "server/wheel.h"
#include "text/tokenizer.h"

#define IFD_IO_READ_BYTES 65536u

/* Written by the I/O thread, relaxed; read by /info of any. */
struct ifd_io_counters {
    _Atomic uint64_t connections, requests, answered_4xx, answered_5xx;
};

struct ifd_io {
    struct ifd_server *server;
    unsigned index;
    pthread_t thread; /* of index > 0 */
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_pipe_t local; /* the listener of --uds, of thread 0 */
    uv_async_t async;
    uv_timer_t tick;      /* runs while a time-out is armed */
    uv_timer_t closing;   /* until the listener closes */
    enum ifd_phase phase; /* the last one acted on */
    bool ticking, listening, listening_local, finished;
    union {
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } rejected; /* see ifd_io_reject */
    bool rejecting;
    uv_stream_t *reject_again[2]; /* listeners that wait for it */

    struct ifd_wheel wheel;
    struct ifd_link conns;     /* all connections */
    struct ifd_link evictable; /* idle or lingering ones, longest first */
    unsigned connections;      /* objects that exist, closing ones included */
    unsigned open, open_max;   /* connections that count against --max-connections */
    unsigned outstanding;      /* jobs in the scheduler */

    _Atomic(struct ifd_request *) completed; /* a stack: workers push, we take all */

    struct ifd_engine *engine; /* our own reference; NULL until the model is ready */
    uint64_t models_version;   /* what `engine` and `shadow` were taken of */
    struct ifd_shadow shadow;
    struct ifd_tokenizer_scratch *tokenizer;
    struct ifd_request_pool pool;
    struct ifd_buf body, out; /* the answer that is being built */
    struct ifd_ranking ranking;
    uint64_t date_second;
    char date[IFD_HTTP_DATE_SIZE];
    struct ifd_io_counters counters;
    struct ifd_metrics_io metrics;
    struct ifd_exemplars exemplars; /* of metrics.duration[IFD_OUTCOME_OK] */
    struct ifd_ident_source ids;
    struct ifd_sha256 sha;     /* of keys that are presented */
    struct ifd_ident stranger; /* names the answer to a connection that is refused */
    char *read_buffer;         /* [IFD_IO_READ_BYTES] */
    char *plain;               /* [IFD_TLS_RECORD_BYTES], with TLS */
};

/* io[0 .. n) are zeroed memory. init opens the loop; listen binds and listens, and sets *port to
 * the port in force, so that further threads can share it. */
IFD_MUST_CHECK inferd_status ifd_io_init(struct ifd_io *io, struct ifd_server *server,
                                         unsigned index, inferd_error *err);
IFD_MUST_CHECK inferd_status ifd_io_listen(struct ifd_io *io, unsigned *port, inferd_error *err);
/* Listen on the Unix socket `path`, too; a socket that nobody listens on any more is replaced. */
IFD_MUST_CHECK inferd_status ifd_io_listen_local(struct ifd_io *io, const char *path,
                                                 inferd_error *err);
/* Runs until the server has drained. */
void ifd_io_run(struct ifd_io *io);
/* After the loop has ended (or never ran); closes what is open. */
void ifd_io_fini(struct ifd_io *io);

/* From any thread: look at the server's phase and engine. */
void ifd_io_notify(struct ifd_io *io);
/* From a worker: the job is done. The scheduler's callback. */
void ifd_io_job_done(struct ifd_job *job);

/* For connections: */
void ifd_io_start_tick(struct ifd_io *io);
void ifd_io_maybe_finish(struct ifd_io *io);
/* There is no memory for the connection that waits at the listener: take it and close it, as libuv
 * listens no further until somebody takes it. */
void ifd_io_reject(struct ifd_io *io, uv_stream_t *listener);
const char *ifd_io_date(struct ifd_io *io);
void ifd_io_release_request(struct ifd_io *io, struct ifd_request *r);
static inline void ifd_io_count(_Atomic uint64_t *counter, uint64_t n)
{
    /* one writer: a plain add, made visible without a locked instruction */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

#endif
