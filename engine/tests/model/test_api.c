/* SPDX-License-Identifier: Apache-2.0
 *
 * The public API's promises that are not about numbers: sized structs, arguments, counts, tokens,
 * reference counts over threads, no allocation per call; and the numbers' one promise that is about
 * calls: the same bits whatever a text is batched with.
 */
#include <math.h>
#include <pthread.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "model/golden.h"
#include "model/model.h"

#define MODEL "golden/bert-f32"

static inferd_model *open_model(const inferd_model_options *o)
{
    inferd_model *m = NULL;
    inferd_error err;
    assert_ok(inferd_model_open(MODEL, o, &m, &err), err);
    return m;
}

static void test_model_options(void **state)
{
    (void)state;
    inferd_error err;
    inferd_model *m = NULL;
    inferd_model_options o = {0};
    assert_fails(inferd_model_open(NULL, NULL, &m, &err), INFERD_INVALID_ARGUMENT, err, "NULL");
    assert_fails(inferd_model_open(MODEL, NULL, NULL, &err), INFERD_INVALID_ARGUMENT, err, "NULL");
    assert_int_equal(inferd_model_open(MODEL, &o, &m, NULL), INFERD_INVALID_ARGUMENT);
    assert_fails(inferd_model_open(MODEL, &o, &m, &err), INFERD_INVALID_ARGUMENT, err,
                 "struct_size");
    o.struct_size = SIZE_MAX;
    assert_fails(inferd_model_open(MODEL, &o, &m, &err), INFERD_INVALID_ARGUMENT, err,
                 "struct_size");
    o.struct_size = sizeof(o);
    o.dtype = "int4";
    assert_fails(inferd_model_open(MODEL, &o, &m, &err), INFERD_INVALID_ARGUMENT, err,
                 "dtype \"int4\" is not one of those there are: auto, fp32, bf16, int8");
    o.dtype = "fp32";
    o.tier = "mmx";
    assert_fails(inferd_model_open(MODEL, &o, &m, &err), INFERD_INVALID_ARGUMENT, err, "mmx");
    o.tier = "ref";
    static const uint32_t bad_lengths[] = {1, 2, 65, UINT32_MAX};
    for (size_t i = 0; i < 4; i++) {
        o.max_length = bad_lengths[i];
        assert_fails(inferd_model_open(MODEL, &o, &m, &err), INFERD_INVALID_ARGUMENT, err,
                     "3 to 64 tokens");
    }
    static const uint32_t good_lengths[] = {0, 3, 4, 63, 64};
    for (size_t i = 0; i < 5; i++) {
        o.max_length = good_lengths[i];
        inferd_model_info info = {.struct_size = sizeof(info)};
        m = open_model(&o);
        inferd_model_get_info(m, &info);
        assert_int_equal(info.max_length, good_lengths[i] ? good_lengths[i] : 64);
        assert_int_equal(info.max_length_model, 64);
        inferd_model_release(m);
    }
}

/* A caller of an older header gives less, of a newer one more. */
static void test_struct_sizes(void **state)
{
    (void)state;
    struct {
        inferd_model_options o;
        char newer[16];
    } wide;
    inferd_error err;
    inferd_model *m = NULL;
    memset(&wide, 0, sizeof(wide));
    wide.o.struct_size = sizeof(wide);
    wide.o.max_length = 10;
    m = open_model(&wide.o);
    assert_int_equal(ifd_model_max_length(m), 10);
    inferd_model_release(m);
    wide.newer[15] = 1;
    m = NULL;
    assert_fails(inferd_model_open(MODEL, &wide.o, &m, &err), INFERD_INVALID_ARGUMENT, err,
                 "does not know");
    /* shorter: max_length is past its end, so it has its default */
    wide.o.struct_size = offsetof(inferd_model_options, max_length);
    m = open_model(&wide.o);
    assert_int_equal(ifd_model_max_length(m), 64);

    struct {
        inferd_model_info info;
        char newer[16];
    } report;
    memset(&report, 0x55, sizeof(report));
    report.info.struct_size = offsetof(inferd_model_info, tier);
    inferd_model_get_info(m, &report.info);
    assert_string_equal(report.info.dtype, "int8");
    const char *untouched;
    memset(&untouched, 0x55, sizeof(untouched));
    assert_ptr_equal(report.info.tier, untouched);
    report.info.struct_size = sizeof(report);
    inferd_model_get_info(m, &report.info);
    assert_int_equal(report.info.struct_size, sizeof(report));
    assert_int_equal(report.newer[0], 0);
    assert_int_equal(report.newer[15], 0);
    inferd_model_release(m);
}

