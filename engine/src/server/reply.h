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
/* An error after which the bytes that follow cannot be trusted, or are not waited for. */
void ifd_reply_error_and_close(struct ifd_conn *c, const inferd_error *error);

#endif
