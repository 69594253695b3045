/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http_parser.h"

#include <string.h>

#include "server/http_chars.h"

enum state {
    S_START,    /* before a request; one empty line may stand here */
    S_START_LF, /* after the CR of that line */
    S_METHOD,
    S_TARGET,
    S_VERSION,
    S_VERSION_LF,
    S_LINE, /* first byte of a header or trailer line */
    S_NAME,
    S_BEFORE_VALUE,
    S_VALUE,
    S_VALUE_LF,
    S_END_LF, /* after the CR of the empty line that ends a head or the trailers */
    S_HEAD_COMPLETE,
    S_BODY,
    S_CHUNK_SIZE,
    S_CHUNK_BLANK, /* white space after the size: only ';' may follow */
    S_EXT_NAME,
    S_EXT_VALUE, /* first byte after '=' */
    S_EXT_TOKEN,
    S_EXT_QUOTED,
    S_EXT_END, /* after a closing quote */
    S_CHUNK_LF,
    S_CHUNK_DATA,
    S_CHUNK_DATA_CR,
    S_CHUNK_DATA_LF,
    S_DONE,
    S_FAILED,
};

static bool is_head_state(uint8_t state)
{
    return state <= S_END_LF;
}

void ifd_http_reset(struct ifd_http *p)
{
    struct ifd_http_limits limits = p->limits;
    struct ifd_buf *head = p->head;
    memset(p, 0, sizeof(*p));
    p->limits = limits;
    p->body_max = limits.body_bytes;
    p->head = head;
    ifd_buf_reset(head);
}

void ifd_http_allow_body(struct ifd_http *p, uint64_t bytes)
{
    p->body_max = bytes;
}

void ifd_http_init(struct ifd_http *p, const struct ifd_http_limits *limits, struct ifd_buf *head)
{
    p->limits = *limits;
    p->head = head;
    ifd_http_reset(p);
}

bool ifd_http_idle(const struct ifd_http *p)
{
    return p->state == S_START;
}

bool ifd_http_in_head(const struct ifd_http *p)
{
    return is_head_state(p->state) && !p->in_trailer;
}

static inferd_status bad(inferd_error *err, const char *what)
{
    return ifd_fail(err, INFERD_INVALID_HTTP, "%s", what);
}

/* Bytes at the front of s[0 .. n) for which `is` holds. */
static inline size_t run_of(bool (*is)(char), const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && is(s[i]))
        i++;
    return i;
}

static inferd_status store(struct ifd_http *p, const char *s, size_t n, inferd_error *err)
{
    ifd_buf_add(p->head, s, n);
    if (p->head->failed)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for the request's head");
    return INFERD_OK;
}

static inferd_status take_method(struct ifd_http *p, char c, inferd_error *err)
{
    if (c == ' ' && p->method_size > 0) {
        p->state = S_TARGET;
        return INFERD_OK;
    }
    if (!ifd_http_is_token(c))
        return bad(err, "a request must begin with a method");
    if (p->method_size == IFD_HTTP_METHOD_MAX)
        return ifd_fail(err, INFERD_NOT_IMPLEMENTED, "the method is not known");
    p->method[p->method_size++] = c;
    return INFERD_OK;
}

static inferd_status take_start(struct ifd_http *p, char c, inferd_error *err)
{
    if (c == '\r' && !p->after_empty_line) {
        p->state = S_START_LF;
        return INFERD_OK;
    }
    p->state = S_METHOD;
    return take_method(p, c, err);
}

static inferd_status take_target(struct ifd_http *p, const char *s, size_t n, size_t *used,
                                 inferd_error *err)
{
    size_t run = run_of(ifd_http_is_target, s, n);
    if (run > 0) {
        size_t room = p->limits.target_bytes - p->target_size;
        if (room == 0)
            return ifd_fail(err, INFERD_URI_TOO_LONG,
                            "the request target has more than --max-target-bytes %u bytes",
                            p->limits.target_bytes);
        *used = run < room ? run : room;
        p->target_size += *used;
        return store(p, s, *used, err);
    }
    *used = 1;
    if (s[0] != ' ' || p->target_size == 0)
        return bad(err, "the request target has a character that a URI may not hold");
    p->state = S_VERSION;
    inferd_status status = store(p, "", 1, err);
    return status ? status : ifd_http_check_target(p, err);
}

