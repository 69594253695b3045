/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_protocols.c - bodies through the codecs of other people's protocols. The first byte picks
 * the codec, the second where the JSON of a tensor request ends (0: it is all of it).
 *
 * Properties: status, message and texts are the same whole, byte by byte and cut at random; an
 * accepted request has 1..max texts, none empty, all well-formed UTF-8, no longer together than the
 * body; only TEI's may be pairs; the options are in range; the error has a 4xx status and its
 * protocol's JSON.
 */
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ifd_codec *const codecs[] = {&ifd_codec_oip, &ifd_codec_tei, &ifd_codec_vllm,
                                                 &ifd_codec_kserve, &ifd_codec_tokenize};
#define CODECS (sizeof(codecs) / sizeof(codecs[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ifd_decode d;
    inferd_error err;
    if (size < 2)
        return 0;
    const struct body in = {.codec = codecs[data[0] % CODECS],
                            .s = (const char *)data + 2,
                            .n = size - 2,
                            .json = codecs[data[0] % CODECS]->takes_binary ? data[1] : 0};
    if (check_cuts(&d, &in, &err)) {
        check_error(in.codec->error, &err);
        return 0;
    }
    check_texts(&d.texts, in.n);
    require(!d.texts.has_pairs || in.codec == &ifd_codec_tei, "pairs are TEI's");
    require(d.options.truncation < IFD_TRUNCATIONS || d.options.truncation == IFD_TRUNCATION_UNSAID,
            "a way to truncate");
    require(d.options.timeout_ms <= 86400000, "a time-out in range");
    return 0;
}
