/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_request.c - bodies of POST /infer through the native codec.
 *
 * Properties: status, message and texts are the same whole, byte by byte and cut at random; an
 * accepted request has 1..max texts, none empty, all well-formed UTF-8, no longer together than the
 * body; written again as a plain request, its texts decode to themselves; the error's JSON is well
 * formed; a failed decode leaves the decoder fit for the next request.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/jsonout.h"
#include "base/utf8.h"
#include "codec/codec.h"
#include "server/http_response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUTS_MAX 6u
#define BYTES_MAX ((size_t)1 << 20)

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "property broken: %s\n", what);
        abort();
    }
}

/* mode 0: whole, 1: byte by byte, else: pieces from this seed. */
static inferd_status decode(struct ifd_decode *d, const char *s, size_t n, uint32_t mode,
                            inferd_error *err)
{
    inferd_status status = INFERD_OK;
    memset(err, 0, sizeof(*err));
    ifd_decode_begin(d, &ifd_codec_native);
    for (size_t at = 0; at < n && !status;) {
        size_t piece = n - at;
        if (mode == 1) {
            piece = 1;
        } else if (mode > 1) {
            mode = mode * 1664525u + 1013904223u;
            piece = 1 + (mode >> 8) % 13;
        }
        if (piece > n - at)
            piece = n - at;
        status = ifd_decode_feed(d, s + at, piece, err);
        at += piece;
    }
    return status ? status : ifd_decode_finish(d, err);
}

static bool same_texts(const struct ifd_decode *a, const struct ifd_decode *b)
{
    if (a->texts.count != b->texts.count)
        return false;
    for (uint32_t i = 0; i < a->texts.count; i++) {
        inferd_text x = ifd_texts_get(&a->texts, i), y = ifd_texts_get(&b->texts, i);
        if (x.size != y.size || memcmp(x.data, y.data, x.size) != 0)
            return false;
    }
    return true;
}

static void check_texts(struct ifd_decode *d, struct ifd_decode *again, size_t size)
{
    struct ifd_buf body;
    inferd_error err;
    size_t total = 0;
    require(d->texts.count >= 1 && d->texts.count <= INPUTS_MAX, "1..max texts");
    ifd_buf_init(&body, 8 * BYTES_MAX);
    ifd_buf_add_str(&body, "{\"inputs\":[");
    for (uint32_t i = 0; i < d->texts.count; i++) {
        inferd_text t = ifd_texts_get(&d->texts, i);
        require(t.size > 0, "no empty text");
        require(ifd_utf8_check(t.data, t.size) == t.size, "well-formed UTF-8");
        total += t.size;
        if (i)
            ifd_buf_add_char(&body, ',');
        ifd_jsonout_str(&body, t.data, t.size);
    }
    ifd_buf_add_str(&body, "]}");
    require(total <= size, "texts are no longer than the body");
    require(decode(again, body.data, body.size, 0, &err) == INFERD_OK, "what we write we read");
    require(same_texts(d, again), "the texts survive writing and reading");
    ifd_buf_fini(&body);
}

static inferd_status ignore(void *ctx, enum ifd_json_event event, const char *s, size_t n,
                            bool last, inferd_error *err)
{
    (void)ctx, (void)event, (void)s, (void)n, (void)last, (void)err;
    return INFERD_OK;
}

static void check_error(const inferd_error *error)
{
    struct ifd_buf body;
    struct ifd_json json;
    inferd_error err;
    ifd_buf_init(&body, BYTES_MAX);
    ifd_response_error(&body, error, NULL);
    ifd_json_init(&json, 4, ignore, NULL);
    require(ifd_json_feed(&json, body.data, body.size, &err) == INFERD_OK &&
                ifd_json_finish(&json, &err) == INFERD_OK,
            "the error is JSON");
    int http = ifd_status_http(error->status);
    require(http == 400 || http == 413, "a body's fault is a 400 or 413");
    require(error->message[0] != '\0', "an error says something");
    ifd_buf_fini(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ifd_decode whole, cut;
    static bool ready;
    if (!ready) {
        ifd_decode_init(&whole, BYTES_MAX, INPUTS_MAX);
        ifd_decode_init(&cut, BYTES_MAX, INPUTS_MAX);
        ready = true;
    }
    const char *s = (const char *)data;
    inferd_error a, b;
    uint32_t seed = 2166136261u;
    for (size_t i = 0; i < size; i++)
        seed = (seed ^ data[i]) * 16777619u;
    inferd_status status = decode(&whole, s, size, 0, &a);
    for (unsigned i = 0; i < 2; i++) {
        require(decode(&cut, s, size, i == 0 ? 1 : seed | 2, &b) == status, "one verdict");
        require(strcmp(a.message, b.message) == 0, "one message");
        require(status || same_texts(&whole, &cut), "one list of texts");
    }
    if (status)
        check_error(&a);
    else
        check_texts(&whole, &cut, size);
    return 0;
}
