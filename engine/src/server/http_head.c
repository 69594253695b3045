/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http_chars.h"

#include <string.h>

/* bit 0: token, bit 1: target, bit 2: value */
/* clang-format off */
const unsigned char ifd_http_class[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4, 7, 4, 5, 7, 7, 7, 7, 6, 6, 7, 7, 6, 7, 7, 6,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 4, 6, 4, 6,
    6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 4, 6, 5, 7,
    5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 4, 5, 4, 7, 0,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
};
/* clang-format on */

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

int ifd_http_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool ifd_http_same(const char *a, size_t n, const char *want)
{
    if (strlen(want) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (lower(a[i]) != want[i])
            return false;
    return true;
}

/* name, name:port, [v6], [v6]:port; empty is allowed (RFC 9110 7.2). No comma, although the grammar
 * has it: "a,b" would be two hosts to somebody. */
static bool is_host(const char *s, size_t n)
{
    size_t i = 0;
    if (n > 0 && s[0] == '[') {
        for (i = 1; i < n && s[i] != ']'; i++)
            if (ifd_http_hex(s[i]) < 0 && s[i] != ':' && s[i] != '.')
                return false;
        if (i == n || i < 3)
            return false;
        i++;
    } else {
        for (; i < n && s[i] != ':'; i++) {
            if (!is_alnum(s[i]) && !strchr("-._~!$&'()*+;=%", s[i]))
                return false;
            if (s[i] == '%' &&
                (i + 2 >= n || ifd_http_hex(s[i + 1]) < 0 || ifd_http_hex(s[i + 2]) < 0))
                return false;
        }
    }
    if (i == n)
        return true;
    if (s[i] != ':' || n - i > 6)
        return false;
    for (i++; i < n; i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    return true;
}

inferd_status ifd_http_check_target(struct ifd_http *p, inferd_error *err)
{
    const char *s = p->head->data;
    size_t n = p->target_size, path = 0;
    for (size_t i = 0; i < n; i++)
        if (s[i] == '%' && (i + 2 >= n || ifd_http_hex(s[i + 1]) < 0 || ifd_http_hex(s[i + 2]) < 0))
            return ifd_fail(err, INFERD_INVALID_HTTP,
                            "the request target has a '%%' without two hexadecimal digits");
    if (strcmp(p->method, "CONNECT") == 0)
        return ifd_fail(err, INFERD_NOT_IMPLEMENTED,
                        "CONNECT is not implemented: this is no proxy");
    if (s[0] != '/') {
        size_t scheme = n >= 7 && ifd_http_same(s, 7, "http://")    ? 7
                        : n >= 8 && ifd_http_same(s, 8, "https://") ? 8
                                                                    : 0;
        if (scheme) {
            for (path = scheme; path < n && s[path] != '/' && s[path] != '?';)
                path++;
            if (path == scheme || !is_host(s + scheme, path - scheme))
                return ifd_fail(err, INFERD_INVALID_HTTP, "the request target's host is malformed");
        } else if (!(n == 1 && s[0] == '*' && strcmp(p->method, "OPTIONS") == 0)) {
            return ifd_fail(err, INFERD_INVALID_HTTP,
                            "the request target must begin with '/' or http://");
        }
    }
    const char *query = memchr(s + path, '?', n - path);
    p->path_offset = path;
    p->path_size = (query ? (size_t)(query - s) : n) - path;
    return INFERD_OK;
}

/* A comma-separated list of tokens: calls each(ctx, token, size). False if it is none. */
static bool each_token(const char *s, void (*each)(void *, const char *, size_t), void *ctx)
{
    for (;;) {
        while (*s == ' ' || *s == '\t')
            s++;
        size_t n = 0;
        while (ifd_http_is_token(s[n]))
            n++;
        if (n > 0)
            each(ctx, s, n);
        s += n;
        while (*s == ' ' || *s == '\t')
            s++;
        if (*s == '\0')
            return true;
        if (*s++ != ',')
            return false;
    }
}

struct connection_tokens {
    bool close, keep_alive;
};

static void see_connection(void *ctx, const char *token, size_t n)
{
    struct connection_tokens *c = ctx;
    c->close |= ifd_http_same(token, n, "close");
    c->keep_alive |= ifd_http_same(token, n, "keep-alive");
}

struct codings {
    bool unknown, chunked, chunked_is_last;
};

static void see_coding(void *ctx, const char *token, size_t n)
{
    struct codings *c = ctx;
    c->chunked_is_last = ifd_http_same(token, n, "chunked");
    c->chunked |= c->chunked_is_last;
    c->unknown |= !c->chunked_is_last;
}

static inferd_status check_coding(const struct ifd_http *p, const char *value, inferd_error *err)
{
    struct codings codings = {false, false, false};
    if (p->minor == 0)
        return ifd_fail(err, INFERD_INVALID_HTTP, "HTTP/1.0 has no Transfer-Encoding");
    if (ifd_http_same(value, strlen(value), "chunked"))
        return INFERD_OK;
    if (each_token(value, see_coding, &codings) && codings.unknown &&
        codings.chunked == codings.chunked_is_last)
        return ifd_fail(err, INFERD_NOT_IMPLEMENTED,
                        "the only Transfer-Encoding that is understood is 'chunked'");
    return ifd_fail(err, INFERD_INVALID_HTTP, "Transfer-Encoding must be exactly 'chunked'");
}

static inferd_status check_length(struct ifd_http *p, const char *value, inferd_error *err)
{
    uint64_t length = 0;
    if (*value == '\0')
        return ifd_fail(err, INFERD_INVALID_HTTP, "Content-Length is empty");
    for (const char *s = value; *s; s++) {
        if (*s < '0' || *s > '9')
            return ifd_fail(err, INFERD_INVALID_HTTP, "Content-Length must be digits only");
        if (s - value >= 19 || __builtin_mul_overflow(length, (uint64_t)10, &length) ||
            __builtin_add_overflow(length, (uint64_t)(*s - '0'), &length))
            return ifd_fail(err, INFERD_INVALID_HTTP, "Content-Length has more than 19 digits");
    }
    if (length > p->limits.body_bytes)
        return ifd_fail(err, INFERD_BODY_TOO_LARGE,
                        "the body has %llu bytes; --max-body-bytes allows %llu",
                        (unsigned long long)length, (unsigned long long)p->limits.body_bytes);
    p->content_length = length;
    return INFERD_OK;
}

inferd_status ifd_http_check_head(struct ifd_http *p, inferd_error *err)
{
    const char *host = NULL, *length = NULL, *coding = NULL, *expect = NULL;
    unsigned hosts = 0, lengths = 0, codings = 0;
    struct connection_tokens connection = {false, false};
    const char *end = p->head->data + p->head->size;
    for (const char *s = p->head->data + p->target_size + 1; s < end;) {
        const char *name = s;
        const char *value = name + strlen(name) + 1;
        s = value + strlen(value) + 1;
        if (strcmp(name, "host") == 0) {
            host = value;
            hosts++;
        } else if (strcmp(name, "content-length") == 0) {
            length = value;
            lengths++;
        } else if (strcmp(name, "transfer-encoding") == 0) {
            coding = value;
            codings++;
        } else if (strcmp(name, "expect") == 0) {
            expect = expect ? "" : value; /* twice is none that can be met */
        } else if (strcmp(name, "connection") == 0) {
            if (!each_token(value, see_connection, &connection))
                return ifd_fail(err, INFERD_INVALID_HTTP, "Connection must be a list of tokens");
        }
    }
    if (hosts > 1)
        return ifd_fail(err, INFERD_INVALID_HTTP, "more than one Host header");
    if (hosts == 0 && p->minor == 1)
        return ifd_fail(err, INFERD_INVALID_HTTP, "HTTP/1.1 needs a Host header");
    if (host && !is_host(host, strlen(host)))
        return ifd_fail(err, INFERD_INVALID_HTTP, "the Host header is malformed");
    if (lengths > 0 && codings > 0)
        return ifd_fail(err, INFERD_INVALID_HTTP,
                        "Content-Length and Transfer-Encoding must not stand together");
    if (lengths > 1)
        return ifd_fail(err, INFERD_INVALID_HTTP, "more than one Content-Length header");
    if (codings > 1)
        return ifd_fail(err, INFERD_INVALID_HTTP, "more than one Transfer-Encoding header");
    inferd_status status = length   ? check_length(p, length, err)
                           : coding ? check_coding(p, coding, err)
                                    : INFERD_OK;
    if (status)
        return status;
    p->chunked = coding != NULL;
    p->has_length = length || coding;
    if (expect && p->minor == 1) {
        p->expect_continue = ifd_http_same(expect, strlen(expect), "100-continue");
        p->expect_other = !p->expect_continue;
    }
    p->keep_alive = !connection.close && (p->minor == 1 || connection.keep_alive);
    return INFERD_OK;
}

inferd_status ifd_http_check_trailer(const char *name, inferd_error *err)
{
    static const char *const refused[] = {"content-length", "transfer-encoding", "host"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (strcmp(name, refused[i]) == 0)
            return ifd_fail(err, INFERD_INVALID_HTTP, "%s must not stand in a trailer", name);
    return INFERD_OK;
}

const char *ifd_http_target(const struct ifd_http *p)
{
    return p->head->data;
}

bool ifd_http_path_is(const struct ifd_http *p, const char *path)
{
    return strlen(path) == p->path_size &&
           memcmp(p->head->data + p->path_offset, path, p->path_size) == 0;
}

const char *ifd_http_header(const struct ifd_http *p, const char *name)
{
    const char *end = p->head->data + p->head->size;
    for (const char *s = p->head->data + p->target_size + 1; s < end;) {
        const char *value = s + strlen(s) + 1;
        if (strcmp(s, name) == 0)
            return value;
        s = value + strlen(value) + 1;
    }
    return NULL;
}
