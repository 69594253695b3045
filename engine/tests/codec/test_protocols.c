/* SPDX-License-Identifier: Apache-2.0
 *
 * The codecs of other people's protocols: bodies that are taken or refused and why, whole and cut
 * at every byte, and the answers' bytes.
 */
#include "test.h"

#include "codec/decoding.h"

#define INPUTS_MAX 4u
#define OIP(more) "{\"inputs\":[{\"name\":\"text\",\"datatype\":\"BYTES\"," more

struct row {
    const struct ifd_codec *codec;
    const char *body;
    inferd_status status;
    const char *want; /* texts, each followed by '|', or a part of the message */
    size_t binary;    /* bytes at the body's end that are not JSON */
};
#define TEI &ifd_codec_tei
#define VLLM &ifd_codec_vllm
#define KSERVE &ifd_codec_kserve
#define TENSOR &ifd_codec_oip
#define TOKENS &ifd_codec_tokenize
#define BAD INFERD_INVALID_REQUEST

static const struct row rows[] = {
    {TEI, "{\"inputs\":\"a\"}", INFERD_OK, "a|", 0},
    {TEI, "{\"inputs\":[\"a\"]}", INFERD_OK, "a|", 0},
    {TEI, "{\"inputs\":[[\"a\"],[\"b\"]]}", INFERD_OK, "a|b|", 0},
    {TEI, "{\"x\":{\"y\":[1,{\"inputs\":3}]},\"inputs\":\"a\",\"truncate\":true}", INFERD_OK, "a|",
     0},
    {TEI, "{\"inputs\":[\"a\",\"bc\"]}", INFERD_OK, "a/bc|", 0},
    {TEI, "{\"inputs\":[[\"a\",\"bc\"]]}", INFERD_OK, "a/bc|", 0},
    {TEI, "{\"inputs\":[[\"a\"],[\"b\",\"c\"],[\"d\",\"e\"],[\"f\"]]}", INFERD_OK, "a|b/c|d/e|f|",
     0},
    {TEI, "{\"inputs\":[\"a\",\"b\",\"c\"]}", BAD, "a list of texts is one input", 0},
    {TEI, "{\"inputs\":[[\"a\"],[\"a\",\"b\",\"c\"]]}", BAD, "send a batch such as", 0},
    {TEI, "{\"inputs\":[\"a\",\"\"]}", BAD, "text 0 of \"inputs\" is an empty string", 0},
    {TEI, "{\"inputs\":[[\"a\",\"b\"],[\"c\",7]]}", BAD, "not a number", 0},
    {TEI, "{\"inputs\":[\"a\",[\"b\"]]}", BAD, "not a list", 0},
    {TEI, "{\"inputs\":[[\"a\",\"b\"],\"c\"]}", BAD, "a list of one or two texts", 0},
    {TEI, "{\"inputs\":[[\"a\",\"b\"],[]]}", BAD, "an item of the batch has no text", 0},
    {TEI, "{\"inputs\":[[\"1\",\"a\"],[\"2\",\"b\"],[\"3\",\"c\"],[\"4\",\"d\"]]}", INFERD_OK,
     "1/a|2/b|3/c|4/d|", 0},
    {TEI, "{\"inputs\":[[\"1\"],[\"2\"],[\"3\"],[\"4\",\"d\"],[\"5\"]]}", INFERD_TOO_MANY_INPUTS,
     "--max-inputs 4", 0},
    {TEI, "{\"inputs\":[[\"a\"],\"b\"]}", BAD, "must be a list of one or two texts, not a string",
     0},
    {TEI, "{\"inputs\":[\"a\",[\"b\"]]}", BAD, "must be a text, a pair of texts", 0},
    {TEI, "{\"inputs\":[[]]}", BAD, "has no text", 0},
    {TEI, "{\"inputs\":[]}", BAD, "is empty", 0},
    {TEI, "{\"inputs\":[[[\"a\"]]]}", BAD, "not a list", 0},
    {TEI, "{\"inputs\":\"\"}", BAD, "empty string", 0},
    {TEI, "{\"inputs\":{\"a\":1}}", BAD, "not an object", 0},
    {TEI, "{\"inputs\":\"a\",\"truncate\":1}", BAD, "must be true or false, not a number", 0},
    {TEI, "{\"inputs\":\"a\",\"truncation_direction\":\"up\"}", BAD, "\"Left\" or", 0},
    {TEI, "{\"inputs\":\"a\",\"inputs\":\"a\"}", BAD, "given twice", 0},
    {TEI, "{}", BAD, "missing", 0},
    {TEI, "[]", BAD, "must be an object, not a list", 0},
    {TEI, "7", BAD, "must be an object, not a number", 0},
    {TEI, "{\"inputs\":7", INFERD_INVALID_JSON, "", 0},
    {TEI, "{\"inputs\":[[\"1\"],[\"2\"],[\"3\"],[\"4\"],[\"5\"]]}", INFERD_TOO_MANY_INPUTS, "4", 0},
    {VLLM, "{\"input\":\"a\"}", INFERD_OK, "a|", 0},
    {VLLM, "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"user\":\"u\",\"truncate_prompt_tokens\":-1}",
     INFERD_OK, "a|b|", 0},
    {VLLM, "{\"input\":[1,2]}", BAD, "a text or a list of texts, not a number", 0},
    {VLLM, "{\"input\":[[1]]}", BAD, "not a list", 0},
    {VLLM, "{\"input\":[]}", BAD, "missing or empty", 0},
    {VLLM, "{\"messages\":[]}", BAD, "chat messages", 0},
    {VLLM, "{\"input\":\"a\",\"truncate_prompt_tokens\":7}", BAD, "may be -1", 0},
    {VLLM, "{\"input\":\"a\",\"softmax\":0}", BAD, "true or false", 0},
    {KSERVE, "{\"instances\":[\"a\",{\"text\":\"b\"}]}", INFERD_OK, "a|b|", 0},
    {KSERVE, "{\"instances\":[{\"id\":1}]}", BAD, "instance 0 has no \"text\"", 0},
    {KSERVE, "{\"instances\":[[\"a\"]]}", BAD, "not a list", 0},
    {KSERVE, "{\"instances\":\"a\"}", BAD, "not a string", 0},
    {KSERVE, "{\"instances\":[]}", BAD, "missing or empty", 0},
    {TOKENS, "{\"inputs\":[\"a\",\"b\"],\"add_special_tokens\":false}", INFERD_OK, "a|b|", 0},
    {TOKENS, "{\"inputs\":[[\"a\"]]}", BAD, "not a list", 0},
    {TOKENS, "{\"inputs\":[]}", BAD, "missing or empty", 0},
    {TENSOR, OIP("\"shape\":[2],\"data\":[\"a\",\"b\"]}]}"), INFERD_OK, "a|b|", 0},
    {TENSOR, OIP("\"shape\":[2,1],\"data\":[[\"a\"],[\"b\"]]}],\"id\":\"7\"}"), INFERD_OK, "a|b|",
     0},
    {TENSOR,
     OIP("\"shape\":[1],\"data\":[\"a\"]}],\"outputs\":[{\"name\":\"label\",\"parameters\":"
         "{\"binary_data\":true,\"other\":1}}],\"parameters\":{\"timeout\":1500,\"priority\":2}}"),
     INFERD_OK, "a|", 0},
    {TENSOR, OIP("\"shape\":[2],\"parameters\":{\"binary_data_size\":11}}]}\2\0\0\0ab\1\0\0\0c"),
     INFERD_OK, "ab|c|", 11},
    {TENSOR, OIP("\"shape\":[2],\"parameters\":{\"binary_data_size\":10}}]}\2\0\0\0ab\1\0\0\0"),
     BAD, "are not those that", 10},
    {TENSOR, OIP("\"shape\":[1],\"parameters\":{\"binary_data_size\":6}}]}\2\0\0\0abc"), BAD,
     "are not those that", 7},
    {TENSOR, OIP("\"shape\":[1],\"parameters\":{\"binary_data_size\":4}}]}\0\0\0\0"), BAD,
     "empty string", 4},
    {TENSOR, OIP("\"shape\":[2],\"parameters\":{\"binary_data_size\":11}}]}\2\0\0\0ab\1\0\0\0\x88"),
     INFERD_INVALID_UTF8, "text 1 of \"text\" is not valid UTF-8 at byte 0", 11},
    {TENSOR, OIP("\"shape\":[1],\"parameters\":{\"binary_data_size\":7}}]}\3\0\0\0a\xC3\xA9"),
     INFERD_OK, "a\xC3\xA9|", 7},
    {TENSOR,
     OIP("\"shape\":[2],\"parameters\":{\"binary_data_size\":10}}]}\1\0\0\0\xC3\1\0\0\0\xA9"),
     INFERD_INVALID_UTF8, "text 0 of \"text\" is not valid UTF-8 at byte 0", 10},
    {TENSOR, OIP("\"shape\":[1],\"data\":[\"a\"]}]}\1\0\0\0c"), BAD, "bytes follow the JSON", 5},
    {TENSOR, OIP("\"shape\":[1],\"parameters\":{\"binary_data_size\":5}}]}"), BAD,
     "are not those that", 0},
    {TENSOR, OIP("\"shape\":[1]}]}"), BAD, "needs either \"data\" or", 0},
    {TENSOR, OIP("\"shape\":[2],\"data\":[\"a\"]}]}"), BAD, "which is 1", 0},
    {TENSOR, OIP("\"shape\":[1,2],\"data\":[\"a\",\"b\"]}]}"), BAD, "which is 2", 0},
    {TENSOR, OIP("\"shape\":[1,1,1],\"data\":[\"a\"]}]}"), BAD, "[n] or [n, 1]", 0},
    {TENSOR, OIP("\"shape\":[-1],\"data\":[\"a\"]}]}"), BAD, "a dimension must be a whole number",
     0},
    {TENSOR, OIP("\"shape\":[0],\"data\":[]}]}"), BAD, "at least 1", 0},
    {TENSOR, OIP("\"shape\":[1],\"data\":[[[\"a\"]]]}]}"), BAD, "is not expected", 0},
    {TENSOR, OIP("\"shape\":[1],\"data\":[1]}]}"), BAD, "must be a string, not a number", 0},
    {TENSOR, OIP("\"shape\":[1],\"data\":[\"a\"]},{\"name\":\"text\"}]}"), BAD, "one input", 0},
    {TENSOR, "{\"inputs\":[{\"name\":\"INPUT\"}]}", BAD, "one input, \"text\"", 0},
    {TENSOR, "{\"inputs\":[{\"name\":\"text\",\"datatype\":\"FP32\"}]}", BAD, "BYTES", 0},
    {TENSOR, OIP("\"shape\":[1],\"data\":[\"a\"]}],\"outputs\":[{\"name\":\"scores\"}]}"), BAD,
     "has the outputs", 0},
    {TENSOR,
     OIP("\"shape\":[1],\"data\":[\"a\"]}],\"outputs\":[{\"name\":\"label\",\"parameters\":"
         "{\"classification\":3}}]}"),
     BAD, "classification extension", 0},
    {TENSOR, OIP("\"shape\":[1],\"data\":[\"a\"]}],\"outputs\":[{}]}"), BAD, "has no \"name\"", 0},
    {TENSOR, OIP("\"shape\":[1],\"data\":[\"a\"]}],\"id\":7}"), BAD, "\"id\" must be a string", 0},
    {TENSOR, "{\"inputs\":{}}", BAD, "must be a list, not an object", 0},
    {TENSOR, "{}", BAD, "\"inputs\" must have one tensor", 0},
    {TENSOR, "null", BAD, "must be an object, not null", 0},
};

