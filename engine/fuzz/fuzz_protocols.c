/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_protocols.c - bodies through the codecs of other people's protocols. The first byte picks
 * the codec, the second where the JSON of a tensor request ends (0: it is all of it).
 *
 * Properties: status, message and texts are the same whole, byte by byte and cut at random; an
 * accepted request has 1..max texts, none empty, no longer together than the body; the options are
 * in range; the error has a 4xx status and its protocol's JSON.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"

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

static const struct ifd_codec *const codecs[] = {&ifd_codec_oip, &ifd_codec_tei, &ifd_codec_vllm,
                                                 &ifd_codec_kserve, &ifd_codec_tokenize};
#define CODECS (sizeof(codecs) / sizeof(codecs[0]))

struct input {
    const struct ifd_codec *codec;
    const char *s;
    size_t n, json;
};

/* mode 0: whole, 1: byte by byte, else: pieces from this seed. */
static inferd_status decode(struct ifd_decode *d, const struct input *in, uint32_t mode,
                            inferd_error *err)
{
    inferd_status st = INFERD_OK;
    memset(err, 0, sizeof(*err));
    ifd_decode_begin(d, in->codec);
    if (in->json)
        ifd_decode_json_size(d, in->json);
    for (size_t at = 0; at < in->n && !st;) {
        size_t piece = in->n - at;
        if (mode == 1) {
            piece = 1;
        } else if (mode > 1) {
            mode = mode * 1664525u + 1013904223u;
            piece = 1 + (mode >> 8) % 13;
        }
        if (piece > in->n - at)
            piece = in->n - at;
        st = ifd_decode_feed(d, in->s + at, piece, err);
        at += piece;
    }
    return st ? st : ifd_decode_finish(d, err);
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
    return memcmp(&a->options, &b->options, sizeof(a->options)) == 0;
}

static inferd_status ignore(void *ctx, enum ifd_json_event event, const char *s, size_t n,
                            bool last, inferd_error *err)
{
    (void)ctx, (void)event, (void)s, (void)n, (void)last, (void)err;
    return INFERD_OK;
}

static void check_error(const struct input *in, const inferd_error *error)
{
    struct ifd_buf body;
    struct ifd_json json;
    inferd_error err;
    const int http = ifd_status_http(error->status);
    ifd_buf_init(&body, BYTES_MAX);
    in->codec->error(error, http, NULL, &body);
    ifd_json_init(&json, 4, ignore, NULL);
    require(ifd_json_feed(&json, body.data, body.size, &err) == INFERD_OK &&
                ifd_json_finish(&json, &err) == INFERD_OK,
            "the error is JSON");
    require(http >= 400 && http < 500, "a body's fault is the client's");
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
    if (size < 2)
        return 0;
    const struct input in = {.codec = codecs[data[0] % CODECS],
                             .s = (const char *)data + 2,
                             .n = size - 2,
                             .json = codecs[data[0] % CODECS]->takes_binary ? data[1] : 0};
    inferd_error a, b;
    uint32_t seed = 2166136261u;
    for (size_t i = 0; i < size; i++)
        seed = (seed ^ data[i]) * 16777619u;
    const inferd_status st = decode(&whole, &in, 0, &a);
    for (unsigned i = 0; i < 2; i++) {
        require(decode(&cut, &in, i == 0 ? 1 : seed | 2, &b) == st, "one verdict");
        require(strcmp(a.message, b.message) == 0, "one message");
        require(st || same_texts(&whole, &cut), "one list of texts, one set of options");
    }
    if (st) {
        check_error(&in, &a);
        return 0;
    }
    size_t total = 0;
    require(whole.texts.count >= 1 && whole.texts.count <= INPUTS_MAX, "1..max texts");
    for (uint32_t i = 0; i < whole.texts.count; i++) {
        require(ifd_texts_get(&whole.texts, i).size > 0, "no empty text");
        total += ifd_texts_get(&whole.texts, i).size;
    }
    require(total <= in.n, "texts are no longer than the body");
    require(whole.options.truncation < IFD_TRUNCATIONS ||
                whole.options.truncation == IFD_TRUNCATION_UNSAID,
            "a way to truncate");
    require(whole.options.timeout_ms <= 86400000, "a time-out in range");
    return 0;
}