/* "HTTP/1.1" CR. Another digit is another version, anything else is not HTTP. */
static inferd_status take_version(struct ifd_http *p, char c, inferd_error *err)
{
    static const char want[] = "HTTP/1.1\r";
    bool digit = c >= '0' && c <= '9';
    uint8_t at = p->version_at++;
    if (at == 5 || at == 7) {
        if (!digit)
            return bad(err, "the request line must end with HTTP/1.1");
        if ((at == 5 && c != '1') || (at == 7 && c > '1'))
            p->minor = 9; /* decided when the line ends, so that garbage stays a 400 */
        else if (at == 7 && p->minor != 9)
            p->minor = (uint8_t)(c - '0');
        return INFERD_OK;
    }
    if (c != want[at])
        return bad(err, "the request line must end with HTTP/1.1 and CR LF");
    if (c == '\r') {
        if (p->minor == 9)
            return ifd_fail(err, INFERD_HTTP_VERSION, "only HTTP/1.0 and HTTP/1.1 are spoken here");
        p->state = S_VERSION_LF;
    }
    return INFERD_OK;
}

static inferd_status take_line(struct ifd_http *p, char c, inferd_error *err)
{
    if (c == '\r') {
        p->state = S_END_LF;
        return INFERD_OK;
    }
    if (c == ' ' || c == '\t')
        return bad(err, "a header line must not be folded or begin with white space");
    if (!ifd_http_is_token(c))
        return bad(err, "a header line must begin with a name");
    if (p->lines == p->limits.headers)
        return ifd_fail(err, INFERD_HEADERS_TOO_LARGE, "more than --max-headers %u header lines",
                        p->limits.headers);
    p->lines++;
    if (p->in_trailer)
        p->head->size = p->trailer_mark; /* the line before is checked and forgotten */
    p->name_at = p->head->size;
    p->state = S_NAME;
    c = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    return store(p, &c, 1, err);
}

static inferd_status take_name(struct ifd_http *p, const char *s, size_t n, size_t *used,
                               inferd_error *err)
{
    size_t run = run_of(ifd_http_is_token, s, n);
    if (run > 0) {
        *used = run;
        inferd_status status = store(p, s, run, err);
        for (size_t i = p->head->size - run; !status && i < p->head->size; i++)
            if (p->head->data[i] >= 'A' && p->head->data[i] <= 'Z')
                p->head->data[i] = (char)(p->head->data[i] + 32);
        return status;
    }
    *used = 1;
    if (s[0] != ':')
        return bad(err, "a header's name must be followed by ':' at once");
    p->state = S_BEFORE_VALUE;
    inferd_status status = store(p, "", 1, err);
    p->value_at = p->head->size;
    return status;
}

static inferd_status take_value(struct ifd_http *p, const char *s, size_t n, size_t *used,
                                inferd_error *err)
{
    size_t run = run_of(ifd_http_is_value, s, n);
    if (run > 0) {
        *used = run;
        if (p->state == S_BEFORE_VALUE) { /* skip white space before the value */
            size_t blank = 0;
            while (blank < run && (s[blank] == ' ' || s[blank] == '\t'))
                blank++;
            if (blank == run)
                return INFERD_OK;
            p->state = S_VALUE;
            return store(p, s + blank, run - blank, err);
        }
        return store(p, s, run, err);
    }
    *used = 1;
    if (s[0] == '\n')
        return bad(err, "a header line ends with a bare LF");
    if (s[0] != '\r')
        return bad(err, "a header's value has a control character");
    while (p->head->size > p->value_at &&
           (p->head->data[p->head->size - 1] == ' ' || p->head->data[p->head->size - 1] == '\t'))
        p->head->size--;
    p->state = S_VALUE_LF;
    return store(p, "", 1, err);
}

static inferd_status end_of_head(struct ifd_http *p, inferd_error *err)
{
    if (p->in_trailer) {
        p->head->size = p->trailer_mark;
        p->state = S_DONE;
        return INFERD_OK;
    }
    p->state = S_HEAD_COMPLETE;
    return ifd_http_check_head(p, err);
}

