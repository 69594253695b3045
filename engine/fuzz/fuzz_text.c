/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_text.c - any bytes as a text. The first byte picks a configuration, the second max_length.
 *
 * Holds: bytes are refused exactly when they are not UTF-8; ids are in the vocabulary, between the
 * special tokens, at most max_length; a smaller max_length gives a prefix of a larger one's ids;
 * scratch memory that has seen other texts changes nothing.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/tokenizer.h"

#define IDS_MAX 8192u
#define TOKEN(id, content, single, left, right, normal)                                         \
    "{\"id\":" #id ",\"content\":\"" content "\",\"single_word\":" #single ",\"lstrip\":" #left \
    ",\"rstrip\":" #right ",\"normalized\":" #normal ",\"special\":false}"
#define FORMAT                                                                                     \
    "{\"version\":\"1.0\",\"added_tokens\":[" TOKEN(                                               \
        3, "[SEP]", false, false, false,                                                           \
        false) "%s"                                                                                \
               "],\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":%s,\"handle_chinese_" \
               "chars\":%s,"                                                                       \
               "\"strip_accents\":%s,\"lowercase\":%s},\"pre_tokenizer\":{\"type\":"               \
               "\"BertPreTokenizer\"},"                                                            \
               "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":["   \
               "\"[CLS]\",2]},"                                                                    \
               "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_"   \
               "prefix\":"                                                                         \
               "\"##\",\"max_input_chars_per_word\":100,\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"["    \
               "CLS]\":2,"                                                                         \
               "\"[SEP]\":3,\"a\":4,\"##a\":5,\"b\":6,\"##b\":7,\"aab\":8,\"##ba\":9,\".\":10,"    \
               "\"\xE4\xB8\xAD\":"                                                                 \
               "11,\"e\":12,\"\xC3\xA9\":13,\"##\xCC\x81\":14,\"\xE3\x80\xAE\":15,\"##"            \
               "\xE3\x80\xAE\":16,"                                                                \
               "\"i\":17,\"##\xCC\x87\":18,\"A\":19,\"\xEA\xB0\x80\":20}}}"
#define MORE_TOKENS                                                                            \
    "," TOKEN(21, "qq", true, true, false, false) "," TOKEN(                                   \
        22, "<r>", false, false, true, false) "," TOKEN(23, "Na\xC3\xAF", true, true, true,    \
                                                        true) "," TOKEN(24, " ", false, false, \
                                                                        false, false)

#define CONFIGS 8u
static struct ifd_tokenizer *tokenizer[CONFIGS];
static struct ifd_tokenizer_scratch *used;

#define HOLDS(cond)                                                  \
    do {                                                             \
        if (!(cond)) {                                               \
            fprintf(stderr, "fuzz_text: %s does not hold\n", #cond); \
            abort();                                                 \
        }                                                            \
    } while (0)

static const char *flag(unsigned on)
{
    return on ? "true" : "false";
}

static void open_all(void)
{
    static const unsigned options[CONFIGS] = {15, 0, 7, 11, 14, 12, 15, 9};
    static char json[8192];
    used = ifd_tokenizer_scratch_create();
    HOLDS(used);
    for (unsigned i = 0; i < CONFIGS; i++) {
        inferd_error err = {0};
        unsigned o = options[i];
        int n = snprintf(json, sizeof json, FORMAT, i >= 6 ? MORE_TOKENS : "", flag(o & 8),
                         flag(o & 4), flag(o & 2), flag(o & 1));
        if (ifd_tokenizer_from_json(json, (size_t)n, &tokenizer[i], &err))
            fprintf(stderr, "fuzz_text: %s\n", err.message);
        HOLDS(tokenizer[i]);
    }
}

static void check(const struct ifd_tokenizer *t, struct ifd_tokenizer_scratch *s, const char *text,
                  size_t size, uint32_t max_length, int32_t *ids, size_t *count, bool *cut)
{
    inferd_error err = {0};
    inferd_status status =
        ifd_tokenizer_encode(t, s, text, size, max_length, ids, count, cut, &err);
    size_t bad = ifd_utf8_check(text, size);
    HOLDS(status == (bad == size ? INFERD_OK : INFERD_INVALID_UTF8));
    if (status) {
        HOLDS(err.status == status && err.message[0]);
        *count = 0;
        return;
    }
    HOLDS(*count >= 2 && *count <= max_length);
    HOLDS(ids[0] == 2 && ids[*count - 1] == 3);
    HOLDS(!*cut || *count == max_length);
    for (size_t i = 0; i < *count; i++)
        HOLDS(ids[i] >= 0 && (uint32_t)ids[i] < ifd_tokenizer_vocab_size(t) &&
              ifd_tokenizer_token(t, ids[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int32_t whole[IDS_MAX], part[IDS_MAX];
    if (!used)
        open_all();
    if (size < 2)
        return 0;
    const struct ifd_tokenizer *t = tokenizer[data[0] % CONFIGS];
    uint32_t max_length = 3u + data[1];
    const char *text = (const char *)data + 2;
    size -= 2;
    size_t n, m;
    bool whole_cut = false, cut = false;
    struct ifd_tokenizer_scratch *fresh = ifd_tokenizer_scratch_create();
    HOLDS(fresh);
    check(t, used, text, size, IDS_MAX, whole, &n, &whole_cut);
    check(t, fresh, text, size, max_length, part, &m, &cut);
    ifd_tokenizer_scratch_free(fresh);
    if (n) {
        HOLDS(m == (n < max_length ? n : max_length));
        HOLDS(memcmp(whole, part, (m - 1) * sizeof *part) == 0);
        HOLDS(cut == (whole_cut || n > max_length));
    }
    return 0;
}
