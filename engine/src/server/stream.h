/* SPDX-License-Identifier: Apache-2.0
 *
 * stream.h - POST /infer/stream: a request a line in, an answer a line out, for as long as the body
 * lasts.
 *
 *     {"text":"a"}\n "b"\n {}\n  ->  {"index":0,"results":[...]}\n {"index":1,...}\n
 * {"index":2,"error":{...}}\n
 *
 * A line is what /infer takes, or a JSON string. Lines are computed at most IFD_STREAM_WINDOW at a
 * time and answered in their order; a line that is refused is answered with its error and stops
 * nothing. Back-pressure goes all the way: when the window or the server's queue is full, or the
 * client does not take its answers, lines wait, then the connection is not read. A line waits for
 * room in the queue as long as its time-out, which begins again once it is in; only then is it
 * refused as overloaded. Memory is bounded: the window's requests, a read of body bytes, and
 * IFD_STREAM_OUT_BYTES of answers and one more.
 *
 * A child request belongs to the stream but for the time that the scheduler has its job. All calls
 * are the connection's I/O thread's.
 */
#ifndef IFD_SERVER_STREAM_H
#define IFD_SERVER_STREAM_H

#include "server/conn.h"

#define IFD_STREAM_WINDOW 32u
#define IFD_STREAM_OUT_BYTES 65536u
/* How often room is looked for where no line of the stream's own makes some. */
#define IFD_STREAM_RETRY_MS 50u
#define IFD_STREAM_MEDIA_TYPE "application/x-ndjson"

struct ifd_stream;

/* The head has come. INFERD_NO_MEMORY, or INFERD_HTTP_VERSION: answers need chunks, so 1.1. */
IFD_MUST_CHECK inferd_status ifd_stream_open(struct ifd_request *r, inferd_error *err);
/* Cancels what is computed, and forgets it. Accepts NULL. */
void ifd_stream_free(struct ifd_stream *s);
/* A piece of the body; all of it is taken. The connection's state is then BODY, or STREAM when no
 * more should come for now. */
void ifd_stream_body(struct ifd_conn *c);
/* The body is complete. */
void ifd_stream_end(struct ifd_conn *c);
/* A child's job is back. */
void ifd_stream_child_done(struct ifd_request *child);
/* The kernel has taken what was written. */
void ifd_stream_written(struct ifd_conn *c);
/* A line waits for room in the queue: see to it every IFD_STREAM_RETRY_MS. */
bool ifd_stream_is_held(const struct ifd_stream *s);
void ifd_stream_retry(struct ifd_conn *c);

#endif
