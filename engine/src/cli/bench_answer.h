/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_answer.h - the little of an HTTP/1 answer that a load generator must know: its status,
 * where it ends, whether the connection stays, how many labels its body holds. Bytes are looked at
 * once and not kept. The verdict is the same whole and cut anywhere. Pure; one owner at a time.
 *
 * Lenient where nothing is measured by it (bare LF, any header); only what makes the end of the
 * answer uncertain is malformed.
 */
#ifndef IFD_CLI_BENCH_ANSWER_H
#define IFD_CLI_BENCH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IFD_BENCH_LINE_BYTES 1024u              /* of a header line are looked at */
#define IFD_BENCH_HEAD_BYTES ((size_t)64 << 10) /* a longer head is malformed */

enum ifd_bench_answer_state {
    IFD_BENCH_ANSWER_STATUS,
    IFD_BENCH_ANSWER_HEADERS,
    IFD_BENCH_ANSWER_BODY,       /* `left` bytes */
    IFD_BENCH_ANSWER_CHUNK_SIZE, /* a line */
    IFD_BENCH_ANSWER_CHUNK,      /* `left` bytes */
    IFD_BENCH_ANSWER_CHUNK_END,  /* an empty line */
    IFD_BENCH_ANSWER_TRAILERS,
    IFD_BENCH_ANSWER_TO_END, /* the body ends with the connection */
    IFD_BENCH_ANSWER_DONE,
    IFD_BENCH_ANSWER_MALFORMED,
};

struct ifd_bench_answer {
    enum ifd_bench_answer_state state;
    int status;      /* 100..599 once the status line is in */
    bool closes;     /* the connection ends with this answer */
    uint64_t labels; /* keys "label" in the body */
    /* private */
    bool has_length, chunked;
    uint8_t matched;   /* bytes of "label" matched so far */
    uint64_t left;     /* body bytes to come */
    size_t head_bytes; /* of the head, or of chunk sizes and trailers */
    size_t line_size;  /* of the line that has begun; what fits is in `line` */
    char line[IFD_BENCH_LINE_BYTES];
};

void ifd_bench_answer_init(struct ifd_bench_answer *a);
/* Whether any byte has come in. */
static inline bool ifd_bench_answer_begun(const struct ifd_bench_answer *a)
{
    return a->head_bytes > 0 || a->state != IFD_BENCH_ANSWER_STATUS;
}
/* How many of the n bytes were taken: all, unless the state is DONE or MALFORMED afterwards. */
size_t ifd_bench_answer_feed(struct ifd_bench_answer *a, const char *bytes, size_t n);
/* The connection has ended; then the state is DONE, MALFORMED, or it was cut short. */
void ifd_bench_answer_end(struct ifd_bench_answer *a);

#endif
