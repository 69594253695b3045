/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_request.c - bodies of POST /infer through the native codec.
 *
 * Properties: status, message and texts are the same whole, byte by byte and cut at random; an
 * accepted request has 1..max texts, none empty, all well-formed UTF-8, no longer together than the
 * body; written again as a plain request, its texts decode to themselves; the error's JSON is well
 * formed, its status 400 or 413; a failed decode leaves the decoder fit for the next request.
 */
#include "base/jsonout.h"
#include "fuzz_codec.h"
#include "server/http_response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rewritten(const struct ifd_texts *texts)
{
    static struct ifd_decode again;
    struct ifd_buf body;
    inferd_error err;
    if (!again.max_inputs)
        ifd_decode_init(&again, BYTES_MAX, INPUTS_MAX);
    ifd_buf_init(&body, 8 * BYTES_MAX);
    ifd_buf_add_str(&body, "{\"inputs\":[");
    for (uint32_t i = 0; i < texts->count; i++) {
        const inferd_text t = ifd_texts_get(texts, i);
        if (i)
            ifd_buf_add_char(&body, ',');
        ifd_jsonout_str(&body, t.data, t.size);
    }
    ifd_buf_add_str(&body, "]}");
    const struct body in = {.codec = &ifd_codec_native, .s = body.data, .n = body.size};
    require(decode_body(&again, &in, &err) == INFERD_OK, "what we write we read");
    require(same_texts(texts, &again.texts), "the texts survive writing and reading");
    ifd_buf_fini(&body);
}

static void encode_error(const inferd_error *error, int http, const char *request_id,
                         struct ifd_buf *out)
{
    require(http == 400 || http == 413, "a body's fault is a 400 or 413");
    ifd_response_error(out, error, request_id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ifd_decode d;
    inferd_error err;
    const struct body in = {.codec = &ifd_codec_native, .s = (const char *)data, .n = size};
    if (check_cuts(&d, &in, &err)) {
        check_error(encode_error, &err);
        return 0;
    }
    require(!d.texts.has_pairs, "no pairs");
    check_texts(&d.texts, size);
    check_rewritten(&d.texts);
    return 0;
}
