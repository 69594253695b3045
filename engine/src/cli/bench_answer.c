/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_answer.h"

#include <string.h>
#include <strings.h>

static const char label[] = "\"label\"";
#define LABEL_BYTES (sizeof(label) - 1)

void ifd_bench_answer_init(struct ifd_bench_answer *a)
{
    /* `line` may hold what it will: line_size says how much of it counts */
    memset(a, 0, offsetof(struct ifd_bench_answer, line));
}

/* ---- lines of the head --------------------------------------------------------------------- */

static enum ifd_bench_answer_state status_line(struct ifd_bench_answer *a, const char *s, size_t n)
{
    if (n < 12 || memcmp(s, "HTTP/1.", 7) != 0 || s[7] < '0' || s[7] > '9' || s[8] != ' ' ||
        (n > 12 && s[12] != ' '))
        return IFD_BENCH_ANSWER_MALFORMED;
    int status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (s[i] < '0' || s[i] > '9')
            return IFD_BENCH_ANSWER_MALFORMED;
        status = 10 * status + (s[i] - '0');
    }
    if (status < 100 || status > 599)
        return IFD_BENCH_ANSWER_MALFORMED;
    a->status = status;
    a->closes = s[7] == '0';
    return IFD_BENCH_ANSWER_HEADERS;
}

static bool is_name(const char *s, size_t n, const char *name)
{
    return strlen(name) == n && strncasecmp(s, name, n) == 0;
}

/* Whether a comma-separated list has the token. */
static bool has_token(const char *s, size_t n, const char *token)
{
    size_t i = 0;
    while (i < n) {
        size_t from = i, to;
        while (i < n && s[i] != ',')
            i++;
        for (to = i++; from < to && (s[from] == ' ' || s[from] == '\t'); from++)
            ;
        for (; to > from && (s[to - 1] == ' ' || s[to - 1] == '\t'); to--)
            ;
        if (is_name(s + from, to - from, token))
            return true;
    }
    return false;
}

static bool read_length(struct ifd_bench_answer *a, const char *s, size_t n)
{
    uint64_t v = 0;
    if (n == 0 || n > 18)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = 10 * v + (uint64_t)(s[i] - '0');
    }
    if (a->has_length && a->left != v)
        return false;
    a->has_length = true;
    a->left = v;
    return true;
}

