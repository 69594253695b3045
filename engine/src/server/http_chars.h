/* SPDX-License-Identifier: Apache-2.0
 *
 * http_chars.h - which bytes may stand where in HTTP (RFC 9110 5.6.2, RFC 3986 appendix A), and the
 * checks of a complete head. Internal to the HTTP parser.
 */
#ifndef IFD_SERVER_HTTP_CHARS_H
#define IFD_SERVER_HTTP_CHARS_H

#include <stdbool.h>
#include <stddef.h>

#include "server/http_parser.h"

extern const unsigned char ifd_http_class[256];

static inline bool ifd_http_is_token(char c) /* tchar */
{
    return ifd_http_class[(unsigned char)c] & 1;
}
static inline bool ifd_http_is_target(char c) /* what a URI may hold, without '#' */
{
    return ifd_http_class[(unsigned char)c] & 2;
}
static inline bool ifd_http_is_value(char c) /* VCHAR, obs-text, SP, HTAB */
{
    return ifd_http_class[(unsigned char)c] & 4;
}
int ifd_http_hex(char c);                                       /* 0..15, or -1 */
bool ifd_http_same(const char *a, size_t n, const char *lower); /* ASCII case ignored */

/* The target is complete: its form, its percent escapes, where its path is. */
IFD_MUST_CHECK inferd_status ifd_http_check_target(struct ifd_http *p, inferd_error *err);
/* The head is complete: Host, body length, Connection, Expect. Sets p's public fields. */
IFD_MUST_CHECK inferd_status ifd_http_check_head(struct ifd_http *p, inferd_error *err);
/* A trailer line is complete; `name` may not be one that changes the message. */
IFD_MUST_CHECK inferd_status ifd_http_check_trailer(const char *name, inferd_error *err);

#endif
