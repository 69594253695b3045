/* SPDX-License-Identifier: Apache-2.0
 *
 * The native request codec: bodies that it takes, bodies that it refuses and why, whole and cut at
 * every byte; and the answers that it writes.
 */
#include "test.h"

#include <math.h>

#include "base/mem.h"
#include "codec/decoding.h"

#define INPUTS_MAX 4u

struct row {
    const char *body;
    inferd_status status;
    const char *want; /* texts, each followed by '|', or a part of the message */
};

static const struct row rows[] = {
    {"{\"text\":\"a\"}", INFERD_OK, "a|"},
    {"{\"inputs\":\"a\"}", INFERD_OK, "a|"},
    {"{\"inputs\":[\"a\"]}", INFERD_OK, "a|"},
    {" { \"inputs\" : [ \"a\" , \"bc\" ] } \n", INFERD_OK, "a|bc|"},
    {"{\"inputs\":[\"1\",\"2\",\"3\",\"4\"]}", INFERD_OK, "1|2|3|4|"},
    {"{\"inputs\":[\" \",\"\\n\",\"\\u00e9\",\"\\ud83d\\ude00\"]}", INFERD_OK,
     " |\n|\xC3\xA9|\xF0\x9F\x98\x80|"},
    {"{\"te\\u0078t\":\"\\\"\\\\\\/\"}", INFERD_OK, "\"\\/|"},
    {"", INFERD_INVALID_JSON, ""},
    {" ", INFERD_INVALID_JSON, ""},
    {"{\"text\":\"a\"", INFERD_INVALID_JSON, ""},
    {"{\"text\":\"a\"}}", INFERD_INVALID_JSON, ""},
    {"{\"text\":\"a\"}{}", INFERD_INVALID_JSON, ""},
    {"{\"text\":\"a\",}", INFERD_INVALID_JSON, ""},
    {"{\"text\":\"\\udc00\"}", INFERD_INVALID_JSON, ""},
    {"{\"text\":\"\x80\"}", INFERD_INVALID_UTF8, ""},
    {"{\"text\":\"\xC3\"}", INFERD_INVALID_UTF8, ""},
    /* no JSON comes before every other fault */
    {"[1", INFERD_INVALID_JSON, ""},
    {"{\"input\":1", INFERD_INVALID_JSON, ""},
    {"{\"inputs\":[\"\",nul]}", INFERD_INVALID_JSON, ""},
    {"{\"inputs\":[1,\"\x80\"]}", INFERD_INVALID_UTF8, ""},
    {"{\"inputs\":[\"1\",\"2\",\"3\",\"4\",\"5\"}", INFERD_INVALID_JSON, ""},
    {"[\"a\"]", INFERD_INVALID_REQUEST,
     "must be a JSON object such as {\"inputs\": [\"a text\"]}, not a list"},
    {"\"a\"", INFERD_INVALID_REQUEST, "not a string"},
    {"17", INFERD_INVALID_REQUEST, "not a number"},
    {"null", INFERD_INVALID_REQUEST, "not null"},
    {"{}", INFERD_INVALID_REQUEST, "neither \"inputs\" nor \"text\""},
    {"{\"inputs\":[]}", INFERD_INVALID_REQUEST, "\"inputs\" is an empty list"},
    {"{\"inputs\":\"\"}", INFERD_INVALID_REQUEST, "\"inputs\" is an empty string"},
    {"{\"text\":\"\"}", INFERD_INVALID_REQUEST, "\"text\" is an empty string"},
    {"{\"inputs\":[\"\"]}", INFERD_INVALID_REQUEST, "inputs[0] is an empty string"},
    {"{\"inputs\":[\"a\",\"b\",\"\"]}", INFERD_INVALID_REQUEST, "inputs[2] is an empty string"},
    {"{\"inputs\":[\"a\",7]}", INFERD_INVALID_REQUEST, "inputs[1] must be a string, not a number"},
    {"{\"inputs\":[true]}", INFERD_INVALID_REQUEST, "inputs[0] must be a string, not a boolean"},
    {"{\"inputs\":[null]}", INFERD_INVALID_REQUEST, "inputs[0] must be a string, not null"},
    {"{\"inputs\":[{}]}", INFERD_INVALID_REQUEST, "inputs[0] must be a string, not an object"},
    {"{\"inputs\":[[]]}", INFERD_INVALID_REQUEST, "inputs[0] must be a string, not a list"},
    {"{\"inputs\":7}", INFERD_INVALID_REQUEST,
     "\"inputs\" must be a string or a list of strings, not a number"},
    {"{\"text\":[\"a\"]}", INFERD_INVALID_REQUEST, "\"text\" must be a string, not a list"},
    {"{\"text\":false}", INFERD_INVALID_REQUEST, "\"text\" must be a string, not a boolean"},
    {"{\"text\":\"a\",\"text\":\"b\"}", INFERD_INVALID_REQUEST, "\"text\" is given twice"},
    {"{\"inputs\":\"a\",\"in\\u0070uts\":\"b\"}", INFERD_INVALID_REQUEST,
     "\"inputs\" is given twice"},
    {"{\"inputs\":\"a\",\"text\":\"b\"}", INFERD_INVALID_REQUEST, "both given"},
    {"{\"text\":\"a\",\"inputs\":[\"b\"]}", INFERD_INVALID_REQUEST, "both given"},
    {"{\"Text\":\"a\"}", INFERD_INVALID_REQUEST, "unknown key \"Text\""},
    {"{\"\":\"a\"}", INFERD_INVALID_REQUEST, "unknown key \"\""},
    {"{\"text\\u0000\":\"a\"}", INFERD_INVALID_REQUEST, "unknown key \"text"},
    {"{\"inputs\":[\"1\",\"2\",\"3\",\"4\",\"5\"]}", INFERD_TOO_MANY_INPUTS, "--max-inputs 4"},
    {"{\"parameters\":{\"a\":[{}]},\"text\":\"a\"}", INFERD_INVALID_REQUEST,
     "unknown key \"a\"; \"parameters\" may have"},
    {"{\"parameters\":[],\"text\":\"a\"}", INFERD_INVALID_REQUEST, "must be an object, not a list"},
    {"{\"parameters\":{\"text\":\"a\"}}", INFERD_INVALID_REQUEST, "unknown key \"text\""},
    {"{\"parameters\":{}}", INFERD_INVALID_REQUEST, "neither"},
    {"{\"text\":\"a\",\"timeout_ms\":5}", INFERD_INVALID_REQUEST, "unknown key \"timeout_ms\""},
    {"{\"text\":\"a\",\"parameters\":{},\"parameters\":{}}", INFERD_INVALID_REQUEST, "given twice"},
    {"{\"text\":\"a\",\"parameters\":{\"timeout_ms\":5,\"timeout_ms\":5}}", INFERD_INVALID_REQUEST,
     "\"timeout_ms\" is given twice"},
    {"{\"text\":\"a\",\"parameters\":{\"timeout_ms\":0}}", INFERD_INVALID_REQUEST, "1 to 86400000"},
    {"{\"text\":\"a\",\"parameters\":{\"timeout_ms\":86400001}}", INFERD_INVALID_REQUEST,
     "1 to 86400000"},
    {"{\"text\":\"a\",\"parameters\":{\"timeout_ms\":1.5}}", INFERD_INVALID_REQUEST,
     "whole number"},
    {"{\"text\":\"a\",\"parameters\":{\"timeout_ms\":-1}}", INFERD_INVALID_REQUEST, "whole number"},
    {"{\"text\":\"a\",\"parameters\":{\"timeout_ms\":\"5\"}}", INFERD_INVALID_REQUEST,
     "whole number"},
    {"{\"text\":\"a\",\"parameters\":{\"timeout_ms\":99999999999999999999}}",
     INFERD_INVALID_REQUEST, "whole number"},
    {"{\"text\":\"a\",\"parameters\":{\"top_k\":0,\"raw_scores\":true,\"details\":false,"
     "\"truncation\":\"head_tail\",\"timeout_ms\":5}}",
     INFERD_OK, "a|"},
    {"{\"text\":\"a\",\"parameters\":{\"top_k\":1000000}}", INFERD_OK, "a|"},
    {"{\"text\":\"a\",\"parameters\":{\"top_k\":1000001}}", INFERD_INVALID_REQUEST,
     "0 (all labels)"},
    {"{\"text\":\"a\",\"parameters\":{\"top_k\":-1}}", INFERD_INVALID_REQUEST, "0 (all labels)"},
    {"{\"text\":\"a\",\"parameters\":{\"top_k\":\"1\"}}", INFERD_INVALID_REQUEST, "0 (all labels)"},
    {"{\"text\":\"a\",\"parameters\":{\"raw_scores\":1}}", INFERD_INVALID_REQUEST,
     "\"raw_scores\" must be true or false, not a number"},
    {"{\"text\":\"a\",\"parameters\":{\"details\":\"yes\"}}", INFERD_INVALID_REQUEST,
     "\"details\" must be true or false, not a string"},
    {"{\"text\":\"a\",\"parameters\":{\"truncation\":\"Right\"}}", INFERD_INVALID_REQUEST,
     "\"window_max\""},
    {"{\"text\":\"a\",\"parameters\":{\"truncation\":true}}", INFERD_INVALID_REQUEST,
     "\"window_max\""},
    {"{\"text\":\"a\",\"parameters\":{\"details\":true,\"details\":true}}", INFERD_INVALID_REQUEST,
     "\"details\" is given twice"},
    /* a long key is cut inside none of its characters (here of two bytes each) */
    {"{\"x\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9"
     "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3"
     "\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9"
     "\":1}",
     INFERD_INVALID_REQUEST, "\xC3\xA9...\""},
};

