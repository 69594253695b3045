/* SPDX-License-Identifier: Apache-2.0
 *
 * Logits, labels and confidences beside transformers' fp32, through the public API, for every small
 * model directory and every tier that this CPU has.
 */
#include <math.h>

#include "base/cpu.h"
#include "model/golden.h"

#define LOGIT_BOUND 1e-4
#define CONFIDENCE_BOUND 5e-5
/* Logits closer than this may be ordered either way by two right computations. */
#define TIE 2e-4

struct opened {
    inferd_model *model;
    inferd_session *session;
    inferd_error err;
};

static void open_golden(const char *name, enum ifd_tier tier, struct opened *o)
{
    char dir[256];
    inferd_model_options options = {
        .struct_size = sizeof(options), .dtype = "fp32", .tier = ifd_tier_name(tier)};
    snprintf(dir, sizeof(dir), "golden/%s", name);
    assert_ok(inferd_model_open(dir, &options, &o->model, &o->err), o->err);
    assert_ok(inferd_session_open(o->model, NULL, &o->session, &o->err), o->err);
}

static void close_golden(struct opened *o)
{
    inferd_session_close(o->session);
    inferd_model_release(o->model);
}

static void classify_all(struct opened *o, const struct golden *g, inferd_result *results,
                         float *logits)
{
    inferd_text texts[GOLDEN_TEXTS_MAX];
    for (size_t i = 0; i < g->count; i++)
        texts[i] = (inferd_text){g->text[i].text, g->text[i].size};
    assert_ok(inferd_classify(o->session, texts, g->count, results, logits, &o->err), o->err);
}

static double largest_difference(const struct golden *g, const float *logits)
{
    double largest = 0;
    for (size_t i = 0; i < g->count; i++) {
        for (uint32_t c = 0; c < g->label_count; c++) {
            double d = fabs((double)logits[i * g->label_count + c] - g->text[i].logits[c]);
            if (isnan(d))
                return INFINITY;
            if (d > largest)
                largest = d;
        }
    }
    return largest;
}

static bool is_tie(const struct golden_text *t, uint32_t labels)
{
    for (uint32_t c = 0; c < labels; c++)
        if (c != t->label && t->logits[t->label] - t->logits[c] < TIE)
            return true;
    return false;
}

static void check_info(const struct opened *o, const struct golden *g)
{
    inferd_model_info info = {.struct_size = sizeof(info)};
    inferd_model_get_info(o->model, &info);
    assert_int_equal(info.labels, g->label_count);
    assert_int_equal(info.max_length, g->max_length);
    assert_string_equal(info.problem_type,
                        g->sigmoid ? "multi_label_classification" : "single_label_classification");
    for (uint32_t c = 0; c < g->label_count; c++)
        assert_string_equal(inferd_model_label(o->model, c), g->labels[c]);
    assert_null(inferd_model_label(o->model, g->label_count));
}

static void check_ids(struct opened *o, const struct golden_text *t)
{
    int32_t ids[GOLDEN_IDS_MAX];
    size_t count = 0;
    inferd_text text = {t->text, t->size};
    assert_ok(inferd_tokenize(o->model, text, ids, GOLDEN_IDS_MAX, &count, NULL, &o->err), o->err);
    assert_int_equal(count, t->ids_count);
    assert_memory_equal(ids, t->ids, count * sizeof(*ids));
}

static void check_results(struct opened *o, const struct golden *g, const inferd_result *results,
                          const float *logits)
{
    float scores[GOLDEN_LABELS_MAX];
    for (size_t i = 0; i < g->count; i++) {
        const struct golden_text *t = &g->text[i];
        check_ids(o, t);
        assert_int_equal(results[i].tokens, t->ids_count);
        if (is_tie(t, g->label_count))
            continue;
        assert_int_equal(results[i].label, t->label);
        assert_true(fabsf(results[i].confidence - t->confidence) <= CONFIDENCE_BOUND);
        inferd_scores(o->model, logits + i * g->label_count, scores);
        assert_true(scores[t->label] == results[i].confidence);
    }
}

static void test_logits(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        struct golden g;
        golden_read(golden_names[i], &g);
        for (int tier = 0; tier < IFD_TIER_COUNT; tier++) {
            struct opened o;
            inferd_result results[GOLDEN_TEXTS_MAX];
            float logits[GOLDEN_TEXTS_MAX * GOLDEN_LABELS_MAX];
            if (!ifd_cpu_has((enum ifd_tier)tier)) {
                print_message("golden: %s: tier %s not on this CPU, not checked\n", golden_names[i],
                              ifd_tier_name((enum ifd_tier)tier));
                continue;
            }
            open_golden(golden_names[i], (enum ifd_tier)tier, &o);
            classify_all(&o, &g, results, logits);
            double d = largest_difference(&g, logits);
            print_message("golden: %-27s %-7s largest |logit difference| %.2e of %zu texts\n",
                          golden_names[i], ifd_tier_name((enum ifd_tier)tier), d, g.count);
            assert_true(d <= LOGIT_BOUND);
            check_info(&o, &g);
            check_results(&o, &g, results, logits);
            close_golden(&o);
        }
        golden_free(&g);
    }
}

/* The comparison sees an error of ten times its bound in any one value. */
static void test_control(void **state)
{
    (void)state;
    struct golden g;
    struct opened o;
    inferd_result results[GOLDEN_TEXTS_MAX];
    float logits[GOLDEN_TEXTS_MAX * GOLDEN_LABELS_MAX];
    golden_read("bert-cased-f16-5", &g);
    open_golden("bert-cased-f16-5", IFD_TIER_REF, &o);
    classify_all(&o, &g, results, logits);
    assert_true(largest_difference(&g, logits) <= LOGIT_BOUND);
    for (size_t i = 0; i < g.count; i++) {
        for (uint32_t c = 0; c < g.label_count; c++) {
            float right = g.text[i].logits[c];
            g.text[i].logits[c] = right + 1e-3f;
            assert_false(largest_difference(&g, logits) <= LOGIT_BOUND);
            g.text[i].logits[c] = NAN;
            assert_false(largest_difference(&g, logits) <= LOGIT_BOUND);
            g.text[i].logits[c] = right;
        }
    }
    close_golden(&o);
    golden_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