/* The body's bytes; strlen where it has no binary part. */
static size_t size_of(const struct row *r)
{
    const char *json = r->body + strlen(r->body);
    if (r->binary == 0)
        return strlen(r->body);
    /* the JSON ends with "}]}", which no binary part here has */
    for (json = r->body; strncmp(json, "}]}", 3) != 0; json++)
        ;
    return (size_t)(json + 3 - r->body) + r->binary;
}

static inferd_status decode(struct ifd_decode *d, const struct row *r, size_t first, size_t step,
                            char *out, size_t out_size)
{
    inferd_error err;
    const size_t n = size_of(r);
    const struct body body = {.codec = r->codec,
                              .s = r->body,
                              .n = n,
                              .json = r->binary ? n - r->binary : 0,
                              .first = first,
                              .step = step};
    const inferd_status st = decode_body(d, &body, &err);
    if (st)
        snprintf(out, out_size, "%s", err.message);
    else
        show_texts(&d->texts, out, out_size);
    return st;
}

static void bodies_are_taken_or_refused(void **state)
{
    (void)state;
    struct ifd_decode d;
    ifd_decode_init(&d, 4096, INPUTS_MAX);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        char whole[600], cut[600];
        const inferd_status st = decode(&d, r, 0, 0, whole, sizeof(whole));
        if (st != r->status || (st ? !strstr(whole, r->want) : strcmp(whole, r->want) != 0))
            fail_msg("%s %s: want %s '%s', got %s '%s'", r->codec->name, r->body,
                     inferd_status_type(r->status), r->want, inferd_status_type(st), whole);
        for (size_t first = 1; first < size_of(r); first++) {
            assert_int_equal(decode(&d, r, first, 0, cut, sizeof(cut)), st);
            assert_string_equal(cut, whole);
        }
        assert_int_equal(decode(&d, r, 0, 1, cut, sizeof(cut)), st);
        assert_string_equal(cut, whole);
    }
    ifd_decode_fini(&d);
}

