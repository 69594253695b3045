/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP parser: what it takes, what it refuses and with which status, and that neither depends
 * on how the bytes were cut.
 */
#include "test.h"

#include "http_transcript.h"

static const struct ifd_http_limits usual = {
    .head_bytes = 16384, .headers = 64, .target_bytes = 4096, .body_bytes = 2097152};

#define G "GET / HTTP/1.1\r\n"
#define H "Host: a\r\n"
#define P "POST /infer HTTP/1.1\r\nHost: a\r\n"
#define C P "Transfer-Encoding: chunked\r\n\r\n"

struct row {
    const char *name;
    const char *bytes;
    size_t size;
    /* part of the transcript */
    const char *want;
};
#define ROW(name, text, want)              \
    {                                      \
        name, text, sizeof(text) - 1, want \
    }

static const struct row accepted[] = {
    ROW("simplest", G H "\r\n",
        "HEAD GET / 1.1 keep length 0 @27\n  host=a\nDONE @27\nMORE idle head"),
    ROW("one empty line before", "\r\n" G H "\r\n", "DONE @29"),
    ROW("1.0 closes", "GET / HTTP/1.0\r\n\r\n", "HEAD GET / 1.0 length 0"),
    ROW("1.0 keeps alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "1.0 keep"),
    ROW("1.0 both", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "1.0 length"),
    ROW("close", G H "Connection: foo , CLOSE\r\n\r\n", "1.1 length"),
    ROW("close in a second line", G H "Connection: x\r\nconnection:close\r\n\r\n", "1.1 length"),
    ROW("not quite close", G H "Connection: closed\r\n\r\n", "1.1 keep"),
    ROW("value trimmed", G H "X:\t a b \t\r\n\r\n", "x=a b\n"),
    ROW("empty value", G H "X:\r\nY: \r\n\r\n", "x=\n  y=\n"),
    ROW("obs-text", G H "X: \xFF\x80\r\n\r\n", "x=\xFF\x80\n"),
    ROW("names in lower case", "GET / HTTP/1.1\r\nHOST: a\r\nX-Foo_B: 1\r\n\r\n", "x-foo_b=1"),
    ROW("token method", "M!#$%&'*+-.^_`|~9 / HTTP/1.1\r\n" H "\r\n", "HEAD M!#$%&'*+-.^_`|~9 /"),
    ROW("query", "GET /a?b=c&d=%41/?:@[] HTTP/1.1\r\n" H "\r\n", "HEAD GET /a?b=c&d=%41/?:@[] 1.1"),
    ROW("absolute form", "GET http://b:80/x HTTP/1.1\r\n" H "\r\n", "HEAD GET http://b:80/x"),
    ROW("absolute form, no path", "GET HTTPS://b HTTP/1.1\r\n" H "\r\n", "HEAD GET HTTPS://b 1.1"),
    ROW("asterisk form", "OPTIONS * HTTP/1.1\r\n" H "\r\n", "HEAD OPTIONS *"),
    ROW("host forms", "GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", "DONE"),
    ROW("empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "DONE"),
    ROW("length", P "Content-Length: 5\r\n\r\nhello",
        "sized length 5 @52\n  host=a\n  content-length=5\nBODY hello\nDONE @57"),
    ROW("length 0", P "Content-Length: 0\r\n\r\n",
        "sized length 0 @52\n  host=a\n  content-length=0\nDONE @52"),
    ROW("leading zeros", P "Content-Length: 0005\r\n\r\nhello", "BODY hello\nDONE"),
    ROW("pipelined", P "Content-Length: 2\r\n\r\nab" G H "\r\n", "BODY ab\nDONE @54\nHEAD GET /"),
    ROW("body cut", P "Content-Length: 5\r\n\r\nhel", "BODY hel\nMORE\n"),
    ROW("head cut", "GET / HT", "MORE head\n"),
    ROW("nothing", "", "MORE idle head\n"),
    ROW("chunked", C "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", "BODY abc0123456789\nDONE @89"),
    ROW("chunked, empty", C "0\r\n\r\n",
        "chunked length 0 @61\n  host=a\n  transfer-encoding=chunked\nDONE @66"),
    ROW("coding's case", P "transfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n", "chunked"),
    ROW("leading zeros of a chunk", C "0000000000000003\r\nabc\r\n000\r\n\r\n", "BODY abc\nDONE"),
    ROW("chunk extensions", C "1;a;b=c;d=\"e;\\\" \"\r\nx\r\n0;z\r\n\r\n", "BODY x\nDONE"),
    ROW("white space before ';'", C "1 \t;a\r\nx\r\n0\r\n\r\n", "BODY x\nDONE"),
    ROW("trailers", C "1\r\nx\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n",
        "transfer-encoding=chunked\nBODY x\nDONE @86"),
    ROW("expect", P "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n", "sized continue length"),
    ROW("expect something else", P "Expect: 200-ok\r\n\r\n", "1.1 keep expect length"),
    ROW("expect twice", P "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", "keep expect"),
    ROW("expect in 1.0", "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", "1.0 length"),
};

static const struct row refused[] = {
    /* who reads how much: smuggling */
    ROW("CL and TE", P "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "invalid_http"),
    ROW("TE and CL", P "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "invalid_http"),
    ROW("CL twice", P "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "more than one Content-Length"),
    ROW("CL twice the same", P "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "more than one"),
    ROW("CL list", P "Content-Length: 5, 5\r\n\r\n", "digits only"),
    ROW("CL plus", P "Content-Length: +5\r\n\r\n", "digits only"),
    ROW("CL minus", P "Content-Length: -5\r\n\r\n", "digits only"),
    ROW("CL hex", P "Content-Length: 0x5\r\n\r\n", "digits only"),
    ROW("CL blank inside", P "Content-Length: 5 5\r\n\r\n", "digits only"),
    ROW("CL empty", P "Content-Length:\r\n\r\n", "empty"),
    ROW("CL 2^64", P "Content-Length: 18446744073709551616\r\n\r\n", "19 digits"),
    ROW("CL 20 zeros", P "Content-Length: 00000000000000000000\r\n\r\n", "19 digits"),
    ROW("CL 2^63", P "Content-Length: 9223372036854775808\r\n\r\n", "body_too_large"),
    ROW("CL with dot", P "Content-Length: 5.0\r\n\r\n", "digits only"),
    ROW("TE twice", P "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "more than one"),
    ROW("TE list", P "Transfer-Encoding: chunked, chunked\r\n\r\n", "invalid_http"),
    ROW("TE gzip", P "Transfer-Encoding: gzip, chunked\r\n\r\n", "not_implemented"),
    ROW("TE gzip last", P "Transfer-Encoding: chunked, gzip\r\n\r\n", "invalid_http"),
    ROW("TE identity", P "Transfer-Encoding: identity\r\n\r\n", "not_implemented"),
    ROW("TE x", P "Transfer-Encoding: xchunked\r\n\r\n", "not_implemented"),
    ROW("TE parameter", P "Transfer-Encoding: chunked;q=1\r\n\r\n", "invalid_http"),
    ROW("TE quoted", P "Transfer-Encoding: \"chunked\"\r\n\r\n", "invalid_http"),
    ROW("TE empty", P "Transfer-Encoding:\r\n\r\n", "invalid_http"),
    ROW("TE trailing comma", P "Transfer-Encoding: chunked,\r\n\r\n", "invalid_http"),
    ROW("TE vertical tab",
        P "Transfer-Encoding: \x0B"
          "chunked\r\n\r\n",
        "control character"),
    ROW("TE space colon", P "Transfer-Encoding : chunked\r\n\r\n", "':' at once"),
    ROW("TE in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0 has no"),
    ROW("space colon", G H "X : 1\r\n\r\n", "':' at once"),
    ROW("tab colon", G H "X\t: 1\r\n\r\n", "':' at once"),
    ROW("obs-fold", G H "X: 1\r\n 2\r\n\r\n", "folded"),
    ROW("obs-fold, tab", G H "X: 1\r\n\t2\r\n\r\n", "folded"),
    ROW("first header folded", G " Host: a\r\n\r\n", "folded"),
    ROW("bare LF after request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "CR LF"),
    ROW("bare LF after header", G "Host: a\nX: 1\r\n\r\n", "bare LF"),
    ROW("bare LF at the end", G H "\n", "invalid_http"),
    ROW("CR inside a value", G H "X: 1\r2\r\n\r\n", "CR must be followed"),
    ROW("CR CR LF", G H "X: 1\r\r\n\r\n", "CR must be followed"),
    ROW("NUL in a value", G H "X: \0\r\n\r\n", "control character"),
    ROW("NUL in a name", G H "X\0: 1\r\n\r\n", "':' at once"),
    ROW("DEL in a value", G H "X: \x7F\r\n\r\n", "control character"),
    ROW("no name", G H ": 1\r\n\r\n", "begin with a name"),
    ROW("no colon", G H "X\r\n\r\n", "':' at once"),
    ROW("bad name", G H "X(y): 1\r\n\r\n", "':' at once"),
    ROW("high byte in a name", G H "X\xC3\xA9: 1\r\n\r\n", "':' at once"),
    /* the request line */
    ROW("no host", G "\r\n", "needs a Host"),
    ROW("two hosts", G H H "\r\n", "more than one Host"),
    ROW("two hosts in 1.0", "GET / HTTP/1.0\r\n" H H "\r\n", "more than one Host"),
    ROW("host list", G "Host: a, b\r\n\r\n", "Host header is malformed"),
    ROW("host with path", G "Host: a/b\r\n\r\n", "Host header is malformed"),
    ROW("host with user", G "Host: u@a\r\n\r\n", "Host header is malformed"),
    ROW("host port", G "Host: a:8x\r\n\r\n", "Host header is malformed"),
    ROW("host long port", G "Host: a:123456\r\n\r\n", "Host header is malformed"),
    ROW("host bracket", G "Host: [::1\r\n\r\n", "Host header is malformed"),
    ROW("host bracket 2", G "Host: []\r\n\r\n", "Host header is malformed"),
    ROW("host percent", G "Host: a%4\r\n\r\n", "Host header is malformed"),
    ROW("space first", " GET / HTTP/1.1\r\n", "begin with a method"),
    ROW("two empty lines first", "\r\n\r\nGET", "begin with a method"),
    ROW("LF first", "\nGET / HTTP/1.1\r\n", "begin with a method"),
    ROW("two spaces", "GET  / HTTP/1.1\r\n", "invalid_http"),
    ROW("two spaces after", "GET /  HTTP/1.1\r\n", "invalid_http"),
    ROW("tab", "GET\t/ HTTP/1.1\r\n", "invalid_http"),
    ROW("0.9", "GET /\r\n", "invalid_http"),
    ROW("0.9 version", "GET / HTTP/0.9\r\n", "http_version_not_supported"),
    ROW("2.0", "GET / HTTP/2.0\r\n", "http_version_not_supported"),
    ROW("1.2", "GET / HTTP/1.2\r\n", "http_version_not_supported"),
    ROW("1.10", "GET / HTTP/1.10\r\n", "invalid_http"),
    ROW("lower case", "GET / http/1.1\r\n", "invalid_http"),
    ROW("version blank", "GET / HTTP/1.1 \r\n", "invalid_http"),
    ROW("versionless", "GET / HTTP/1\r\n", "invalid_http"),
    ROW("HTTPX", "GET / HTTPX/1.1\r\n", "invalid_http"),
    ROW("method characters", "GE(T / HTTP/1.1\r\n", "begin with a method"),
    ROW("long method", "ABCDEFGHIJKLMNOPQRSTUVWX / HTTP/1.1\r\n", "not_implemented"),
    ROW("connect", "CONNECT a:80 HTTP/1.1\r\n", "not_implemented"),
    ROW("target high byte", "GET /\xC3\xA9 HTTP/1.1\r\n", "URI may not hold"),
    ROW("target NUL", "GET /\0 HTTP/1.1\r\n", "URI may not hold"),
    ROW("target fragment", "GET /#a HTTP/1.1\r\n", "URI may not hold"),
    ROW("target quote", "GET /\"a HTTP/1.1\r\n", "URI may not hold"),
    ROW("target percent", "GET /%4x HTTP/1.1\r\n", "hexadecimal"),
    ROW("target percent cut", "GET /%4 HTTP/1.1\r\n", "hexadecimal"),
    ROW("target form", "GET a HTTP/1.1\r\n", "must begin with"),
    ROW("target asterisk", "GET * HTTP/1.1\r\n", "must begin with"),
    ROW("target ftp", "GET ftp://a/ HTTP/1.1\r\n", "must begin with"),
    ROW("target no host", "GET http:///x HTTP/1.1\r\n", "host is malformed"),
    ROW("target user", "GET http://u@a/ HTTP/1.1\r\n", "host is malformed"),
    ROW("connection", G H "Connection: \"close\"\r\n\r\n", "list of tokens"),
    /* chunks */
    ROW("chunk no size", C "\r\n", "begin with its size"),
    ROW("chunk not hex", C "g\r\n", "begin with its size"),
    ROW("chunk sign", C "+1\r\n", "begin with its size"),
    ROW("chunk 0x", C "0x1\r\n", "end with CR LF"),
    ROW("chunk blank", C "1 \r\nx\r\n", "end with CR LF"),
    ROW("chunk blank first", C " 1\r\n", "begin with its size"),
    ROW("chunk bare LF", C "1\nx\r\n", "end with CR LF"),
    ROW("chunk CR only", C "1\rx", "CR must be followed"),
    ROW("chunk overflow", C "10000000000000001\r\n", "body_too_large"),
    ROW("chunk 17 digits", C "00000000000000001\r\n", "more than 16 digits"),
    ROW("chunk minus 1", C "ffffffffffffffff\r\n", "body_too_large"),
    ROW("chunk too short", C "1\r\nxy\r\n", "chunk must end"),
    ROW("chunk too long", C "3\r\nab\r\n0\r\n\r\n", "chunk must end"),
    ROW("chunk data bare LF", C "1\r\nx\n0\r\n\r\n", "chunk must end"),
    ROW("extension no name", C "1;\r\nx\r\n", "no name"),
    ROW("extension no name 2", C "1;=a\r\nx\r\n", "no name"),
    ROW("extension no value", C "1;a=\r\nx\r\n", "no value"),
    ROW("extension bare LF", C "1;a\nx\r\n", "malformed"),
    ROW("extension LF in quotes", C "1;a=\"\n\"\r\nx\r\n", "control character"),
    ROW("extension CR in quotes", C "1;a=\"\r\"\r\nx\r\n", "control character"),
    ROW("extension after quotes", C "1;a=\"b\"c\r\nx\r\n", "malformed"),
    ROW("trailer folded", C "0\r\nX: 1\r\n 2\r\n\r\n", "folded"),
    ROW("trailer length", C "0\r\nContent-Length: 5\r\n\r\n", "must not stand in a trailer"),
    ROW("trailer coding", C "0\r\nX: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "in a trailer"),
    ROW("trailer bare LF", C "0\r\n\n", "begin with a name"),
};

static void transcript(const struct ifd_http_limits *limits, const struct row *r, http_cut *cut,
                       void *ctx, struct ifd_buf *out)
{
    ifd_buf_reset(out);
    http_transcript(limits, r->bytes, r->size, cut, ctx, out);
    ifd_buf_add_char(out, '\0');
    assert_false(out->failed);
}

/* Runs a row whole, then byte by byte and cut once at every byte; all transcripts must be equal. */
static void check_row(const struct ifd_http_limits *limits, const struct row *r, bool fails,
                      struct ifd_buf *whole, struct ifd_buf *cut)
{
    transcript(limits, r, http_cut_whole, NULL, whole);
    if (!strstr(whole->data, r->want))
        fail_msg("%s: want '%s' in:\n%s", r->name, r->want, whole->data);
    if ((strstr(whole->data, "FAILED ") != NULL) != fails)
        fail_msg("%s: %s:\n%s", r->name, fails ? "not refused" : "refused", whole->data);
    transcript(limits, r, http_cut_bytes, NULL, cut);
    assert_string_equal(whole->data, cut->data);
    for (size_t i = 1; i < r->size; i++) {
        size_t first = i;
        transcript(limits, r, http_cut_once, &first, cut);
        assert_string_equal(whole->data, cut->data);
    }
}

static void requests_are_taken(void **state)
{
    (void)state;
    struct ifd_buf whole, cut;
    ifd_buf_init(&whole, 1 << 20);
    ifd_buf_init(&cut, 1 << 20);
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++)
        check_row(&usual, &accepted[i], false, &whole, &cut);
    ifd_buf_fini(&whole);
    ifd_buf_fini(&cut);
}

static void ambiguous_and_malformed_requests_are_refused(void **state)
{
    (void)state;
    struct ifd_buf whole, cut;
    ifd_buf_init(&whole, 1 << 20);
    ifd_buf_init(&cut, 1 << 20);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        check_row(&usual, &refused[i], true, &whole, &cut);
    ifd_buf_fini(&whole);
    ifd_buf_fini(&cut);
}

/* Each limit one below, at, and one above what the request has. */
static void limits_hold_at_their_edge(void **state)
{
    (void)state;
    static const struct {
        struct row row;
        size_t offset; /* of the field in struct ifd_http_limits */
        uint32_t has;
        const char *refusal;
    } edges[] = {
        {ROW("head", G H "X: 12345\r\n\r\n", "DONE"), offsetof(struct ifd_http_limits, head_bytes),
         37, "FAILED headers_too_large (the request's head has more than --max-header-bytes 36"},
        {ROW("headers", G H "X: 1\r\nY: 2\r\n\r\n", "DONE"),
         offsetof(struct ifd_http_limits, headers), 3,
         "FAILED headers_too_large (more than --max-headers 2"},
        {ROW("target", "GET /12345 HTTP/1.1\r\n" H "\r\n", "DONE"),
         offsetof(struct ifd_http_limits, target_bytes), 6,
         "FAILED uri_too_long (the request target has more than --max-target-bytes 5"},
        {ROW("trailers",
             "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n"
             "A: 1\r\nB: 2\r\nC: 3\r\n\r\n",
             "DONE"),
         offsetof(struct ifd_http_limits, headers), 3, "more than --max-headers 2"},
        {ROW("body", P "Content-Length: 300\r\n\r\n", "MORE"),
         offsetof(struct ifd_http_limits, body_bytes), 300,
         "FAILED body_too_large (the body has 300 bytes; --max-body-bytes allows 299"},
        {ROW("chunks", C "8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n", "DONE"),
         offsetof(struct ifd_http_limits, body_bytes), 16,
         "FAILED body_too_large (the body has more than --max-body-bytes 15"},
    };
    struct ifd_buf whole, cut;
    ifd_buf_init(&whole, 1 << 20);
    ifd_buf_init(&cut, 1 << 20);
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        for (int delta = -1; delta <= 1; delta++) {
            struct ifd_http_limits l = usual;
            uint32_t value = edges[i].has + (uint32_t)delta;
            if (edges[i].offset == offsetof(struct ifd_http_limits, body_bytes))
                l.body_bytes = value;
            else
                memcpy((char *)&l + edges[i].offset, &value, sizeof(value));
            struct row r = edges[i].row;
            if (delta < 0)
                r.want = edges[i].refusal;
            check_row(&l, &r, delta < 0, &whole, &cut);
        }
    }
    /* the trailers' bytes have the head's limit; chunk extensions have their own */
    for (size_t extra = 0; extra < 3; extra++) {
        char text[4096];
        struct row r = {"trailer bytes", text, 0, extra == 2 ? "trailers have more" : "DONE"};
        struct ifd_http_limits l = usual;
        l.head_bytes = 100;
        r.size =
            (size_t)snprintf(text, sizeof(text), C "0\r\nX: %0*d\r\n\r\n", (int)(92 + extra), 1);
        check_row(&l, &r, extra == 2, &whole, &cut);
        r = (struct row){"extension bytes", text, 0,
                         extra == 2 ? "extensions are too long" : "DONE"};
        r.size = (size_t)snprintf(text, sizeof(text), C "0;%0*d\r\n\r\n",
                                  (int)(IFD_HTTP_CHUNK_EXT_MAX - 2 + extra), 1);
        check_row(&usual, &r, extra == 2, &whole, &cut);
    }
    ifd_buf_fini(&whole);
    ifd_buf_fini(&cut);
}

static void parts_of_a_head_are_found(void **state)
{
    (void)state;
    static const char text[] =
        "GET http://h/a/b?c=/infer HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\nA: 3\r\n\r\n";
    struct ifd_buf head;
    struct ifd_http p;
    size_t used;
    inferd_error err;
    ifd_buf_init(&head, 2 * usual.head_bytes);
    ifd_http_init(&p, &usual, &head);
    assert_true(ifd_http_idle(&p));
    assert_int_equal(ifd_http_next(&p, text, sizeof(text) - 1, &used, &err), IFD_HTTP_HEAD);
    assert_true(ifd_http_path_is(&p, "/a/b"));
    assert_false(ifd_http_path_is(&p, "/a"));
    assert_false(ifd_http_path_is(&p, "/infer"));
    assert_string_equal(ifd_http_header(&p, "a"), "1");
    assert_string_equal(ifd_http_header(&p, "b"), "2");
    assert_null(ifd_http_header(&p, "c"));
    assert_int_equal(ifd_http_next(&p, "", 0, &used, &err), IFD_HTTP_DONE);
    assert_int_equal(ifd_http_next(&p, "junk", 4, &used, &err), IFD_HTTP_DONE);
    assert_int_equal(used, 0); /* nothing is taken until the reset */
    ifd_http_reset(&p);
    assert_int_equal(ifd_http_next(&p, " ", 1, &used, &err), IFD_HTTP_FAILED);
    assert_int_equal(ifd_http_next(&p, "GET", 3, &used, &err), IFD_HTTP_FAILED);
    assert_int_equal(err.status, INFERD_INVALID_HTTP);
    ifd_buf_fini(&head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_taken),
        cmocka_unit_test(ambiguous_and_malformed_requests_are_refused),
        cmocka_unit_test(limits_hold_at_their_edge),
        cmocka_unit_test(parts_of_a_head_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
