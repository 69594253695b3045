/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_http.c - the HTTP request parser.
 *
 * Properties: the transcript (events, offsets, verdict, message) is the same whole, byte by byte
 * and cut at random; and every request that it takes has one framing only, by a naive second
 * reading of the raw bytes that shares no code with the parser: no bare CR or LF, no NUL, no folded
 * line, at most one length of one kind, the body where that length says, decoded as it says.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../tests/server/http_transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ifd_http_limits limits = {
    .head_bytes = 1024, .headers = 12, .target_bytes = 128, .body_bytes = 2048};

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "property broken: %s\n", what);
        abort();
    }
}

/* xorshift; the state is the seed and never 0. */
static size_t cut_random(void *ctx, size_t left)
{
    uint32_t *x = ctx;
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    size_t n = 1 + *x % 37;
    return n < left ? n : left;
}

static size_t find_crlf(const char *s, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++)
        if (s[i] == '\r' && s[i + 1] == '\n')
            return i;
    return n;
}

struct framing {
    bool length, chunked;
    uint64_t bytes;
};

static bool name_is(const char *line, size_t colon, const char *name)
{
    return colon == strlen(name) && strncasecmp(line, name, colon) == 0;
}

/* Reads an accepted head (with its final empty line) naively. */
static struct framing read_head(const char *s, size_t n)
{
    struct framing f = {false, false, 0};
    unsigned lengths = 0, codings = 0, hosts = 0;
    bool first = true, version_1_1 = false;
    for (size_t i = 0; i < n; i++) {
        require(s[i] != '\0', "NUL in a head");
        require(s[i] != '\n' || (i > 0 && s[i - 1] == '\r'), "bare LF in a head");
        require(s[i] != '\r' || (i + 1 < n && s[i + 1] == '\n'), "bare CR in a head");
    }
    require(n >= 4 && memcmp(s + n - 4, "\r\n\r\n", 4) == 0, "a head ends with an empty line");
    if (n >= 2 && s[0] == '\r') {
        s += 2;
        n -= 2;
    }
    while (n > 2) {
        size_t line = find_crlf(s, n);
        if (first) {
            version_1_1 = line >= 8 && memcmp(s + line - 8, "HTTP/1.1", 8) == 0;
            require(version_1_1 || (line >= 8 && memcmp(s + line - 8, "HTTP/1.0", 8) == 0),
                    "version");
            require(memchr(s, '\t', line) == NULL, "tab in a request line");
            first = false;
        } else {
            const char *at = memchr(s, ':', line);
            require(at && at > s, "a header line has a name");
            size_t colon = (size_t)(at - s);
            require(!memchr(s, ' ', colon) && !memchr(s, '\t', colon), "white space in a name");
            size_t from = colon + 1, to = line;
            while (from < to && (s[from] == ' ' || s[from] == '\t'))
                from++;
            while (to > from && (s[to - 1] == ' ' || s[to - 1] == '\t'))
                to--;
            if (name_is(s, colon, "content-length")) {
                lengths++;
                f.length = true;
                require(to > from && to - from < 20, "a length has digits");
                for (size_t i = from; i < to; i++) {
                    require(s[i] >= '0' && s[i] <= '9', "a length is digits only");
                    f.bytes = f.bytes * 10 + (uint64_t)(s[i] - '0');
                }
            } else if (name_is(s, colon, "transfer-encoding")) {
                codings++;
                f.chunked = true;
                require(to - from == 7 && strncasecmp(s + from, "chunked", 7) == 0,
                        "a coding is chunked");
            } else if (name_is(s, colon, "host")) {
                hosts++;
            }
        }
        s += line + 2;
        n -= line + 2;
    }
    require(lengths + codings <= 1, "one length at most");
    require(version_1_1 ? hosts == 1 : hosts <= 1 && codings == 0, "one host");
    return f;
}