static const char *label(const void *model, uint32_t i)
{
    (void)model;
    static const char *const names[] = {"NO", "YES"};
    return names[i];
}

static void halves(const void *model, const float *logits, float *scores)
{
    (void)model;
    for (unsigned i = 0; i < 2; i++)
        scores[i] = logits[i] / 2;
}

/* The answer to a body: two texts, or one. */
static void check_answer(const struct ifd_codec *codec, const char *body, const char *want,
                         const char *headers)
{
    static const inferd_result results[] = {{.label = 1, .confidence = 0.75f, .tokens = 5},
                                            {.label = 0, .confidence = 0.5f, .tokens = 3}};
    static const float logits[] = {0.5f, 1.5f, 1.0f, -1.0f};
    const struct row r = {.codec = codec, .body = body};
    struct ifd_decode d;
    struct ifd_ranking ranking = {0};
    struct ifd_buf out;
    inferd_error err;
    char text[600], lines[600] = "";
    struct ifd_answer_head head = {.headers = lines, .capacity = sizeof(lines)};
    ifd_decode_init(&d, 4096, INPUTS_MAX);
    assert_int_equal(decode(&d, &r, 0, 0, text, sizeof(text)), INFERD_OK);
    assert_ok(ifd_ranking_reserve(&ranking, 2, &err), err);
    ifd_buf_init(&out, 4096);
    const struct ifd_answer a = {.label = label,
                                 .scores = halves,
                                 .request = &d,
                                 .results = results,
                                 .logits = ifd_codec_wants_logits(codec, &d) ? logits : NULL,
                                 .count = d.texts.count,
                                 .labels = 2,
                                 .ranking = &ranking,
                                 .times = {.infer_ns = 7000000, .queue_ns = 1000000},
                                 .model_name = "m",
                                 .request_id = "id-1",
                                 .unix_s = 17,
                                 .head = &head};
    codec->encode(&a, &out);
    ifd_buf_add_char(&out, '\0');
    assert_string_equal(out.data, want);
    assert_string_equal(lines, headers);
    ifd_buf_fini(&out);
    ifd_ranking_fini(&ranking);
    ifd_decode_fini(&d);
}

