/* SPDX-License-Identifier: Apache-2.0
 *
 * http_response.h - writing answers into a buffer. Pure; failure shows in the buffer.
 */
#ifndef IFD_SERVER_HTTP_RESPONSE_H
#define IFD_SERVER_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"

#define IFD_HTTP_DATE_SIZE 30u /* "Sun, 06 Nov 1994 08:49:37 GMT" and NUL */

struct ifd_response {
    int status;
    const char *media_type;
    const char *headers;         /* further lines, each with its CRLF; NULL = none */
    const char *cors_origin;     /* may read the answer in a browser; NULL = not said */
    const char *preflight_allow; /* methods, where a browser asked; NULL = it did not */
    const char *allow;           /* of a 405, or NULL */
    unsigned retry_after_s;      /* the client may try again after so many seconds; 0 = not said */
    const char *request_id;      /* echoed or made; NULL = not said */
    const char *model_digest;    /* "sha256:..." of the model that answered; NULL = none did */
    bool keep_alive;
    bool say_keep_alive; /* to an HTTP/1.0 client, which must be told */
    bool head_only;      /* the request was HEAD */
    size_t body_size;
    const char *date; /* ifd_http_date's */
};

/* The status line and headers with the empty line. The caller appends the body, unless head_only.
 * A 304 has neither type nor length: it is about what the client has. */
void ifd_response_head(struct ifd_buf *out, const struct ifd_response *r);
/* The one shape of errors: {"error":{"code":400,"type":"invalid_json","message":"...",
 * "request_id":"..."}}; the id must be safe as it stands (ident.h), NULL leaves it out. */
void ifd_response_error(struct ifd_buf *out, const inferd_error *error, const char *request_id);
/* RFC 9110 5.6.7, locale-independent. */
void ifd_http_date(char out[IFD_HTTP_DATE_SIZE], time_t now);

#endif
