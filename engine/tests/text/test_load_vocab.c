/* SPDX-License-Identifier: Apache-2.0
 *
 * vocab.txt with and without tokenizer_config.json. The ids are those of transformers 5.23's
 * BertTokenizerFast for the same directory (tools/diff_vocab.py compares many more).
 */
#include "text_fixture.h"

#include "base/utf8.h"

#define BASE "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##c\nc\n<s>\n</s>\nfoo\nA\n"

static void check(const char *vocab, const char *config, const char *text, const char *want)
{
    struct ifd_tokenizer *t = vocab_tokenizer(vocab, config);
    assert_str_ids(t, text, want);
    ifd_tokenizer_free(t);
}

static void refuse(const char *vocab, const char *config, inferd_status want, const char *part)
{
    struct ifd_tokenizer *t = NULL;
    inferd_error err = {0};
    size_t size = config ? strlen(config) : 0;
    assert_fails(ifd_tokenizer_from_vocab(vocab, strlen(vocab), config, size, &t, &err), want, err,
                 part);
    assert_null(t);
    assert_int_equal(ifd_tokenizer_from_vocab(vocab, strlen(vocab), config, size, &t, NULL), want);
}

static void lines(void **state)
{
    (void)state;
    check(BASE, NULL, "A [SEP] b [MASK]", "2 5 3 6 4 3");
    check("[UNK]\r\n[CLS]\r\n[SEP]\r\na\r\n", NULL, "a b [MASK]", "1 3 0 5 2");
    check("[UNK]\n[CLS]\n[SEP]\na", NULL, "a", "1 3 2");              /* no last LF */
    check("[UNK]\n[CLS]\n[SEP]\na \t\xC2\xA0\n", NULL, "a", "1 3 2"); /* blanks at the end */
    check("\n" BASE "\n\n", NULL, "a", "3 6 4");                      /* a blank line is a number */
    check(BASE "a\nz\n", NULL, "a z", "2 13 14 3");                   /* of equal lines the last */
    struct ifd_tokenizer *t = vocab_tokenizer(BASE "a\nx y\n", NULL);
    assert_null(ifd_tokenizer_token(t, 5)); /* nobody's id any more */
    assert_string_equal(ifd_tokenizer_token(t, 14), "x y");
    assert_int_equal(ifd_tokenizer_vocab_size(t), 15);
    ifd_tokenizer_free(t);
}

static void options(void **state)
{
    (void)state;
    check(BASE, "{}", "A", "2 5 3");
    check(BASE, "{\"do_lower_case\":false}", "A", "2 12 3");
    check(BASE, "{\"do_lower_case\":false}", "a\xCC\x81", "2 1 3");
    check(BASE, "{\"do_lower_case\":false,\"strip_accents\":true}", "A\xCC\x81", "2 12 3");
    check(BASE, "{\"strip_accents\":null}", "a\xCC\x81", "2 5 3");
    check(BASE "\xE4\xB8\xAD\n", "{}", "\xE4\xB8\xAD\xE4\xB8\xAD", "2 13 13 3");
    check(BASE "\xE4\xB8\xAD\n", "{\"tokenize_chinese_chars\":false}", "\xE4\xB8\xAD\xE4\xB8\xAD",
          "2 1 3");
    check(BASE, "{\"tokenizer_class\":\"DistilBertTokenizerFast\",\"clean_text\":false}", "a\x01",
          "2 5 3");
    check(BASE, "{\"split_special_tokens\":true}", "a [SEP]", "2 5 1 1 1 3");
}

static void special_tokens(void **state)
{
    (void)state;
    check(BASE, "{\"cls_token\":\"<s>\",\"sep_token\":\"</s>\",\"unk_token\":\"foo\"}", "a z [SEP]",
          "9 5 11 11 11 11 10");
    check(BASE,
          "{\"cls_token\":{\"__type\":\"AddedToken\",\"content\":\"<s>\",\"lstrip\":true,"
          "\"normalized\":false},\"sep_token\":{\"content\":\"</s>\"}}",
          "a <s>", "9 5 9 10");
    check(BASE, "{\"pad_token\":null,\"mask_token\":null}", "a [MASK]", "2 5 1 1 1 3");
    check(BASE, "{\"additional_special_tokens\":[\"<x>\",\"foo\"]}", "a<x>foo", "2 5 13 11 3");
    check(BASE, "{\"extra_special_tokens\":{\"img_token\":\"<img>\"},\"my_token\":\"<my>\"}",
          "<my><img>", "2 13 14 3");
    check(BASE,
          "{\"added_tokens_decoder\":{\"101\":{\"content\":\"<x>\",\"special\":true},"
          "\"9\":{\"content\":\"Foo\",\"single_word\":true}}}",
          "<x> FOO foob", "2 14 13 1 3");
    check("[UNK]\na\nb\n", NULL, "a [MASK]", "5 1 6 3"); /* those that lack are added */
}

