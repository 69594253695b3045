/* SPDX-License-Identifier: Apache-2.0
 *
 * ident.h - what a request is called: its X-Request-ID, and the trace that it belongs to.
 *
 * A client's id is taken over when it is 1..128 characters of letters, digits and -_.:/+=@, which
 * are safe in a header, a log and JSON as they stand; otherwise one of 32 hex digits is made. The
 * trace id is that of a valid W3C `traceparent`. Whether the request is traced is the caller's to
 * say (the flag `sampled`); where nobody called, the source's share of requests begins a trace.
 * Belongs to the I/O thread; nothing allocates.
 */
#ifndef IFD_SERVER_IDENT_H
#define IFD_SERVER_IDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/http_parser.h"

#define IFD_REQUEST_ID_MAX 128u
#define IFD_TRACE_ID_SIZE 32u
#define IFD_SPAN_ID_SIZE 16u

struct ifd_ident {
    char id[IFD_REQUEST_ID_MAX + 1];   /* "" until it is known */
    char trace[IFD_TRACE_ID_SIZE + 1]; /* "" when there is none */
    char parent[IFD_SPAN_ID_SIZE + 1]; /* the caller's span; "" when the trace begins here */
    bool sampled;                      /* part of a trace that is recorded */
};

/* One thread's generator. Ids need to differ, not to be secret: seeded by the kernel once. */
struct ifd_ident_source {
    uint64_t state[4];
    unsigned sample_percent; /* of the requests without a traceparent, 0..100; 0 after init */
};
void ifd_ident_source_init(struct ifd_ident_source *s);
/* 1..8 random bytes as hex digits and a NUL; never all zero. */
void ifd_ident_hex(struct ifd_ident_source *s, size_t bytes, char *out);

void ifd_ident_clear(struct ifd_ident *i);
/* From a complete head. */
void ifd_ident_take(struct ifd_ident *i, const struct ifd_http *http, struct ifd_ident_source *s);
/* The id, made now if there is none: an answer to what was no request needs one too. */
const char *ifd_ident_id(struct ifd_ident *i, struct ifd_ident_source *s);

/* The pure parts. */
bool ifd_ident_is_safe(const char *id);
/* W3C Trace Context level 1, 3.2: lower-case hex, neither id all zero, version not ff; a later
 * version may say more behind its flags. Sets trace, parent and sampled, or nothing. */
bool ifd_ident_parse_traceparent(const char *value, struct ifd_ident *i);

#endif
