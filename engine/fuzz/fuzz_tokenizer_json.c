/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_tokenizer_json.c - any bytes as a tokenizer.json, as a vocab.txt, and as the
 * tokenizer_config.json beside a good vocab.txt.
 *
 * Holds: a refusal is one of the statuses of a bad model, has a message, and gives nothing out;
 * what is accepted encodes, and all ids are within its own vocabulary size.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer.h"
#include "text/vocab.h"

#define IDS_MAX 256u

#define HOLDS(cond)                                                            \
    do {                                                                       \
        if (!(cond)) {                                                         \
            fprintf(stderr, "fuzz_tokenizer_json: %s does not hold\n", #cond); \
            abort();                                                           \
        }                                                                      \
    } while (0)

static void check(inferd_status status, struct ifd_tokenizer *t, const inferd_error *err)
{
    static const char *const texts[] = {"", "a b, \xC3\xA9\xE4\xB8\xAD", "[SEP] [CLS] <x> aab A",
                                        "e\xCC\x81\xE3\x80\xAE\xCC\x81 \xF0\x9F\x98\x80"};
    if (status) {
        HOLDS(!t);
        HOLDS(status == INFERD_MODEL_INVALID || status == INFERD_MODEL_UNSUPPORTED ||
              status == INFERD_NO_MEMORY);
        HOLDS(err->status == status && strlen(err->message) > 10);
        return;
    }
    HOLDS(t);
    uint32_t ids_end = ifd_tokenizer_vocab_size(t);
    HOLDS(ids_end > 0 && ids_end <= IFD_VOCAB_IDS_MAX);
    HOLDS(!ifd_tokenizer_token(t, (int32_t)ids_end) && !ifd_tokenizer_token(t, -1));
    struct ifd_tokenizer_scratch *s = ifd_tokenizer_scratch_create();
    HOLDS(s);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int32_t ids[IDS_MAX];
        size_t count = 0;
        bool cut;
        inferd_error why = {0};
        HOLDS(ifd_tokenizer_encode(t, s, texts[i], strlen(texts[i]), IDS_MAX, ids, &count, &cut,
                                   &why) == INFERD_OK);
        HOLDS(count >= 2 && count <= IDS_MAX);
        for (size_t k = 0; k < count; k++)
            HOLDS(ids[k] >= 0 && (uint32_t)ids[k] < ids_end);
    }
    ifd_tokenizer_scratch_free(s);
    ifd_tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n<x>\n";
    const char *bytes = (const char *)data;
    inferd_error err = {0};
    struct ifd_tokenizer *t = NULL;
    inferd_status status = ifd_tokenizer_from_json(bytes, size, &t, &err);
    check(status, t, &err);
    t = NULL;
    status = ifd_tokenizer_from_vocab(bytes, size, NULL, 0, &t, &err);
    check(status, t, &err);
    t = NULL;
    status = ifd_tokenizer_from_vocab(vocab, sizeof vocab - 1, bytes, size, &t, &err);
    check(status, t, &err);
    return 0;
}
