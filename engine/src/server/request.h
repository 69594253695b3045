/* SPDX-License-Identifier: Apache-2.0
 *
 * request.h - one request from its first byte to its answer, with all memory that it needs. Objects
 * are pooled per I/O thread and keep their buffers, so the steady state allocates nothing.
 *
 * Ownership: an I/O thread, but for the time between ifd_sched_submit and the job's `done`, when it
 * is the scheduler's. `conn` is NULL when nobody waits for the answer any more (the client has
 * gone, or got a 504); such a request is only waited for and put back.
 */
#ifndef IFD_SERVER_REQUEST_H
#define IFD_SERVER_REQUEST_H

#include "sched/job.h"
#include "codec/codec.h"
#include "server/http_parser.h"
#include "server/ident.h"
#include "server/server.h"
#include "text/encoding.h"

struct ifd_conn;
struct ifd_io;
struct ifd_mirror;
struct ifd_route;
struct ifd_stream;

struct ifd_request {
    struct ifd_job job; /* first: `done` casts back */
    struct ifd_io *io;
    struct ifd_conn *conn;
    struct ifd_request *next; /* in the pool, or in the list of completed ones */
    bool submitted;           /* the job is the scheduler's */

    struct ifd_http http;
    bool has_head; /* the head is complete and was counted */
    struct ifd_buf head;
    struct ifd_decode decode;
    const struct ifd_route *route;
    inferd_error error;     /* the first refusal; status INFERD_OK: none */
    bool preflight;         /* a browser asks whether it may ask: the Fetch standard's CORS */
    const char *allow;      /* with METHOD_NOT_ALLOWED */
    const char *media_type; /* of the answer; NULL: the route's, or JSON */
    char headers[640];      /* of the answer, whole lines with CRLF; "" mostly */
    uint32_t timeout_ms;    /* from admission to the answer; 0 before admission */
    unsigned retry_after_s; /* of a refusal; 0 = not known better than by its status */
    uint64_t began_ns;      /* first byte of the head */
    uint64_t parsed_ns;     /* the body is decoded */
    uint64_t prepared_ns;   /* the job is ready for the queue */
    bool begun;             /* outcome.h counts it as in flight */
    struct ifd_ident ident;
    struct ifd_buf admin_body;  /* of an admin route; see admin.h */
    struct ifd_stream *stream;  /* of /infer/stream; see stream.h */
    bool stream_begun;          /* the head of its answer is out */
    struct ifd_request *parent; /* of a line of a stream */
    struct ifd_mirror *mirror;  /* chosen for the shadow; see shadow.h */

    struct ifd_encoding encoding;
    uint8_t truncation; /* enum ifd_truncation in force */
    float *logits;      /* [logits_capacity], where the answer needs them */
    size_t logits_capacity;
};

struct ifd_request_pool {
    struct ifd_request *free;
    size_t memory; /* held by the free ones */
};

/* A clean request, or NULL when out of memory. */
struct ifd_request *ifd_request_take(struct ifd_request_pool *pool,
                                     const struct ifd_server_config *config);
/* Put it back (or free it: the pool is bounded). Its engine must have been released. */
void ifd_request_give(struct ifd_request_pool *pool, struct ifd_request *r);
void ifd_request_pool_fini(struct ifd_request_pool *pool);

/* Room in logits for the encoded sequences. */
IFD_MUST_CHECK inferd_status ifd_request_reserve_logits(struct ifd_request *r, uint32_t labels,
                                                        inferd_error *err);

#endif