/* The verdict, and texts or message. */
static inferd_status decode(struct ifd_decode *d, const char *body, size_t n, size_t first,
                            size_t step, char *out, size_t out_size)
{
    inferd_error err;
    const struct body b = {
        .codec = &ifd_codec_native, .s = body, .n = n, .first = first, .step = step};
    const inferd_status status = decode_body(d, &b, &err);
    if (status)
        snprintf(out, out_size, "%s", err.message);
    else
        show_texts(&d->texts, out, out_size);
    return status;
}

static void bodies_are_taken_or_refused(void **state)
{
    (void)state;
    struct ifd_decode d;
    ifd_decode_init(&d, 4096, INPUTS_MAX);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        char whole[600], cut[600];
        size_t n = strlen(r->body);
        inferd_status status = decode(&d, r->body, n, 0, 0, whole, sizeof(whole));
        if (status != r->status || (status ? !strstr(whole, r->want) : strcmp(whole, r->want) != 0))
            fail_msg("%s: want %s '%s', got %s '%s'", r->body, inferd_status_type(r->status),
                     r->want, inferd_status_type(status), whole);
        for (size_t first = 1; first < n; first++) {
            assert_int_equal(decode(&d, r->body, n, first, 0, cut, sizeof(cut)), status);
            assert_string_equal(cut, whole);
        }
        assert_int_equal(decode(&d, r->body, n, 0, 1, cut, sizeof(cut)), status);
        assert_string_equal(cut, whole);
    }
    ifd_decode_fini(&d);
}

