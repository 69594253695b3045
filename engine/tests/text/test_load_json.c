/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenizer.json: what is accepted, and each refusal by its status and name.
 */
#include "text_fixture.h"

static void refuse(const char *json, inferd_status want, const char *part)
{
    struct ifd_tokenizer *t = NULL;
    inferd_error err = {0};
    assert_fails(ifd_tokenizer_from_json(json, strlen(json), &t, &err), want, err, part);
    assert_null(t);
    assert_non_null(strstr(err.message, "tokenizer.json: "));
    assert_int_equal(ifd_tokenizer_from_json(json, strlen(json), &t, NULL), want);
}

static void unsupported(const char *json, const char *part)
{
    refuse(json, INFERD_MODEL_UNSUPPORTED, part);
}

static void invalid(const char *json, const char *part)
{
    refuse(json, INFERD_MODEL_INVALID, part);
}

static void other_components_are_refused_by_name(void **state)
{
    (void)state;
    unsupported(FILE_WITH(ADDED, "{\"type\":\"Sequence\",\"normalizers\":[]}", PRE, POST, MODEL),
                "normalizer \"Sequence\"");
    unsupported(FILE_WITH(ADDED, "null", PRE, POST, MODEL), "without a normalizer");
    unsupported(FILE_WITH(ADDED, NORMALIZER, "{\"type\":\"ByteLevel\"}", POST, MODEL),
                "pre_tokenizer \"ByteLevel\"");
    unsupported(FILE_WITH(ADDED, NORMALIZER, "null", POST, MODEL), "without a pre_tokenizer");
    unsupported(FILE_WITH(ADDED, NORMALIZER, PRE, "{\"type\":\"RobertaProcessing\"}", MODEL),
                "post_processor \"RobertaProcessing\"");
    unsupported(FILE_WITH(ADDED, NORMALIZER, PRE, "null", MODEL), "without a post_processor");
    unsupported(FILE_WITH(ADDED, NORMALIZER, PRE, POST, "{\"type\":\"BPE\",\"vocab\":{}}"),
                "model \"BPE\"");
    unsupported(FILE_WITH(ADDED, NORMALIZER, PRE, POST, "{\"merges\":[],\"vocab\":{}}"), "BPE");
    unsupported(FILE_WITH(ADDED, NORMALIZER, PRE, POST, "{\"unk_token\":\"a\",\"vocab\":{}}"),
                "without a type");
    unsupported("{\"version\":\"2.0\"}", "version \"2.0\"");
}

static void other_templates_are_refused(void **state)
{
    (void)state;
#define TEMPLATE(single, specials)                                  \
    FILE_WITH(ADDED, NORMALIZER, PRE,                               \
              "{\"type\":\"TemplateProcessing\",\"single\":" single \
              ",\"special_tokens\":" specials "}",                  \
              MODEL)
#define S_CLS "{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}}"
#define S_A "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
#define S_B "{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}"
#define ONE "{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[2],\"tokens\":[\"[CLS]\"]}}"
    unsupported(TEMPLATE("[" S_CLS "," S_A "]", ONE), "[special] A [special]");
    unsupported(TEMPLATE("[" S_A "," S_A "," S_CLS "]", ONE), "[special] A [special]");
    unsupported(TEMPLATE("[" S_CLS "," S_B "," S_CLS "]", ONE), "[special] A [special]");
    unsupported(TEMPLATE("[" S_CLS "," S_A "," S_CLS "," S_CLS "]", ONE), "[special] A [special]");
    unsupported(TEMPLATE("[" S_CLS "," S_A "," S_CLS "]", "{\"[CLS]\":{\"ids\":[2,3]}}"), "2 ids");
    invalid(TEMPLATE("[" S_CLS "," S_A "," S_CLS "]", "{}"), "no ids for \"[CLS]\"");
    invalid(TEMPLATE("[" S_CLS "," S_A "," S_CLS "]", "{\"[CLS]\":{\"ids\":[]}}"), "no ids");
    invalid(TEMPLATE("[" S_CLS "," S_A "," S_CLS "]", "{\"[CLS]\":{\"ids\":[-1]}}"),
            "not an integer");
    invalid(TEMPLATE("[" S_CLS "," S_A "," S_CLS "]", "{\"[CLS]\":{\"ids\":[18]}}"), "ends at 17");
    invalid(TEMPLATE("{}", ONE), "post_processor.single");
}

/* Only BERT's own template for a pair is one that can be computed; any other is no fault of the
 * file, but no pairs. */