static void answers_are_the_peers(void **state)
{
    (void)state;
    check_answer(TEI, "{\"inputs\":\"h\xC3\xA9\"}",
                 "[{\"score\":0.75,\"label\":\"YES\"},{\"score\":0.25,\"label\":\"NO\"}]",
                 "x-compute-type: cpu\r\nx-compute-time: 8\r\nx-compute-characters: 2\r\n"
                 "x-compute-tokens: 5\r\nx-total-time: 8\r\nx-tokenization-time: 0\r\n"
                 "x-queue-time: 1\r\nx-inference-time: 7\r\n");
    check_answer(TEI, "{\"inputs\":[[\"a\"],[\"b\"]],\"raw_scores\":true}",
                 "[[{\"score\":1.5,\"label\":\"YES\"},{\"score\":0.5,\"label\":\"NO\"}],"
                 "[{\"score\":1,\"label\":\"NO\"},{\"score\":-1,\"label\":\"YES\"}]]",
                 "x-compute-type: cpu\r\nx-compute-time: 8\r\nx-compute-characters: 2\r\n"
                 "x-compute-tokens: 8\r\nx-total-time: 8\r\nx-tokenization-time: 0\r\n"
                 "x-queue-time: 1\r\nx-inference-time: 7\r\n");
    check_answer(TEI, "{\"inputs\":[\"h\xC3\xA9\",\"abc\"]}",
                 "[{\"score\":0.75,\"label\":\"YES\"},{\"score\":0.25,\"label\":\"NO\"}]",
                 "x-compute-type: cpu\r\nx-compute-time: 8\r\nx-compute-characters: 5\r\n"
                 "x-compute-tokens: 5\r\nx-total-time: 8\r\nx-tokenization-time: 0\r\n"
                 "x-queue-time: 1\r\nx-inference-time: 7\r\n");
    check_answer(
        VLLM, "{\"input\":[\"a\",\"b\"]}",
        "{\"id\":\"classify-id-1\",\"object\":\"list\",\"created\":17,\"model\":\"m\",\"data\":["
        "{\"index\":0,\"label\":\"YES\",\"probs\":[0.25,0.75],\"num_classes\":2},"
        "{\"index\":1,\"label\":\"NO\",\"probs\":[0.5,-0.5],\"num_classes\":2}],\"usage\":{"
        "\"prompt_tokens\":8,\"total_tokens\":8,\"completion_tokens\":0,"
        "\"prompt_tokens_details\":null}}\n",
        "");
    check_answer(KSERVE, "{\"instances\":[\"a\"]}",
                 "{\"predictions\":[{\"label\":\"YES\",\"confidence\":0.750000}]}\n", "");
    check_answer(
        TENSOR, OIP("\"shape\":[2],\"data\":[\"a\",\"b\"]}],\"id\":\"q\"}"),
        "{\"id\":\"q\",\"model_name\":\"m\",\"model_version\":\"1\",\"outputs\":["
        "{\"name\":\"label\",\"datatype\":\"BYTES\",\"shape\":[2],\"data\":[\"YES\",\"NO\"]},"
        "{\"name\":\"confidence\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[0.75,0.5]},"
        "{\"name\":\"logits\",\"datatype\":\"FP32\",\"shape\":[2,2],\"data\":[0.5,1.5,1,-1]}]}\n",
        "");
    check_answer(
        TENSOR,
        OIP("\"shape\":[1],\"data\":[\"a\"]}],\"outputs\":[{\"name\":\"label\",\"parameters\":{"
            "\"binary_data\":true}},{\"name\":\"confidence\",\"parameters\":{\"binary_data\":"
            "false}}],\"parameters\":{\"binary_data_output\":true}}"),
        "{\"model_name\":\"m\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"label\","
        "\"datatype\":\"BYTES\",\"shape\":[1],\"parameters\":{\"binary_data_size\":7}},"
        "{\"name\":\"confidence\",\"datatype\":\"FP32\",\"shape\":[1],\"data\":[0.75]}]}\3",
        "Inference-Header-Content-Length: 200\r\n");
}