/* One step inside a head or the trailers. n >= 1 and within the limit of the head. */
static inferd_status take_head(struct ifd_http *p, const char *s, size_t n, size_t *used,
                               inferd_error *err)
{
    *used = 1;
    switch ((enum state)p->state) {
    case S_START:
        return take_start(p, s[0], err);
    case S_METHOD:
        return take_method(p, s[0], err);
    case S_TARGET:
        return take_target(p, s, n, used, err);
    case S_VERSION:
        return take_version(p, s[0], err);
    case S_LINE:
        return take_line(p, s[0], err);
    case S_NAME:
        return take_name(p, s, n, used, err);
    case S_BEFORE_VALUE:
    case S_VALUE:
        return take_value(p, s, n, used, err);
    default: /* the LF of a CR LF */
        if (s[0] != '\n')
            return bad(err, "a CR must be followed by LF");
        if (p->state == S_END_LF)
            return end_of_head(p, err);
        if (p->state == S_START_LF) {
            p->after_empty_line = true;
            p->state = S_START;
            return INFERD_OK;
        }
        if (p->state == S_VALUE_LF && p->in_trailer) {
            inferd_status status = ifd_http_check_trailer(p->head->data + p->name_at, err);
            if (status)
                return status;
        }
        p->state = S_LINE;
        return INFERD_OK;
    }
}

static inferd_status take_chunk_size(struct ifd_http *p, char c, inferd_error *err)
{
    int digit = ifd_http_hex(c);
    if (digit >= 0) {
        if (++p->chunk_digits > 16)
            return bad(err, "a chunk size has more than 16 digits");
        /* 16 digits fit; the bound on the body keeps the sum from wrapping */
        p->left = p->left << 4 | (uint64_t)digit;
        if (p->left > p->body_max - p->body_seen)
            return ifd_fail(err, INFERD_BODY_TOO_LARGE,
                            "the body has more than --max-body-bytes %llu bytes",
                            (unsigned long long)p->body_max);
        return INFERD_OK;
    }
    if (p->chunk_digits == 0)
        return bad(err, "a chunk must begin with its size in hexadecimal digits");
    if (c == '\r')
        p->state = S_CHUNK_LF;
    else if (c == ';')
        p->state = S_EXT_NAME;
    else if (c == ' ' || c == '\t')
        p->state = S_CHUNK_BLANK;
    else
        return bad(err, "a chunk size must end with CR LF");
    p->chunk_digits = 0; /* of the extension's name, from here on */
    return INFERD_OK;
}

/* The grammar of chunk extensions (RFC 9112 7.1.1), without white space around '='. */
static inferd_status take_extension(struct ifd_http *p, char c, inferd_error *err)
{
    if (++p->chunk_ext_used > IFD_HTTP_CHUNK_EXT_MAX)
        return bad(err, "the chunk extensions are too long");
    bool token = ifd_http_is_token(c);
    switch ((enum state)p->state) {
    case S_CHUNK_BLANK:
        if (c == ';')
            p->state = S_EXT_NAME;
        else if (c != ' ' && c != '\t')
            return bad(err, "a chunk size must end with CR LF");
        return INFERD_OK;
    case S_EXT_NAME:
        if (token) {
            p->chunk_digits = 1;
            return INFERD_OK;
        }
        if (p->chunk_digits == 0)
            return bad(err, "a chunk extension has no name");
        p->chunk_digits = 0;
        if (c == '=') {
            p->state = S_EXT_VALUE;
            return INFERD_OK;
        }
        break;
    case S_EXT_VALUE:
        if (c == '"') {
            p->state = S_EXT_QUOTED;
            return INFERD_OK;
        }
        if (!token)
            return bad(err, "a chunk extension has no value after '='");
        p->state = S_EXT_TOKEN;
        return INFERD_OK;
    case S_EXT_TOKEN:
        if (token)
            return INFERD_OK;
        break;
    case S_EXT_QUOTED:
        if (!ifd_http_is_value(c))
            return bad(err, "a chunk extension has a control character");
        if (p->chunk_ext_escape)
            p->chunk_ext_escape = false;
        else if (c == '\\')
            p->chunk_ext_escape = true;
        else if (c == '"')
            p->state = S_EXT_END;
        return INFERD_OK;
    default: /* S_EXT_END */
        break;
    }
    if (c == ';')
        p->state = S_EXT_NAME;
    else if (c == '\r')
        p->state = S_CHUNK_LF;
    else
        return bad(err, "a chunk extension is malformed");
    return INFERD_OK;
}