static void templates_say_whether_there_are_pairs(void **state)
{
    (void)state;
#define PAIR(pair)                                                                                 \
    FILE_WITH(ADDED, NORMALIZER, PRE,                                                              \
              "{\"type\":\"TemplateProcessing\",\"single\":[" P_S("[CLS]", "0") "," P_T(           \
                  "A", "0") "," P_S("[SEP]", "0") "],\"pair\":" pair                               \
                                                  ",\"special_tokens\":{\"[CLS]\":{\"ids\":[2]},"  \
                                                  "\"[SEP]\":{\"ids\":[3]},\"a\":{\"ids\":[5]}}}", \
              MODEL)
#define P_S(id, type) "{\"SpecialToken\":{\"id\":\"" id "\",\"type_id\":" type "}}"
#define P_T(id, type) "{\"Sequence\":{\"id\":\"" id "\",\"type_id\":" type "}}"
#define P_5(a, b, c, d, e) "[" a "," b "," c "," d "," e "]"
    static const struct {
        const char *json;
        bool takes;
    } rows[] = {
        {PAIR(P_5(P_S("[CLS]", "0"), P_T("A", "0"), P_S("[SEP]", "0"), P_T("B", "1"),
                  P_S("[SEP]", "1"))),
         true},
        {PAIR(P_5(P_S("[CLS]", "0"), P_T("A", "0"), P_S("[SEP]", "0"), P_T("B", "0"),
                  P_S("[SEP]", "0"))),
         false},
        {PAIR(P_5(P_S("[CLS]", "0"), P_T("A", "0"), P_S("[SEP]", "0"), P_T("B", "1"),
                  P_S("[SEP]", "0"))),
         false},
        {PAIR(P_5(P_S("[CLS]", "0"), P_T("B", "0"), P_S("[SEP]", "0"), P_T("A", "1"),
                  P_S("[SEP]", "1"))),
         false},
        {PAIR(P_5(P_S("[CLS]", "0"), P_T("A", "0"), P_S("a", "0"), P_T("B", "1"),
                  P_S("[SEP]", "1"))),
         false},
        {PAIR("[" P_T("A", "0") "," P_T("B", "1") "]"), false},
        {PAIR("[]"), false},
        {PAIR("7"), false},
        {PAIR(P_5("1", "2", "3", "4", "5")), false},
        {FILE_WITH(ADDED, NORMALIZER, PRE,
                   "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]}",
                   MODEL),
         true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ifd_tokenizer *t = json_tokenizer(rows[i].json);
        assert_int_equal(ifd_tokenizer_takes_pairs(t), rows[i].takes);
        ifd_tokenizer_free(t);
    }
    struct ifd_tokenizer *t = vocab_tokenizer("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n", NULL);
    assert_true(ifd_tokenizer_takes_pairs(t));
    ifd_tokenizer_free(t);
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    invalid("", "tokenizer.json");
    invalid("{\"version\":\"1.0\"", "tokenizer.json");
    invalid("{\"version\":\"1.0\",\"version\":\"1.0\"}", "version");
    invalid("\"\xFF\"", "tokenizer.json");
    invalid("[]", "JSON object");
    invalid("{}", "version");
    invalid(FILE_WITH(ADDED, "{\"type\":\"BertNormalizer\"}", PRE, POST, MODEL), "clean_text");
    invalid(FILE_WITH(ADDED, "{\"clean_text\":true}", PRE, POST, MODEL), "\"type\"");
    invalid(FILE_WITH(ADDED,
                      "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":"
                      "true,\"strip_accents\":1,\"lowercase\":true}",
                      PRE, POST, MODEL),
            "strip_accents");
    invalid(FILE_WITH(ADDED, "[]", PRE, POST, MODEL), "normalizer");
    invalid(FILE_WITH(ADDED, NORMALIZER, PRE, POST, "null"), "model");
    invalid(FILE_WITH(ADDED, NORMALIZER, PRE, POST, MODEL_WITH("{}")), "empty");
    invalid(FILE_WITH(ADDED, NORMALIZER, PRE, POST, MODEL_WITH("[]")), "model.vocab");
    invalid(FILE_WITH(ADDED, NORMALIZER, PRE, POST, MODEL_WITH("{\"a\":0}")),
            "unknown token \"[UNK]\"");
    invalid(FILE_WITH(ADDED, NORMALIZER, PRE, POST, MODEL_WITH("{\"[UNK]\":0,\"a\":1,\"b\":1}")),
            "both have id 1");
    invalid(FILE_WITH(ADDED, NORMALIZER, PRE, POST, MODEL_WITH("{\"[UNK]\":0,\"a\":4194304}")),
            "integer below");
    invalid(FILE_WITH(ADDED, NORMALIZER, PRE, POST, MODEL_WITH("{\"[UNK]\":0,\"a\":-1}")),
            "integer below");
    invalid(FILE_WITH(ADDED, NORMALIZER, PRE, POST, MODEL_WITH("{\"[UNK]\":0,\"a\":1.5}")),
            "integer below");
    invalid(FILE_WITH(ADDED, NORMALIZER, PRE, POST, MODEL_WITH("{\"[UNK]\":0,\"a\":\"1\"}")),
            "integer below");
    invalid(FILE_WITH(ADDED, NORMALIZER, PRE, POST, "{\"type\":\"WordPiece\"}"), "unk_token");
    invalid(FILE_WITH(ADDED, NORMALIZER, PRE, POST,
                      "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","
                      "\"continuing_subword_prefix\":\"##\",\"vocab\":{}}"),
            "max_input_chars_per_word");
}

static void damaged_added_tokens_are_refused(void **state)
{
    (void)state;
#define WITH_ADDED(list) FILE_WITH(list, NORMALIZER, PRE, POST, MODEL)
    invalid(WITH_ADDED("{}"), "added_tokens");
    invalid(WITH_ADDED("[1]"), "content");
    invalid(WITH_ADDED("[{\"id\":2,\"content\":\"[CLS]\"}]"), "single_word");
    invalid(WITH_ADDED("[{\"content\":\"[CLS]\"}]"), "id");
    invalid(WITH_ADDED("[" ADDED_TOKEN(3, "[CLS]", SPECIAL) "]"), "claims id 3");
    invalid(WITH_ADDED("[" ADDED_TOKEN(40, "new", SPECIAL) "]"), "claims id 40");
    invalid(WITH_ADDED(
                "[" ADDED_TOKEN(18, "X", FLAGS(false, false, false, true, false)) "," ADDED_TOKEN(
                    19, "x", FLAGS(false, false, false, true, false)) "]"),
            "same text");
}

static void what_is_accepted(void **state)
{
    (void)state;
    /* no model type; BertProcessing; other members are none of our business */
    struct ifd_tokenizer *t = json_tokenizer(
        FILE_WITH("[]", NORMALIZER, PRE,
                  "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]}",
                  "{\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
                  "\"max_input_chars_per_word\":3,\"vocab\":" VOCAB ",\"more\":[]}"));
    assert_str_ids(t, "acb accc [SEP]", "2 5 7 12 1 15 1 16 3");
    ifd_tokenizer_free(t);
    /* an item without content is ignored, as the reference does */
    t = json_tokenizer(WITH_ADDED("[" ADDED_TOKEN(99, "", SPECIAL) "]"));
    assert_str_ids(t, "[SEP]", "2 15 1 16 3");
    ifd_tokenizer_free(t);
    /* one that normalisation takes away never matches */
    t = json_tokenizer(
        WITH_ADDED("[" ADDED_TOKEN(18, "\\u0001", FLAGS(false, false, false, true, false)) "]"));
    assert_str_ids(t, "a\x01 b", "2 5 6 3");
    ifd_tokenizer_free(t);
    /* another prefix, and holes among the ids */
    t = json_tokenizer(
        FILE_WITH("[]", NORMALIZER, PRE, POST,
                  "{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"continuing_subword_prefix\":\"\","
                  "\"max_input_chars_per_word\":100,\"vocab\":{\"u\":1,\"a\":9,\"bc\":7}}"));
    assert_str_ids(t, "abca bc d", "2 9 7 9 7 1 3");
    assert_int_equal(ifd_tokenizer_vocab_size(t), 10);
    assert_null(ifd_tokenizer_token(t, 8));
    ifd_tokenizer_free(t);
    /* no character is few enough: every word is unknown */
    t = json_tokenizer(FILE_WITH(
        "[]", NORMALIZER, PRE, POST,
        "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
        "\"max_input_chars_per_word\":0,\"vocab\":" VOCAB "}"));
    assert_str_ids(t, "a b.", "2 1 1 1 3");
    ifd_tokenizer_free(t);
    ifd_tokenizer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_components_are_refused_by_name),
        cmocka_unit_test(other_templates_are_refused),
        cmocka_unit_test(templates_say_whether_there_are_pairs),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(damaged_added_tokens_are_refused),
        cmocka_unit_test(what_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
