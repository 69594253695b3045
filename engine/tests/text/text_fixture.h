/* SPDX-License-Identifier: Apache-2.0
 *
 * text_fixture.h - what the tests of this room share: a small tokenizer.json built from parts, and
 * encoding into a fixed array.
 */
#ifndef IFD_TESTS_TEXT_FIXTURE_H
#define IFD_TESTS_TEXT_FIXTURE_H

#include "test.h"

#include "text/tokenizer.h"

#define IDS_MAX 4096u

#define NORMALIZER                                                                    \
    "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true," \
    "\"strip_accents\":null,\"lowercase\":true}"
#define PRE "{\"type\":\"BertPreTokenizer\"}"
#define POST                                                                                  \
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"[CLS]\","       \
    "\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":"  \
    "\"[SEP]\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\"," \
    "\"ids\":[2],\"tokens\":[\"[CLS]\"]},\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[3],\"tokens\":" \
    "[\"[SEP]\"]}}}"
#define VOCAB                                                                                  \
    "{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4,\"a\":5,\"b\":6,\"##c\":7," \
    "\"c\":8,\"foo\":9,\"A\":10,\".\":11,\"##b\":12,\"\xE4\xB8\xAD\":13,\"e\":14,\"[\":15,"    \
    "\"]\":16,\"cls\":17}"
#define MODEL_WITH(vocab)                                                                   \
    "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\"," \
    "\"max_input_chars_per_word\":100,\"vocab\":" vocab "}"
#define MODEL MODEL_WITH(VOCAB)
#define ADDED_TOKEN(id, content, flags) "{\"id\":" #id ",\"content\":\"" content "\"," flags "}"
#define FLAGS(single, left, right, normal, special)                       \
    "\"single_word\":" #single ",\"lstrip\":" #left ",\"rstrip\":" #right \
    ",\"normalized\":" #normal ",\"special\":" #special
#define SPECIAL FLAGS(false, false, false, false, true)
#define ADDED "[" ADDED_TOKEN(2, "[CLS]", SPECIAL) "," ADDED_TOKEN(3, "[SEP]", SPECIAL) "]"
#define FILE_WITH(added, normalizer, pre, post, model)                                  \
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":" added \
    ",\"normalizer\":" normalizer ",\"pre_tokenizer\":" pre ",\"post_processor\":" post \
    ",\"decoder\":null,\"model\":" model "}"
#define SMALL FILE_WITH(ADDED, NORMALIZER, PRE, POST, MODEL)

static inline struct ifd_tokenizer *json_tokenizer(const char *json)
{
    struct ifd_tokenizer *t = NULL;
    inferd_error err = {0};
    assert_ok(ifd_tokenizer_from_json(json, strlen(json), &t, &err), err);
    return t;
}

static inline struct ifd_tokenizer *vocab_tokenizer(const char *vocab, const char *config)
{
    struct ifd_tokenizer *t = NULL;
    inferd_error err = {0};
    assert_ok(ifd_tokenizer_from_vocab(vocab, strlen(vocab), config, config ? strlen(config) : 0,
                                       &t, &err),
              err);
    return t;
}

/* Asserts the ids, given as text: "2 5 3". */
static inline void assert_ids(const struct ifd_tokenizer *t, const char *text, size_t size,
                              const char *want)
{
    static int32_t ids[IDS_MAX];
    static char got[IDS_MAX * 8];
    struct ifd_tokenizer_scratch *s = ifd_tokenizer_scratch_create();
    size_t count = 0, at = 0;
    bool truncated = true;
    inferd_error err = {0};
    assert_non_null(s);
    assert_ok(ifd_tokenizer_encode(t, s, text, size, IDS_MAX, ids, &count, &truncated, &err), err);
    assert_false(truncated);
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(got + at, sizeof got - at, i ? " %d" : "%d", ids[i]);
    if (strcmp(got, want) != 0)
        fail_msg("'%s': want %s, got %s", text, want, got);
    ifd_tokenizer_scratch_free(s);
}

static inline void assert_str_ids(const struct ifd_tokenizer *t, const char *text, const char *want)
{
    assert_ids(t, text, strlen(text), want);
}

#endif