static void requests_say_how(void **state)
{
    (void)state;
    static const struct {
        const struct ifd_codec *codec;
        const char *body;
        uint8_t truncation;
        uint32_t timeout_ms;
        bool raw;
    } cases[] = {
        {TEI, "{\"inputs\":\"a\"}", IFD_TRUNCATION_UNSAID, 0, false},
        {TEI, "{\"inputs\":\"a\",\"truncate\":false}", IFD_TRUNCATION_NONE, 0, false},
        {TEI, "{\"inputs\":\"a\",\"truncate\":true}", IFD_TRUNCATION_RIGHT, 0, false},
        {TEI, "{\"truncate\":true,\"truncation_direction\":\"Left\",\"inputs\":\"a\"}",
         IFD_TRUNCATION_LEFT, 0, false},
        {VLLM, "{\"input\":\"a\",\"softmax\":false}", IFD_TRUNCATION_UNSAID, 0, true},
        {TENSOR, OIP("\"shape\":[1],\"data\":[\"a\"]}],\"parameters\":{\"timeout\":1500}}"),
         IFD_TRUNCATION_UNSAID, 2, true},
    };
    struct ifd_decode d;
    char out[600];
    ifd_decode_init(&d, 4096, INPUTS_MAX);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct row r = {.codec = cases[i].codec, .body = cases[i].body};
        assert_int_equal(decode(&d, &r, 0, 0, out, sizeof(out)), INFERD_OK);
        assert_int_equal(d.options.truncation, cases[i].truncation);
        assert_int_equal(d.options.timeout_ms, cases[i].timeout_ms);
        assert_int_equal(d.options.raw_scores, cases[i].raw);
    }
    ifd_decode_fini(&d);
}

static void errors_have_the_peers_shape(void **state)
{
    (void)state;
    inferd_error err;
    (void)ifd_fail(&err, INFERD_OVERLOADED, "say \"when\"");
    static const struct {
        const struct ifd_codec *codec;
        const char *want;
    } cases[] = {
        {TEI, "{\"error\":\"say \\\"when\\\"\",\"error_type\":\"Overloaded\"}"},
        {VLLM,
         "{\"error\":{\"message\":\"say \\\"when\\\"\",\"type\":\"RateLimitError\",\"param\":null,"
         "\"code\":429}}\n"},
        {TENSOR, "{\"error\":\"say \\\"when\\\"\"}\n"},
        {KSERVE, "{\"error\":\"say \\\"when\\\"\"}\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ifd_buf out;
        ifd_buf_init(&out, 4096);
        cases[i].codec->error(&err, 429, "id", &out);
        ifd_buf_add_char(&out, '\0');
        assert_string_equal(out.data, cases[i].want);
        ifd_buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_taken_or_refused),
        cmocka_unit_test(answers_are_the_peers),
        cmocka_unit_test(requests_say_how),
        cmocka_unit_test(errors_have_the_peers_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