static void test_info(void **state)
{
    (void)state;
    inferd_model *m = open_model(NULL);
    inferd_model_info info = {.struct_size = sizeof(info)};
    inferd_model_get_info(m, &info);
    assert_string_equal(info.name, "bert-f32");
    assert_string_equal(info.architecture, "BertForSequenceClassification");
    assert_string_equal(info.problem_type, "single_label_classification");
    assert_string_equal(info.dtype, "int8"); /* what auto is */
    assert_int_equal(info.layers, 2);
    assert_int_equal(info.hidden_size, 48);
    assert_int_equal(info.heads, 4);
    assert_int_equal(info.intermediate_size, 96);
    assert_int_equal(info.vocab_size, 250);
    assert_int_equal(info.labels, 2);
    /* (250 + 64 + 2 + 2) * 48 + 2 * (4 * 48 * 49 + 96 * 49 + 48 * 97 + 4 * 48) + 48 * 49 + 2 * 49
     */
    assert_int_equal(info.parameters, 55634);
    assert_true(info.weight_bytes >= info.parameters && info.weight_bytes < info.parameters * 6);
    assert_string_equal(inferd_version(), INFERD_VERSION);
    assert_string_equal(inferd_model_token(m, 2), "[CLS]");
    assert_null(inferd_model_token(m, -1));
    assert_null(inferd_model_token(m, 250));
    inferd_model_release(m);

    static const struct {
        const char *dir, *name;
    } names[] = {{"golden/bert-f32///", "bert-f32"},
                 {"golden/bert-f32/.", "bert-f32"},
                 {"golden/../golden/bert-f32", "bert-f32"}};
    for (size_t i = 0; i < 3; i++) {
        inferd_error err;
        assert_ok(inferd_model_open(names[i].dir, NULL, &m, &err), err);
        inferd_model_get_info(m, &info);
        assert_string_equal(info.name, names[i].name);
        inferd_model_release(m);
    }
}

static void test_session_arguments(void **state)
{
    (void)state;
    inferd_model *m = open_model(NULL);
    inferd_session *s = NULL;
    inferd_session_options o = {0};
    inferd_error err;
    inferd_result r;
    inferd_text text = {NULL, 1};
    assert_fails(inferd_session_open(NULL, NULL, &s, &err), INFERD_INVALID_ARGUMENT, err, "NULL");
    assert_fails(inferd_session_open(m, NULL, NULL, &err), INFERD_INVALID_ARGUMENT, err, "NULL");
    assert_fails(inferd_session_open(m, &o, &s, &err), INFERD_INVALID_ARGUMENT, err, "struct_size");
    o.struct_size = sizeof(o);
    o.threads = 1025;
    assert_fails(inferd_session_open(m, &o, &s, &err), INFERD_INVALID_ARGUMENT, err, "threads");
    o.threads = 1;
    o.max_batch_tokens = (1u << 22) + 1;
    assert_fails(inferd_session_open(m, &o, &s, &err), INFERD_INVALID_ARGUMENT, err,
                 "max_batch_tokens");
    o.max_batch_tokens = 1; /* raised to one text */
    assert_ok(inferd_session_open(m, &o, &s, &err), err);
    assert_fails(inferd_classify(NULL, &text, 1, &r, NULL, &err), INFERD_INVALID_ARGUMENT, err, "");
    assert_fails(inferd_classify(s, NULL, 1, &r, NULL, &err), INFERD_INVALID_ARGUMENT, err, "");
    assert_fails(inferd_classify(s, &text, 1, NULL, NULL, &err), INFERD_INVALID_ARGUMENT, err, "");
    assert_fails(inferd_classify(s, &text, 1, &r, NULL, &err), INFERD_INVALID_ARGUMENT, err,
                 "text 0");
    assert_ok(inferd_classify(s, NULL, 0, NULL, NULL, &err), err);
    text.size = 0;
    assert_ok(inferd_classify(s, &text, 1, &r, NULL, &err), err);
    assert_int_equal(r.tokens, 2);
    /* the bad text is named, and the session works on */
    inferd_text three[] = {{"good", 4}, {"bad \xff", 5}, {"good", 4}};
    inferd_result rs[3];
    assert_fails(inferd_classify(s, three, 3, rs, NULL, &err), INFERD_INVALID_UTF8, err,
                 "text 1: ");
    three[1] = three[0];
    assert_ok(inferd_classify(s, three, 3, rs, NULL, &err), err);
    assert_true(rs[0].confidence == rs[2].confidence);
    inferd_session_close(s);
    inferd_session_close(NULL);
    inferd_model_release(NULL);
    assert_null(inferd_model_retain(NULL));
    inferd_model_release(m);
}