static void want_of_memory_is_an_error(void **state)
{
    (void)state;
    const char *body = "{\"inputs\":[\"a\",\"b\"]}";
    unsigned failed = 0;
    for (uint64_t n = 0; n < 4; n++) {
        struct ifd_decode d;
        char out[600];
        ifd_decode_init(&d, 4096, INPUTS_MAX);
        ifd_mem_fail_after(n, false);
        inferd_status status = decode(&d, body, strlen(body), 0, 0, out, sizeof(out));
        ifd_mem_fail_after(UINT64_MAX, false);
        assert_true(status == INFERD_OK || status == INFERD_NO_MEMORY);
        failed += status != INFERD_OK;
        /* and the next request is decoded */
        assert_int_equal(decode(&d, body, strlen(body), 0, 0, out, sizeof(out)), INFERD_OK);
        ifd_decode_fini(&d);
    }
    assert_int_equal(failed, 2);
}

static const char *label(const void *model, uint32_t i)
{
    (void)model;
    static const char *const names[] = {"NEGATIVE", "say \"yes\""};
    return names[i];
}

static void answers_are_written(void **state)
{
    (void)state;
    const inferd_result results[] = {{.label = 1, .confidence = 0.5f},
                                     {.label = 0, .confidence = 0.99912345f},
                                     {.label = 0, .confidence = 1.0f}};
    const struct ifd_decode plain = {.options = {.top_k = 1}};
    struct ifd_answer a = {.label = label, .request = &plain, .results = results, .count = 3};
    struct ifd_buf out;
    ifd_buf_init(&out, 4096);
    ifd_codec_native.encode(&a, &out);
    ifd_buf_add_char(&out, '\0');
    assert_string_equal(out.data, "[{\"label\":\"say \\\"yes\\\"\",\"confidence\":0.500000},"
                                  "{\"label\":\"NEGATIVE\",\"confidence\":0.999123},"
                                  "{\"label\":\"NEGATIVE\",\"confidence\":1.000000}]\n");
    ifd_buf_fini(&out);
    ifd_buf_init(&out, 10); /* too small: says so */
    ifd_codec_native.encode(&a, &out);
    assert_true(out.failed);
    ifd_buf_fini(&out);
}

