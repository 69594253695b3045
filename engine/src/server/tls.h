/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.h - TLS 1.2 and 1.3 between bytes and bytes: OpenSSL on memory BIOs, no socket of its own.
 *
 *     cipher text in -> put -> get -> plain text in
 *     plain text out -> write -> pending -> cipher text out
 *
 * The certificate, its key and the authorities of client certificates are one context, which is
 * read again on SIGHUP and when a file changes; connections keep the one that they began with. A
 * build with IFD_TLS off has tls_none.c instead, which refuses the options.
 *
 * A connection belongs to its I/O thread; the context in use is under the server's lock.
 */
#ifndef IFD_SERVER_TLS_H
#define IFD_SERVER_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ifd_server;
struct ifd_tls; /* of one connection */

#define IFD_TLS_RECORD_BYTES 16384u /* the most plain text that one `get` gives */

/* At the start, where --tls-cert is given: INFERD_INVALID_ARGUMENT with the file and what is wrong
 * with it stops it. */
IFD_MUST_CHECK inferd_status ifd_tls_open(struct ifd_server *s, inferd_error *err);
/* Again; a failure is logged and the old context stays. I/O thread 0. */
void ifd_tls_reread(struct ifd_server *s);
void ifd_tls_fini(struct ifd_server *s);

/* For a connection that was accepted; NULL when out of memory. */
struct ifd_tls *ifd_tls_accept(struct ifd_server *s);
void ifd_tls_free(struct ifd_tls *t); /* accepts NULL */
/* False when out of memory. */
IFD_MUST_CHECK bool ifd_tls_put(struct ifd_tls *t, const char *bytes, size_t n);

enum ifd_tls_result {
    IFD_TLS_MORE, /* needs more bytes */
    IFD_TLS_DATA,
    IFD_TLS_END, /* the client has said that it sends no more */
    IFD_TLS_FAILED,
};
/* Goes on with the handshake, then gives plain text: *n bytes of out[IFD_TLS_RECORD_BYTES]. Call
 * until it gives no DATA. */
enum ifd_tls_result ifd_tls_get(struct ifd_tls *t, char *out, size_t *n);
/* Bytes that were put have not all come out: a part of a record, or more. */
bool ifd_tls_has_input(const struct ifd_tls *t);
/* The handshake is over. */
bool ifd_tls_is_open(const struct ifd_tls *t);
/* Encrypt all of it. False when out of memory, or before the handshake is over. */
IFD_MUST_CHECK bool ifd_tls_write(struct ifd_tls *t, const char *bytes, size_t n);
/* Say that no more is sent. */
void ifd_tls_bye(struct ifd_tls *t);
/* What is to be sent; it is forgotten by ifd_tls_sent. */
size_t ifd_tls_pending(const struct ifd_tls *t, const char **bytes);
void ifd_tls_sent(struct ifd_tls *t);

#endif