static void test_tokenize(void **state)
{
    (void)state;
    inferd_model_options o = {.struct_size = sizeof(o), .max_length = 5};
    inferd_model *m = open_model(&o);
    inferd_error err;
    int32_t ids[8] = {-7, -7, -7, -7, -7, -7, -7, -7};
    size_t count = 0;
    int truncated = -1;
    inferd_text text = {"good bad film story", 19};
    assert_ok(inferd_tokenize(m, text, ids, 8, &count, &truncated, &err), err);
    assert_int_equal(count, 5);
    assert_int_equal(truncated, 1);
    assert_int_equal(ids[0], 2);
    assert_int_equal(ids[4], 3);
    assert_int_equal(ids[5], -7);
    ids[3] = -7;
    assert_ok(inferd_tokenize(m, text, ids, 3, &count, NULL, &err), err);
    assert_int_equal(count, 5);
    assert_int_equal(ids[3], -7);
    assert_ok(inferd_tokenize(m, (inferd_text){NULL, 0}, NULL, 0, &count, &truncated, &err), err);
    assert_int_equal(count, 2);
    assert_int_equal(truncated, 0);
    assert_fails(inferd_tokenize(m, (inferd_text){"a\xc3", 2}, ids, 8, &count, NULL, &err),
                 INFERD_INVALID_UTF8, err, "1");
    assert_fails(inferd_tokenize(m, text, NULL, 8, &count, NULL, &err), INFERD_INVALID_ARGUMENT,
                 err, "NULL");
    inferd_model_release(m);
}

static void test_scores(void **state)
{
    (void)state;
    inferd_model *m = open_model(NULL);
    float tie[2] = {0.5f, 0.5f}, far[2] = {-3e38f, 3e38f}, scores[2];
    inferd_result r;
    ifd_model_result(m, tie, &r);
    assert_int_equal(r.label, 0);
    assert_true(r.confidence == 0.5f);
    inferd_scores(m, far, scores);
    assert_true(scores[0] == 0.0f && scores[1] == 1.0f);
    ifd_model_result(m, far, &r);
    assert_int_equal(r.label, 1);
    assert_true(r.confidence == 1.0f);
    float alias[2] = {1.0f, 2.0f};
    inferd_scores(m, alias, alias);
    assert_true(fabsf(alias[0] - 0.26894143f) < 1e-7f && fabsf(alias[1] - 0.7310586f) < 1e-7f);
    inferd_model_release(m);

    inferd_error err;
    assert_ok(inferd_model_open("golden/bert-multilabel-bf16", NULL, &m, &err), err);
    float logits[3] = {200.0f, 100.0f, -200.0f}, sig[3];
    inferd_scores(m, logits, sig);
    assert_true(sig[0] == 1.0f && sig[1] == 1.0f && sig[2] >= 0.0f && sig[2] < 1e-37f);
    ifd_model_result(m, logits, &r); /* both scores round to 1: the logit decides */
    assert_int_equal(r.label, 0);
    logits[1] = 300.0f;
    ifd_model_result(m, logits, &r);
    assert_int_equal(r.label, 1);
    inferd_model_release(m);
}

