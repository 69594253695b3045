/* SPDX-License-Identifier: Apache-2.0
 *
 * http_transcript.h - run the HTTP parser over bytes cut in some way and write down all that it
 * said, so that two ways of cutting can be compared. Shared by the parser's tests and fuzz target.
 */
#ifndef IFD_TESTS_HTTP_TRANSCRIPT_H
#define IFD_TESTS_HTTP_TRANSCRIPT_H

#include <string.h>

#include "base/buf.h"
#include "server/http_parser.h"

/* Where the next cut is: bytes of the next piece, given how many are left (>= 1). */
typedef size_t http_cut(void *ctx, size_t left);

static inline size_t http_cut_whole(void *ctx, size_t left)
{
    (void)ctx;
    return left;
}

static inline size_t http_cut_bytes(void *ctx, size_t left)
{
    (void)ctx;
    (void)left;
    return 1;
}

/* Two pieces: the first of *(size_t *)ctx bytes. */
static inline size_t http_cut_once(void *ctx, size_t left)
{
    size_t *first = ctx;
    size_t n = *first && *first < left ? *first : left;
    *first = left;
    return n;
}

/* Appends to `out`: for each request its head, its body in one piece, its end; the failure with its
 * status and offset; or what is missing at the end. Returns the number of complete requests. */
static inline unsigned http_transcript(const struct ifd_http_limits *limits, const char *bytes,
                                       size_t n, http_cut *cut, void *cut_ctx, struct ifd_buf *out)
{
    struct ifd_buf head;
    struct ifd_http p;
    inferd_error err = {.message = ""};
    size_t total = 0, piece = 0;
    unsigned complete = 0;
    bool fresh_body = true;
    ifd_buf_init(&head, 2 * (size_t)limits->head_bytes);
    ifd_http_init(&p, limits, &head);
    for (;;) {
        size_t used = 0;
        enum ifd_http_event event = ifd_http_next(&p, bytes + total, piece, &used, &err);
        total += used;
        piece -= used;
        if (event == IFD_HTTP_HEAD) {
            ifd_buf_printf(out, "HEAD %s %s 1.%u%s%s%s%s%s length %llu @%zu\n", p.method,
                           ifd_http_target(&p), p.minor, p.keep_alive ? " keep" : "",
                           p.has_length ? " sized" : "", p.chunked ? " chunked" : "",
                           p.expect_continue ? " continue" : "", p.expect_other ? " expect" : "",
                           (unsigned long long)p.content_length, total);
            for (size_t i = strlen(ifd_http_target(&p)) + 1; i < head.size;) {
                const char *name = head.data + i, *value = name + strlen(name) + 1;
                ifd_buf_add_str(out, "  ");
                ifd_buf_add_str(out, name);
                ifd_buf_add_char(out, '=');
                ifd_buf_add_str(out, value);
                ifd_buf_add_char(out, '\n');
                i += strlen(name) + strlen(value) + 2;
            }
            fresh_body = true;
        } else if (event == IFD_HTTP_BODY) {
            if (fresh_body)
                ifd_buf_add_str(out, "BODY ");
            fresh_body = false;
            ifd_buf_add(out, p.body, p.body_size);
        } else if (event == IFD_HTTP_DONE) {
            ifd_buf_printf(out, "%sDONE @%zu\n", fresh_body ? "" : "\n", total);
            complete++;
            ifd_http_reset(&p);
        } else if (event == IFD_HTTP_FAILED) {
            ifd_buf_printf(out, "%sFAILED %s (%s) @%zu\n", fresh_body ? "" : "\n",
                           inferd_status_type(err.status), err.message, total);
            break;
        } else {
            if (total == n) {
                ifd_buf_printf(out, "%sMORE%s%s\n", fresh_body ? "" : "\n",
                               ifd_http_idle(&p) ? " idle" : "",
                               ifd_http_in_head(&p) ? " head" : "");
                break;
            }
            piece = cut(cut_ctx, n - total);
        }
    }
    ifd_buf_fini(&head);
    return complete;
}

#endif
