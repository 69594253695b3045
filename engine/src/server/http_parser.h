/* SPDX-License-Identifier: Apache-2.0
 *
 * http_parser.h - a strict, incremental HTTP/1.1 request parser (RFC 9110, RFC 9112).
 *
 *     for (;;) {
 *         switch (ifd_http_next(p, bytes, n, &used, &err)) { ... }   // then bytes += used, n -=
 * used
 *     }
 *
 * It is pushed bytes as they come, in pieces of any size, and gives one event at a time: HEAD, then
 * BODY pieces, then DONE; MORE when it needs bytes. After DONE it takes nothing until
 * ifd_http_reset, so what a client pipelines stays in the caller's hands. The events and the
 * verdict are the same for every way of cutting the input. No I/O, no globals; memory is one
 * bounded buffer of the caller.
 *
 * A request whose end two readers could see at different places is refused, never guessed at: both
 * Content-Length and Transfer-Encoding, either of them twice or as a list, signs, overflow, a bare
 * LF or CR, folded lines, white space before a colon, control characters, more than one Host, any
 * transfer coding but "chunked", a malformed chunk. docs/server.md has the whole table.
 */
#ifndef IFD_SERVER_HTTP_PARSER_H
#define IFD_SERVER_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define IFD_HTTP_METHOD_MAX 23u
/* Bytes of chunk extensions in one body; nobody needs them, so this is no option. */
#define IFD_HTTP_CHUNK_EXT_MAX 1024u

struct ifd_http_limits {
    uint32_t head_bytes; /* request line and headers with their line ends; trailers the same */
    uint32_t headers;    /* header lines; trailer lines the same */
    uint32_t target_bytes;
    uint64_t body_bytes; /* after transfer decoding */
};

enum ifd_http_event {
    IFD_HTTP_MORE,   /* everything was taken, the request is not complete */
    IFD_HTTP_HEAD,   /* the fields below and ifd_http_header are valid until the reset */
    IFD_HTTP_BODY,   /* body[0 .. body_size) is a piece of the body, inside the caller's bytes */
    IFD_HTTP_DONE,   /* the request is complete */
    IFD_HTTP_FAILED, /* the framing is lost: answer and close. Every further call fails as well */
};

struct ifd_http {
    /* from HEAD on */
    char method[IFD_HTTP_METHOD_MAX + 1];
    uint8_t minor;   /* HTTP/1.minor, 0 or 1 */
    bool keep_alive; /* what the client asks for, with its version's default */
    bool has_length; /* Content-Length or chunked was given */
    bool chunked;
    bool expect_continue;    /* the client waits for "100 Continue" before it sends the body */
    bool expect_other;       /* an expectation that nobody can meet */
    uint64_t content_length; /* when has_length and not chunked */
    size_t path_offset, path_size; /* of the target's path in head->data, without the query */
    /* with BODY */
    const char *body;
    size_t body_size;

    /* private */
    struct ifd_http_limits limits;
    struct ifd_buf *head; /* target\0 then name\0value\0 for each header; names in lower case */
    uint8_t state;
    bool in_trailer, after_empty_line, chunk_ext_escape;
    uint8_t method_size, version_at, chunk_digits;
    uint32_t lines, head_used, chunk_ext_used;
    size_t target_size, name_at, value_at, trailer_mark;
    uint64_t body_max;        /* limits.body_bytes, unless this request may have more */
    uint64_t body_seen, left; /* bytes of the body so far; of the chunk or body still to come */
    inferd_status failed;
};

/* `head` is the caller's, its maximum at least 2 * limits.head_bytes; it is reset here. */
void ifd_http_init(struct ifd_http *p, const struct ifd_http_limits *limits, struct ifd_buf *head);
/* Ready for the next request. */
void ifd_http_reset(struct ifd_http *p);

/* Take some of bytes[0 .. n) and say what they gave; *used is how many were taken. Must be called
 * again, also with n = 0, until it gives MORE, DONE or FAILED. On FAILED *used counts the bytes
 * before the offending one and err is filled. */
enum ifd_http_event ifd_http_next(struct ifd_http *p, const char *bytes, size_t n, size_t *used,
                                  inferd_error *err);

/* After HEAD: how long the body may be, for this request alone. */
void ifd_http_allow_body(struct ifd_http *p, uint64_t bytes);

/* No byte of a request has come (an empty line before it does not count). */
bool ifd_http_idle(const struct ifd_http *p);
/* The head is not complete. */
bool ifd_http_in_head(const struct ifd_http *p);

/* The first header of that lower-case name, or NULL. Values have no NUL and no outer white space.
 */
const char *ifd_http_header(const struct ifd_http *p, const char *name);
const char *ifd_http_target(const struct ifd_http *p);
bool ifd_http_path_is(const struct ifd_http *p, const char *path);

#endif