static inferd_status take_chunk_lf(struct ifd_http *p, char c, inferd_error *err)
{
    if (c != '\n')
        return bad(err, "a CR must be followed by LF");
    p->chunk_digits = 0;
    if (p->left > 0) {
        p->state = S_CHUNK_DATA;
        return INFERD_OK;
    }
    p->in_trailer = true;
    p->trailer_mark = p->head->size;
    p->lines = p->head_used = 0;
    p->state = S_LINE;
    return INFERD_OK;
}

static enum ifd_http_event take_body(struct ifd_http *p, const char *s, size_t n, size_t *used)
{
    size_t take = p->left < n ? (size_t)p->left : n;
    p->body = s;
    p->body_size = *used = take;
    p->body_seen += take;
    p->left -= take;
    if (p->left == 0)
        p->state = p->chunked ? S_CHUNK_DATA_CR : S_DONE;
    return IFD_HTTP_BODY;
}

static void begin_body(struct ifd_http *p)
{
    if (p->chunked) {
        p->state = S_CHUNK_SIZE;
    } else {
        p->left = p->content_length;
        p->state = p->left > 0 ? S_BODY : S_DONE;
    }
}

static inferd_status take_head_within_limit(struct ifd_http *p, const char *s, size_t n,
                                            size_t *used, inferd_error *err)
{
    size_t room = p->limits.head_bytes - p->head_used;
    *used = 0;
    if (room == 0)
        return ifd_fail(err, INFERD_HEADERS_TOO_LARGE,
                        "the request's %s more than --max-header-bytes %u bytes",
                        p->in_trailer ? "trailers have" : "head has", p->limits.head_bytes);
    inferd_status status = take_head(p, s, n < room ? n : room, used, err);
    p->head_used += (uint32_t)*used;
    return status;
}

enum ifd_http_event ifd_http_next(struct ifd_http *p, const char *bytes, size_t n, size_t *used,
                                  inferd_error *err)
{
    size_t at = 0;
    for (;;) {
        *used = at;
        if (p->state == S_HEAD_COMPLETE) {
            begin_body(p);
            return IFD_HTTP_HEAD;
        }
        if (p->state == S_DONE)
            return IFD_HTTP_DONE;
        if (p->state == S_FAILED) {
            (void)ifd_fail(err, p->failed, "the connection's framing was lost before");
            return IFD_HTTP_FAILED;
        }
        if (at == n)
            return IFD_HTTP_MORE;
        if (p->state == S_BODY || p->state == S_CHUNK_DATA) {
            enum ifd_http_event event = take_body(p, bytes + at, n - at, used);
            *used += at;
            return event;
        }
        size_t step = 1;
        inferd_status status;
        if (is_head_state(p->state))
            status = take_head_within_limit(p, bytes + at, n - at, &step, err);
        else if (p->state == S_CHUNK_SIZE)
            status = take_chunk_size(p, bytes[at], err);
        else if (p->state == S_CHUNK_LF)
            status = take_chunk_lf(p, bytes[at], err);
        else if (p->state == S_CHUNK_DATA_CR || p->state == S_CHUNK_DATA_LF) {
            bool cr = p->state == S_CHUNK_DATA_CR;
            status = bytes[at] == (cr ? '\r' : '\n') ? INFERD_OK
                                                     : bad(err, "a chunk must end with CR LF");
            p->state = cr ? S_CHUNK_DATA_LF : S_CHUNK_SIZE;
        } else
            status = take_extension(p, bytes[at], err);
        if (status) {
            p->state = S_FAILED;
            p->failed = status;
            return IFD_HTTP_FAILED;
        }
        at += step;
    }
}