/* Each golden text alone on one thread, then together in every batch size and thread count. */
static unsigned invariance(const char *name, enum ifd_tier tier)
{
    struct golden g;
    char dir[128];
    inferd_model *m = NULL;
    inferd_error err;
    inferd_text texts[GOLDEN_TEXTS_MAX];
    float alone[GOLDEN_TEXTS_MAX * GOLDEN_LABELS_MAX];
    unsigned cases = 0;
    golden_read(name, &g);
    snprintf(dir, sizeof(dir), "golden/%s", name);
    inferd_model_options o = {.struct_size = sizeof(o), .tier = ifd_tier_name(tier)};
    assert_ok(inferd_model_open(dir, &o, &m, &err), err);
    for (size_t i = 0; i < g.count; i++)
        texts[i] = (inferd_text){g.text[i].text, g.text[i].size};
    static const uint32_t budgets[] = {1, 96, 150, 4096}; /* tokens */
    static const size_t batches[] = {1, 2, 3, 7, 15};     /* texts in a call */
    for (uint32_t threads = 1; threads <= 3; threads++) {
        for (size_t b = 0; b < 4; b++) {
            inferd_session *s = NULL;
            inferd_session_options so = {sizeof(so), threads, budgets[b]};
            assert_ok(inferd_session_open(m, &so, &s, &err), err);
            for (size_t i = 0; threads == 1 && b == 0 && i < g.count; i++) {
                inferd_result r;
                assert_ok(inferd_classify(s, &texts[i], 1, &r, alone + i * g.label_count, &err),
                          err);
            }
            for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
                const size_t batch = batches[i];
                for (size_t at = 0; at < g.count; at += batch) {
                    size_t n = batch < g.count - at ? batch : g.count - at;
                    inferd_result r[GOLDEN_TEXTS_MAX];
                    float logits[GOLDEN_TEXTS_MAX * GOLDEN_LABELS_MAX];
                    assert_ok(inferd_classify(s, texts + at, n, r, logits, &err), err);
                    assert_memory_equal(logits, alone + at * g.label_count,
                                        n * g.label_count * sizeof(float));
                    cases += (unsigned)n;
                }
            }
            inferd_session_close(s);
        }
    }
    inferd_model_release(m);
    golden_free(&g);
    return cases;
}

static void test_batch_invariance(void **state)
{
    (void)state;
    static const char *const names[] = {"bert-cased-f16-5", "distilbert-h36-f16",
                                        "distilbert-sharded"};
    for (int tier = 0; tier < IFD_TIER_COUNT; tier++) {
        unsigned cases = 0;
        if (!ifd_cpu_has((enum ifd_tier)tier))
            continue;
        for (size_t i = 0; i < 3; i++)
            cases += invariance(names[i], (enum ifd_tier)tier);
        print_message("batch invariance: %-7s %u texts in batches, 0 differ from alone\n",
                      ifd_tier_name((enum ifd_tier)tier), cases);
    }
}

static void test_no_allocation_per_call(void **state)
{
    (void)state;
    inferd_model *m = open_model(NULL);
    inferd_session *s = NULL;
    inferd_error err;
    inferd_text texts[3] = {{"good", 4}, {"a film that is so very boring", 29}, {"", 0}};
    inferd_result r[3];
    assert_ok(inferd_session_open(m, NULL, &s, &err), err);
    assert_ok(inferd_classify(s, texts, 3, r, NULL, &err), err);
    uint64_t before = ifd_mem_calls();
    for (unsigned i = 0; i < 100; i++)
        assert_ok(inferd_classify(s, texts, 3, r, NULL, &err), err);
    assert_int_equal(ifd_mem_calls(), before);
    inferd_session_close(s);
    inferd_model_release(m);
}

static void *use_model(void *arg)
{
    inferd_model *m = inferd_model_retain(arg);
    inferd_session *s = NULL;
    inferd_text text = {"the acting was great", 20};
    inferd_result r = {0};
    size_t failures = 0;
    for (unsigned i = 0; i < 20; i++) {
        if (inferd_session_open(m, NULL, &s, NULL) != INFERD_OK ||
            inferd_classify(s, &text, 1, &r, NULL, NULL) != INFERD_OK || r.tokens != 6)
            failures++;
        inferd_session_close(s);
        s = NULL;
        inferd_model_release(inferd_model_retain(m));
    }
    inferd_model_release(m);
    return (void *)failures;
}

/* The last reference may be dropped by any thread; a session keeps its model. */
static void test_references(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    inferd_model *m = open_model(NULL);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, use_model, m), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        void *failures = NULL;
        pthread_join(thread[i], &failures);
        assert_null(failures);
    }
    inferd_session *s = NULL;
    inferd_error err;
    inferd_text text = {"good", 4};
    inferd_result r;
    assert_ok(inferd_session_open(m, NULL, &s, &err), err);
    inferd_model_release(m);
    assert_ok(inferd_classify(s, &text, 1, &r, NULL, &err), err);
    inferd_session_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_options),
        cmocka_unit_test(test_struct_sizes),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_session_arguments),
        cmocka_unit_test(test_tokenize),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_batch_invariance),
        cmocka_unit_test(test_no_allocation_per_call),
        cmocka_unit_test(test_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