/* Decodes a chunked body naively into out; returns the bytes that it took. */
static size_t read_chunks(const char *s, size_t n, struct ifd_buf *out)
{
    size_t at = 0;
    for (;;) {
        size_t line = find_crlf(s + at, n - at);
        uint64_t size = 0;
        require(line < n - at, "a chunk size has a line end");
        require(!memchr(s + at, '\n', line), "bare LF in a chunk's line");
        for (size_t i = 0; i < line && s[at + i] != ';' && s[at + i] != ' ' && s[at + i] != '\t';
             i++) {
            const char *digit = strchr("0123456789abcdef", s[at + i] | 0x20);
            require(digit && s[at + i] > 0x20, "a chunk size is hexadecimal");
            size = size * 16 + (uint64_t)(digit - "0123456789abcdef");
        }
        at += line + 2;
        if (size == 0)
            break;
        require(size + 2 <= n - at, "a chunk is there");
        ifd_buf_add(out, s + at, (size_t)size);
        at += (size_t)size;
        require(memcmp(s + at, "\r\n", 2) == 0, "a chunk ends with CR LF");
        at += 2;
    }
    for (;;) {
        size_t line = find_crlf(s + at, n - at);
        require(line < n - at, "a trailer has a line end");
        at += line + 2;
        if (line == 0)
            return at;
    }
}

/* Every request that the parser takes out of the bytes reads the same to the naive reader. */
static void check_framing(const char *s, size_t n)
{
    struct ifd_buf head, body, naive;
    struct ifd_http p;
    inferd_error err;
    struct framing f = {false, false, 0};
    size_t total = 0, start = 0, head_end = 0;
    ifd_buf_init(&head, 2 * (size_t)limits.head_bytes);
    ifd_buf_init(&body, 1 << 20);
    ifd_buf_init(&naive, 1 << 20);
    ifd_http_init(&p, &limits, &head);
    for (;;) {
        size_t used = 0;
        enum ifd_http_event event = ifd_http_next(&p, s + total, n - total, &used, &err);
        total += used;
        if (event == IFD_HTTP_HEAD) {
            head_end = total;
            require(head_end - start <= limits.head_bytes, "the head's limit");
            f = read_head(s + start, head_end - start);
            require(p.has_length == (f.length || f.chunked) && p.chunked == f.chunked,
                    "the kind of length");
            require(f.chunked || p.content_length == f.bytes, "the length");
            require(f.bytes <= limits.body_bytes, "the body's limit");
        } else if (event == IFD_HTTP_BODY) {
            ifd_buf_add(&body, p.body, p.body_size);
            require(body.size <= limits.body_bytes, "the body's limit");
        } else if (event == IFD_HTTP_DONE) {
            if (f.chunked)
                require(read_chunks(s + head_end, n - head_end, &naive) == total - head_end,
                        "the end of the chunks");
            else
                ifd_buf_add(&naive, s + head_end, (size_t)f.bytes);
            require(f.chunked || total == head_end + f.bytes, "the end of the body");
            require(naive.size == body.size &&
                        (body.size == 0 || memcmp(naive.data, body.data, body.size) == 0),
                    "the body");
            ifd_buf_reset(&body);
            ifd_buf_reset(&naive);
            ifd_http_reset(&p);
            start = total;
        } else {
            break;
        }
    }
    ifd_buf_fini(&head);
    ifd_buf_fini(&body);
    ifd_buf_fini(&naive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *s = (const char *)data;
    struct ifd_buf whole, cut;
    ifd_buf_init(&whole, 1 << 24);
    ifd_buf_init(&cut, 1 << 24);
    http_transcript(&limits, s, size, http_cut_whole, NULL, &whole);
    http_transcript(&limits, s, size, http_cut_bytes, NULL, &cut);
    require(whole.size == cut.size && memcmp(whole.data, cut.data, cut.size) == 0,
            "whole == byte by byte");
    uint32_t seed = 2166136261u;
    for (size_t i = 0; i < size; i++)
        seed = (seed ^ data[i]) * 16777619u;
    seed |= 1;
    ifd_buf_reset(&cut);
    http_transcript(&limits, s, size, cut_random, &seed, &cut);
    require(whole.size == cut.size && memcmp(whole.data, cut.data, cut.size) == 0,
            "whole == cut at random");
    ifd_buf_fini(&whole);
    ifd_buf_fini(&cut);
    check_framing(s, size);
    return 0;
}
