/* SPDX-License-Identifier: Apache-2.0
 *
 * Pairs of texts beside PyPI tokenizers (ids, where the second text begins) and transformers' fp32
 * with its token types (logits), for every small model directory and every tier of this CPU.
 */
#include <math.h>

#include "base/cpu.h"
#include "model/golden.h"
#include "model/handle.h"
#include "text/encoding.h"

#define LOGIT_BOUND 1e-4
#define TOKENS_MAX (GOLDEN_TEXTS_MAX * GOLDEN_IDS_MAX)

static inferd_error err;

static inferd_model *open_golden(const char *name, enum ifd_tier tier)
{
    char dir[256];
    inferd_model *m = NULL;
    const inferd_model_options o = {
        .struct_size = sizeof(o), .dtype = "fp32", .tier = ifd_tier_name(tier)};
    snprintf(dir, sizeof(dir), "golden/%s", name);
    assert_ok(inferd_model_open(dir, &o, &m, &err), err);
    return m;
}

static inferd_text first_of(const void *texts, uint32_t i)
{
    const struct golden_text *t = &((const struct golden_text *)texts)[i];
    return (inferd_text){t->text, t->size};
}

static inferd_text second_of(const void *texts, uint32_t i)
{
    const struct golden_text *t = &((const struct golden_text *)texts)[i];
    return (inferd_text){t->pair, t->pair ? strlen(t->pair) : 0};
}

/* The first half of the file is cut on the right, the second on the left. */
static void encode(const inferd_model *m, const struct golden *g, size_t from, size_t count,
                   struct ifd_encoding *e)
{
    const struct ifd_encoding_rules rules = {
        .tokenizer = ifd_model_tokenizer(m),
        .max_length = ifd_model_max_length(m),
        .sequences_max = GOLDEN_TEXTS_MAX,
        .truncation = g->text[from].left ? IFD_TRUNCATION_LEFT : IFD_TRUNCATION_RIGHT,
        .second = second_of};
    struct ifd_tokenizer_scratch *scratch = ifd_tokenizer_scratch_create();
    assert_non_null(scratch);
    assert_ok(
        ifd_encoding_fill(e, &rules, scratch, first_of, &g->text[from], (uint32_t)count, &err),
        err);
    ifd_tokenizer_scratch_free(scratch);
}

static void check_ids(const struct ifd_encoding *e, const struct golden_text *text)
{
    assert_int_equal(e->sequences, e->texts);
    for (uint32_t i = 0; i < e->texts; i++) {
        assert_int_equal(e->offsets[i + 1] - e->offsets[i], text[i].ids_count);
        assert_memory_equal(e->ids + e->offsets[i], text[i].ids,
                            text[i].ids_count * sizeof(*e->ids));
        assert_int_equal(e->second[i], text[i].second);
        assert_int_equal(e->results[i].tokens, text[i].ids_count);
    }
}

static double largest_difference(const struct golden *g, size_t from, size_t count,
                                 const float *logits)
{
    double largest = 0;
    for (size_t i = 0; i < count * g->label_count; i++) {
        const double d =
            fabs((double)logits[i] - g->text[from + i / g->label_count].logits[i % g->label_count]);
        largest = d > largest ? d : largest;
    }
    return largest;
}

static void forward(const inferd_model *m, const struct ifd_encoding *e, const uint32_t *second,
                    float *logits)
{
    struct ifd_scratch *s = NULL;
    const struct ifd_ragged batch = {
        .texts = e->sequences, .ids = e->ids, .offsets = e->offsets, .second = second};
    assert_ok(
        ifd_scratch_create(ifd_model_weights(m), TOKENS_MAX, GOLDEN_TEXTS_MAX, NULL, &s, &err),
        err);
    ifd_forward(s, &batch, logits);
    ifd_scratch_free(s);
}

static void check_tier(const struct golden *g, const char *name, enum ifd_tier tier)
{
    float logits[GOLDEN_TEXTS_MAX * GOLDEN_LABELS_MAX], untyped[sizeof(logits) / sizeof(*logits)];
    inferd_model *m = open_golden(name, tier);
    assert_ok(ifd_model_check_pairs(m, &err), err);
    double worst = 0, without = 0;
    for (size_t from = 0; from < g->count; from += g->count / 2) {
        struct ifd_encoding e = {0};
        encode(m, g, from, g->count / 2, &e);
        check_ids(&e, &g->text[from]);
        forward(m, &e, e.second, logits);
        forward(m, &e, NULL, untyped);
        worst = fmax(worst, largest_difference(g, from, e.texts, logits));
        without = fmax(without, largest_difference(g, from, e.texts, untyped));
        ifd_encoding_fini(&e);
    }
    print_message("pairs: %-27s %-10s largest |logit difference| %.2e of %zu pairs\n", name,
                  ifd_tier_name(tier), worst, g->count);
    assert_true(worst <= LOGIT_BOUND);
    /* the control: all tokens of type 0 are another input to BERT, and the same to DistilBERT */
    const bool typed = ifd_model_weights(m)->types > 0;
    assert_true(typed ? without > 100 * LOGIT_BOUND : without == worst);
    inferd_model_release(m);
}

static void pairs_are_as_transformers_has_them(void **state)
{
    (void)state;
    size_t with = 0;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        struct golden texts, g;
        golden_read(golden_names[i], &texts);
        if (golden_read_pairs(golden_names[i], &texts, &g)) {
            with++;
            for (int tier = 0; tier < IFD_TIER_COUNT; tier++)
                if (ifd_cpu_has((enum ifd_tier)tier))
                    check_tier(&g, golden_names[i], (enum ifd_tier)tier);
            golden_free(&g);
        } else {
            inferd_model *m = open_golden(golden_names[i], IFD_TIER_REF);
            assert_fails(ifd_model_check_pairs(m, &err), INFERD_INVALID_REQUEST, err,
                         "type_vocab_size is 1");
            inferd_model_release(m);
        }
        golden_free(&texts);
    }
    assert_int_equal(with, GOLDEN_COUNT - 1);
}

/* A single text's bits do not change beside pairs, and a pair's not beside others. */
static void results_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    float all[GOLDEN_TEXTS_MAX * GOLDEN_LABELS_MAX], one[GOLDEN_LABELS_MAX];
    for (int tier = 0; tier < IFD_TIER_COUNT; tier++) {
        struct golden texts, g;
        struct ifd_encoding e = {0};
        if (!ifd_cpu_has((enum ifd_tier)tier))
            continue;
        golden_read("bert-f32", &texts);
        assert_true(golden_read_pairs("bert-f32", &texts, &g));
        for (size_t i = 0; i < g.count / 2; i += 2)
            g.text[i].pair = NULL; /* every other one is single */
        inferd_model *m = open_golden("bert-f32", (enum ifd_tier)tier);
        encode(m, &g, 0, g.count / 2, &e);
        forward(m, &e, e.second, all);
        for (uint32_t i = 0; i < e.texts; i++) {
            struct ifd_encoding alone = {0};
            encode(m, &g, i, 1, &alone);
            forward(m, &alone, g.text[i].pair ? alone.second : NULL, one);
            assert_memory_equal(one, all + i * g.label_count, g.label_count * sizeof(*one));
            ifd_encoding_fini(&alone);
        }
        ifd_encoding_fini(&e);
        inferd_model_release(m);
        golden_free(&g);
        golden_free(&texts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_as_transformers_has_them),
        cmocka_unit_test(results_do_not_depend_on_the_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