static void halves(const void *model, const float *logits, float *scores)
{
    (void)model;
    for (unsigned i = 0; i < 2; i++)
        scores[i] = logits[i] / 2;
}

static void answers_say_more_where_asked(void **state)
{
    (void)state;
    const inferd_result results[] = {
        {.label = 1, .confidence = 0.75f, .tokens = 7, .truncated = 1}};
    const float logits[] = {0.5f, 1.5f};
    const uint32_t windows[] = {0, 3};
    inferd_error err;
    struct ifd_ranking ranking = {0};
    struct ifd_buf out;
    assert_ok(ifd_ranking_reserve(&ranking, 2, &err), err);
    ifd_buf_init(&out, 4096);
    static const struct {
        struct ifd_codec_options o;
        const char *want;
    } cases[] = {
        {{.top_k = 1, .raw_scores = true}, ",\"logit\":1.5}]\n"},
        {{.top_k = 2},
         ",\"scores\":[{\"label\":\"say \\\"yes\\\"\",\"confidence\":0.750000},"
         "{\"label\":\"NEGATIVE\",\"confidence\":0.250000}]}]\n"},
        {{.top_k = 0, .raw_scores = true},
         ",\"logit\":1.5,\"scores\":[{\"label\":\"say \\\"yes\\\"\",\"confidence\":0.750000,"
         "\"logit\":1.5},{\"label\":\"NEGATIVE\",\"confidence\":0.250000,\"logit\":0.5}]}]\n"},
        {{.top_k = 1, .details = true},
         ",\"details\":{\"tokens\":7,\"truncated\":true,\"windows\":3,\"ms\":{\"parse\":1.000,"
         "\"tokenize\":0.002,\"queue\":0.000,\"infer\":12.500}}}]\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct ifd_decode d = {.options = cases[i].o};
        const struct ifd_answer a = {
            .label = label,
            .scores = halves,
            .request = &d,
            .results = results,
            .logits = ifd_codec_wants_logits(&ifd_codec_native, &d) ? logits : NULL,
            .windows = windows,
            .count = 1,
            .labels = 2,
            .ranking = &ranking,
            .times = {.parse_ns = 1000000, .tokenize_ns = 2000, .infer_ns = 12500000}};
        char want[512];
        snprintf(want, sizeof(want), "[{\"label\":\"say \\\"yes\\\"\",\"confidence\":0.750000%s",
                 cases[i].want);
        ifd_buf_reset(&out);
        ifd_codec_native.encode(&a, &out);
        ifd_buf_add_char(&out, '\0');
        assert_string_equal(out.data, want);
    }
    ifd_buf_fini(&out);
    ifd_ranking_fini(&ranking);
}

static void labels_are_ranked(void **state)
{
    (void)state;
    enum { N = 300 };
    inferd_error err;
    struct ifd_ranking r = {0};
    float logits[N];
    uint32_t seed = 7;
    assert_ok(ifd_ranking_reserve(&r, N, &err), err);
    for (uint32_t n = 1; n <= N; n += 23) {
        for (uint32_t i = 0; i < n; i++) {
            seed = seed * 1664525u + 1013904223u;
            logits[i] = (float)(seed >> 28); /* many ties */
        }
        logits[n / 2] = NAN;
        ifd_ranking_sort(&r, logits, n);
        bool seen[N] = {false};
        for (uint32_t k = 0; k < n; k++) {
            assert_false(seen[r.order[k]]);
            seen[r.order[k]] = true;
            if (k == 0)
                continue;
            const uint32_t a = r.order[k - 1], b = r.order[k];
            assert_true(isnan(logits[b]) || logits[a] > logits[b] ||
                        (logits[a] == logits[b] && a < b));
        }
        assert_int_equal(r.order[n - 1], n / 2);
    }
    ifd_ranking_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_taken_or_refused),
        cmocka_unit_test(want_of_memory_is_an_error),
        cmocka_unit_test(answers_are_written),
        cmocka_unit_test(answers_say_more_where_asked),
        cmocka_unit_test(labels_are_ranked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
