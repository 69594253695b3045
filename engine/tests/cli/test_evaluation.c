/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures worked out by hand.
 */
#include "test.h"

#include <math.h>

#include "base/jsondoc.h"
#include "cli/eval_report.h"

static inferd_error err;

static void near(double got, double want)
{
    if (fabs(got - want) > 1e-6)
        fail_msg("want %.9f, got %.9f", want, got);
}

/* truth 0: right at 0.9, wrong at 0.6; truth 1: right at 0.8, right at 0.9. */
static void fill(struct ifd_eval *e)
{
    assert_ok(ifd_eval_init(e, 2, &err), err);
    ifd_eval_add(e, 0, 0, 0.9f, (const float[]){0.9f, 0.1f});
    ifd_eval_add(e, 0, 1, 0.6f, (const float[]){0.4f, 0.6f});
    ifd_eval_add(e, 1, 1, 0.8f, (const float[]){0.2f, 0.8f});
    ifd_eval_add(e, 1, 1, 0.9f, (const float[]){0.1f, 0.9f});
}

static void four_texts(void **state)
{
    (void)state;
    struct ifd_eval e;
    fill(&e);
    near(ifd_eval_accuracy(&e), 0.75);
    near(ifd_eval_confidence(&e), 0.8);
    near(ifd_eval_brier(&e), (2 * 0.01 + 2 * 0.36 + 2 * 0.04 + 2 * 0.01) / 4);
    near(ifd_eval_log_loss(&e), -(log(0.9) + log(0.4) + log(0.8) + log(0.9)) / 4);
    /* bins of 1/15: 0.9 -> 13 (two texts, both right), 0.6 -> 8 (wrong), 0.8 -> 11 (right) */
    near(ifd_eval_ece(&e), (fabs(2 - 1.8) + fabs(0 - 0.6) + fabs(1 - 0.8)) / 4);
    assert_int_equal(e.confusion[0], 1);
    assert_int_equal(e.confusion[1], 1);
    assert_int_equal(e.confusion[2], 0);
    assert_int_equal(e.confusion[3], 2);
    struct ifd_eval_label a = ifd_eval_label(&e, 0), b = ifd_eval_label(&e, 1);
    near(a.precision, 1);
    near(a.recall, 0.5);
    near(a.f1, 2.0 / 3);
    near(b.precision, 2.0 / 3);
    near(b.recall, 1);
    near(b.f1, 0.8);
    near(ifd_eval_macro_f1(&e), (2.0 / 3 + 0.8) / 2);
    ifd_eval_fini(&e);
}

static void bins_take_their_upper_edge(void **state)
{
    (void)state;
    struct ifd_eval e;
    const float scores[2] = {1, 0};
    assert_ok(ifd_eval_init(&e, 2, &err), err);
    ifd_eval_add(&e, 0, 0, 0.0f, scores);
    ifd_eval_add(&e, 0, 0, 0.2f, scores); /* a float just above 3/15: the bin above it */
    ifd_eval_add(&e, 0, 0, 0.5f, scores);
    ifd_eval_add(&e, 0, 0, 1.0f, scores);
    ifd_eval_add(&e, 0, 0, 1.5f, scores); /* no probability, but no crash */
    ifd_eval_add(&e, 0, 0, NAN, scores);
    assert_int_equal(e.bin[0].count + e.bin[14].count, 4);
    assert_int_equal(e.bin[3].count, 1);
    assert_int_equal(e.bin[7].count, 1);
    assert_int_equal(e.bin[14].count >= 2, 1);
    ifd_eval_fini(&e);
}

static void nothing_is_zero(void **state)
{
    (void)state;
    struct ifd_eval e;
    assert_ok(ifd_eval_init(&e, 3, &err), err);
    near(ifd_eval_accuracy(&e) + ifd_eval_ece(&e) + ifd_eval_brier(&e) + ifd_eval_log_loss(&e) +
             ifd_eval_macro_f1(&e) + ifd_eval_confidence(&e),
         0);
    ifd_eval_fini(&e);
    assert_fails(ifd_eval_init(&e, 0, &err), INFERD_INVALID_ARGUMENT, err, "labels");
    assert_fails(ifd_eval_init(&e, 1025, &err), INFERD_INVALID_ARGUMENT, err, "up to 1024");
    assert_ok(ifd_eval_init(&e, 1024, &err), err);
    ifd_eval_fini(&e);
}

static void certain_and_wrong_is_finite(void **state)
{
    (void)state;
    struct ifd_eval e;
    assert_ok(ifd_eval_init(&e, 2, &err), err);
    ifd_eval_add(&e, 0, 1, 1.0f, (const float[]){0, 1});
    assert_true(isfinite(ifd_eval_log_loss(&e)) && ifd_eval_log_loss(&e) > 80);
    near(ifd_eval_brier(&e), 2);
    near(ifd_eval_ece(&e), 1);
    ifd_eval_fini(&e);
}

static void the_text_report(void **state)
{
    (void)state;
    static const char *const labels[] = {"NEG", "P\xC3\x96S\"" /* one wide character, a quote */};
    struct ifd_eval e;
    struct ifd_buf b;
    fill(&e);
    ifd_buf_init(&b, 1 << 16);
    ifd_eval_report_text(&e, labels, 1, 2.0, &b);
    ifd_buf_add_char(&b, '\0');
    static const char *const parts[] = {
        "texts            4  (1 cut at --max-length)\n",
        "accuracy         0.7500  (3 right)\n",
        "ECE, 15 bins     0.2500\n",
        "time             2.00 s, 2 texts per second\n",
        "               NEG      P\xC3\x96S\"\n",
        "NEG              1         1\n",
        "P\xC3\x96S\"             0         2\n",
        "(0.867, 0.933]        2           0.9000    1.0000\n",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!strstr(b.data, parts[i]))
            fail_msg("'%s' is not in:\n%s", parts[i], b.data);
    ifd_buf_fini(&b);
    ifd_eval_fini(&e);
}

static void the_json_report(void **state)
{
    (void)state;
    static const char *const labels[] = {"NEG", "P\xC3\x96S\""};
    struct ifd_eval e;
    struct ifd_buf b;
    struct ifd_jsondoc *doc;
    double v;
    fill(&e);
    ifd_buf_init(&b, 1 << 16);
    ifd_eval_report_json(&e, labels, 0, 0.5, &b);
    assert_int_equal(b.data[b.size - 1], '\n');
    assert_ok(ifd_jsondoc_parse(b.data, b.size, 1 << 20, &doc, &err), err);
    const struct ifd_json_node *o = ifd_jsondoc_root(doc);
    assert_true(ifd_json_double(ifd_json_get(o, "accuracy"), &v) && v == 0.75);
    assert_true(ifd_json_double(ifd_json_get(o, "ece"), &v));
    near(v, 0.25);
    const struct ifd_json_node *row = ifd_json_get(o, "confusion")->first->next;
    assert_string_equal(row->first->next->text, "2");
    assert_true(ifd_json_is_str(ifd_json_get(o, "labels")->first->next, labels[1]));
    assert_int_equal(ifd_json_get(o, "reliability")->size, 3);
    ifd_jsondoc_free(doc);
    ifd_buf_fini(&b);
    ifd_eval_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_texts),      cmocka_unit_test(bins_take_their_upper_edge),
        cmocka_unit_test(nothing_is_zero), cmocka_unit_test(certain_and_wrong_is_finite),
        cmocka_unit_test(the_text_report), cmocka_unit_test(the_json_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
