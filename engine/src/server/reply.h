/* SPDX-License-Identifier: Apache-2.0
 *
 * reply.h - the second half of a connection's work: an answer on its way out, what the kernel does
 * not take at once, and a close that does not destroy it. I/O thread.
 */
#ifndef IFD_SERVER_REPLY_H
#define IFD_SERVER_REPLY_H

#include "server/conn.h"

/* Send io->body as the answer to the request in hand (which may be NULL: a refused connection) and
 * let the request go. The connection is then IDLE, WRITE, LINGER or CLOSED. */
void ifd_reply_send(struct ifd_conn *c, int status);
void ifd_reply_error(struct ifd_conn *c, const inferd_error *error);
/* The answer to a stream: its head, bytes of its body with their chunks' frames, its end (every
 * byte is with the kernel). Not while c->writing. */
void ifd_reply_stream_head(struct ifd_conn *c);
void ifd_reply_stream_bytes(struct ifd_conn *c, const char *bytes, size_t n);
void ifd_reply_stream_over(struct ifd_conn *c);
/* An error after which the bytes that follow cannot be trusted, or are not waited for. */
void ifd_reply_error_and_close(struct ifd_conn *c, const inferd_error *error);

#endif