static void refusals(void **state)
{
    (void)state;
    refuse("", NULL, INFERD_MODEL_INVALID, "empty");
    refuse("[CLS]\n[SEP]\na\n", NULL, INFERD_MODEL_INVALID, "unknown token \"[UNK]\"");
    refuse("[UNK]\na\xFF\n", NULL, INFERD_MODEL_INVALID, "line 2 is not valid UTF-8");
    refuse("[UNK]\na\na\nb\n", NULL, INFERD_MODEL_INVALID, "duplicate lines");
    refuse(BASE, "{", INFERD_MODEL_INVALID, "tokenizer_config.json");
    refuse(BASE, "[]", INFERD_MODEL_INVALID, "not a JSON object");
    refuse(BASE, "{\"do_lower_case\":\"no\"}", INFERD_MODEL_INVALID, "do_lower_case");
    refuse(BASE, "{\"do_lower_case\":null}", INFERD_MODEL_INVALID, "do_lower_case");
    refuse(BASE, "{\"strip_accents\":1}", INFERD_MODEL_INVALID, "strip_accents");
    refuse(BASE, "{\"tokenize_chinese_chars\":0}", INFERD_MODEL_INVALID, "tokenize_chinese_chars");
    refuse(BASE, "{\"split_special_tokens\":0}", INFERD_MODEL_INVALID, "split_special_tokens");
    refuse(BASE, "{\"tokenizer_class\":\"RobertaTokenizer\"}", INFERD_MODEL_UNSUPPORTED,
           "\"RobertaTokenizer\"");
    refuse(BASE, "{\"tokenizer_class\":1}", INFERD_MODEL_INVALID, "tokenizer_class");
    refuse(BASE, "{\"cls_token\":null}", INFERD_MODEL_INVALID, "cls_token is null");
    refuse(BASE, "{\"sep_token\":3}", INFERD_MODEL_INVALID, "sep_token");
    refuse(BASE, "{\"unk_token\":\"\"}", INFERD_MODEL_INVALID, "unk_token is empty");
    refuse(BASE, "{\"mask_token\":{\"content\":\"m\",\"lstrip\":1}}", INFERD_MODEL_INVALID,
           "lstrip");
    refuse(BASE, "{\"added_tokens_decoder\":[]}", INFERD_MODEL_INVALID, "added_tokens_decoder");
    refuse(BASE, "{\"added_tokens_decoder\":{\"x\":{\"content\":\"y\"}}}", INFERD_MODEL_INVALID,
           "[\"x\"]");
    refuse(BASE, "{\"added_tokens_decoder\":{\"5\":\"y\"}}", INFERD_MODEL_INVALID, "[\"5\"]");
    refuse(BASE, "{\"additional_special_tokens\":\"y\"}", INFERD_MODEL_INVALID, "not a list");
    refuse(BASE, "{\"additional_special_tokens\":[1]}", INFERD_MODEL_INVALID,
           "extra special token");
}

/* A message repeats part of a token, but never part of a scalar. */
static void long_names_are_cut_whole(void **state)
{
    (void)state;
    char vocab[256] = "[CLS]\n";
    char config[256] = "{\"unk_token\":\"x";
    size_t at = strlen(config);
    for (int i = 0; i < 40; i++, at += 3)
        memcpy(config + at, "\xE4\xB8\xAD", 3);
    memcpy(config + at, "\"}", 3);
    struct ifd_tokenizer *t = NULL;
    inferd_error err = {0};
    assert_int_equal(
        ifd_tokenizer_from_vocab(vocab, strlen(vocab), config, strlen(config), &t, &err),
        INFERD_MODEL_INVALID);
    assert_int_equal(ifd_utf8_check(err.message, strlen(err.message)), strlen(err.message));
    assert_non_null(strstr(err.message, "x\xE4\xB8\xAD"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(options),
        cmocka_unit_test(special_tokens),
        cmocka_unit_test(refusals),
        cmocka_unit_test(long_names_are_cut_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