static bool header(struct ifd_bench_answer *a, const char *s, size_t n)
{
    const char *colon = memchr(s, ':', n);
    if (!colon || colon == s)
        return false;
    char first = (char)(*s | 0x20);
    if (first != 'c' && first != 't')
        return true;
    size_t name = (size_t)(colon - s), from = name + 1;
    while (from < n && (s[from] == ' ' || s[from] == '\t'))
        from++;
    while (n > from && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        n--;
    if (is_name(s, name, "content-length"))
        return read_length(a, s + from, n - from);
    if (is_name(s, name, "transfer-encoding")) {
        a->chunked = true;
        return is_name(s + from, n - from, "chunked");
    }
    if (is_name(s, name, "connection")) {
        if (has_token(s + from, n - from, "close"))
            a->closes = true;
        else if (has_token(s + from, n - from, "keep-alive"))
            a->closes = false;
    }
    return true;
}

static enum ifd_bench_answer_state end_of_head(struct ifd_bench_answer *a)
{
    if (a->status < 200) { /* an interim answer: the real one follows */
        if (a->status == 101)
            return IFD_BENCH_ANSWER_MALFORMED; /* nobody asked for an upgrade */
        a->has_length = a->chunked = false;
        return IFD_BENCH_ANSWER_STATUS;
    }
    if (a->chunked && a->has_length)
        return IFD_BENCH_ANSWER_MALFORMED; /* two ends */
    if (a->status == 204 || a->status == 304)
        return IFD_BENCH_ANSWER_DONE;
    if (a->chunked)
        return IFD_BENCH_ANSWER_CHUNK_SIZE;
    if (a->has_length)
        return a->left ? IFD_BENCH_ANSWER_BODY : IFD_BENCH_ANSWER_DONE;
    a->closes = true;
    return IFD_BENCH_ANSWER_TO_END;
}

static enum ifd_bench_answer_state chunk_size(struct ifd_bench_answer *a, const char *s, size_t n)
{
    uint64_t v = 0;
    size_t digits = 0;
    for (; digits < n; digits++) {
        char c = s[digits], low = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            v = v * 16 + (uint64_t)(c - '0');
        else if (low >= 'a' && low <= 'f')
            v = v * 16 + (uint64_t)(low - 'a' + 10);
        else
            break;
    }
    if (digits == 0 || digits > 15 || (digits < n && s[digits] != ';' && s[digits] != ' '))
        return IFD_BENCH_ANSWER_MALFORMED;
    a->left = v;
    return v ? IFD_BENCH_ANSWER_CHUNK : IFD_BENCH_ANSWER_TRAILERS;
}

/* A line without its LF; `n` is what of it is looked at. */
static enum ifd_bench_answer_state line(struct ifd_bench_answer *a, const char *s, size_t n)
{
    if (n && s[n - 1] == '\r')
        n--;
    switch (a->state) {
    case IFD_BENCH_ANSWER_STATUS:
        return status_line(a, s, n);
    case IFD_BENCH_ANSWER_HEADERS:
        if (n == 0)
            return end_of_head(a);
        return header(a, s, n) ? IFD_BENCH_ANSWER_HEADERS : IFD_BENCH_ANSWER_MALFORMED;
    case IFD_BENCH_ANSWER_CHUNK_SIZE:
        return chunk_size(a, s, n);
    case IFD_BENCH_ANSWER_CHUNK_END:
        return n == 0 ? IFD_BENCH_ANSWER_CHUNK_SIZE : IFD_BENCH_ANSWER_MALFORMED;
    default: /* trailers */
        return n == 0 ? IFD_BENCH_ANSWER_DONE : IFD_BENCH_ANSWER_TRAILERS;
    }
}

/* Up to and with the next LF, or all. A line that came in one piece is read where it lies. */
static size_t feed_line(struct ifd_bench_answer *a, const char *bytes, size_t n)
{
    const char *lf = memchr(bytes, '\n', n);
    size_t size = lf ? (size_t)(lf - bytes) : n, taken = lf ? size + 1 : n;
    a->head_bytes += taken;
    if (a->head_bytes > IFD_BENCH_HEAD_BYTES) {
        a->state = IFD_BENCH_ANSWER_MALFORMED;
        return taken;
    }
    if (lf && a->line_size == 0) {
        a->state = line(a, bytes, size < IFD_BENCH_LINE_BYTES ? size : IFD_BENCH_LINE_BYTES);
        return taken;
    }
    if (a->line_size < IFD_BENCH_LINE_BYTES) {
        size_t room = IFD_BENCH_LINE_BYTES - a->line_size;
        memcpy(a->line + a->line_size, bytes, size < room ? size : room);
    }
    a->line_size += size;
    if (lf) {
        size_t seen = a->line_size < IFD_BENCH_LINE_BYTES ? a->line_size : IFD_BENCH_LINE_BYTES;
        a->line_size = 0;
        a->state = line(a, a->line, seen);
    }
    return taken;
}

/* ---- the body ------------------------------------------------------------------------------ */

/* Only the quote at its start can begin "label" anew, so a mismatch needs no table. */
static void count_labels(struct ifd_bench_answer *a, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (a->matched == 0) {
            const char *quote = memchr(bytes + i, '"', n - i);
            if (!quote)
                return;
            i = (size_t)(quote - bytes);
            a->matched = 1;
        } else if (bytes[i] != label[a->matched]) {
            a->matched = bytes[i] == '"';
        } else if (++a->matched == LABEL_BYTES) {
            a->matched = 0;
            a->labels++;
        }
    }
}

static size_t feed_body(struct ifd_bench_answer *a, const char *bytes, size_t n)
{
    if (a->state != IFD_BENCH_ANSWER_TO_END) {
        if (n > a->left)
            n = (size_t)a->left;
        a->left -= n;
    }
    count_labels(a, bytes, n);
    if (a->left == 0 && a->state == IFD_BENCH_ANSWER_BODY)
        a->state = IFD_BENCH_ANSWER_DONE;
    if (a->left == 0 && a->state == IFD_BENCH_ANSWER_CHUNK) {
        a->state = IFD_BENCH_ANSWER_CHUNK_END;
        a->head_bytes = 1; /* the bound is per line here, not for a whole long body */
    }
    return n;
}

size_t ifd_bench_answer_feed(struct ifd_bench_answer *a, const char *bytes, size_t n)
{
    size_t at = 0;
    while (at < n && a->state < IFD_BENCH_ANSWER_DONE) {
        bool body = a->state == IFD_BENCH_ANSWER_BODY || a->state == IFD_BENCH_ANSWER_CHUNK ||
                    a->state == IFD_BENCH_ANSWER_TO_END;
        at += body ? feed_body(a, bytes + at, n - at) : feed_line(a, bytes + at, n - at);
    }
    return at;
}

void ifd_bench_answer_end(struct ifd_bench_answer *a)
{
    static const char begin[] = "HTTP/1.";
    if (a->state == IFD_BENCH_ANSWER_TO_END)
        a->state = IFD_BENCH_ANSWER_DONE;
    /* what does not even begin like an answer is no answer that was cut */
    if (a->state == IFD_BENCH_ANSWER_STATUS &&
        memcmp(a->line, begin, a->line_size < 7 ? a->line_size : 7) != 0)
        a->state = IFD_BENCH_ANSWER_MALFORMED;
}
