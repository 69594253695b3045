/* SPDX-License-Identifier: Apache-2.0
 *
 * http_client.h - one exchange over plain HTTP within a time limit: enough for a health probe and
 * for handing traces to a collector, no more. No TLS, no redirects, no chunked bodies; a connection
 * for each exchange; the answer is cut at what the caller's buffer holds. Blocks; thread-safe.
 */
#ifndef IFD_BASE_HTTP_CLIENT_H
#define IFD_BASE_HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ifd_url {
    char host[256]; /* without the brackets of an IPv6 address */
    char port[6];
    char path[1024];     /* from '/', with the query */
    char authority[272]; /* as written, for the Host header */
};

/* "http://host[:port][/path]". INFERD_INVALID_ARGUMENT says what is wrong. Pure. */
IFD_MUST_CHECK inferd_status ifd_url_parse(const char *url, struct ifd_url *out, inferd_error *err);

struct ifd_http_answer {
    int status;     /* 100..599 */
    char body[512]; /* its beginning, NUL-terminated */
};

/* The status line and the beginning of the body from the bytes of an answer. INFERD_INVALID_HTTP
 * when they are none. Pure. */
IFD_MUST_CHECK inferd_status ifd_http_answer_parse(const char *bytes, size_t n,
                                                   struct ifd_http_answer *out, inferd_error *err);

/* timeout_ms is for all of it but a name's look-up, which the system's resolver bounds. INFERD_IO:
 * no connection or no answer; INFERD_DEADLINE: too late. */
IFD_MUST_CHECK inferd_status ifd_http_get(const struct ifd_url *url, uint64_t timeout_ms,
                                          struct ifd_http_answer *out, inferd_error *err);
/* The same with POST and size bytes of `body`. */
IFD_MUST_CHECK inferd_status ifd_http_post(const struct ifd_url *url, const char *media_type,
                                           const void *body, size_t size, uint64_t timeout_ms,
                                           struct ifd_http_answer *out, inferd_error *err);

#endif
