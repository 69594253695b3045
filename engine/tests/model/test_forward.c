/* SPDX-License-Identifier: Apache-2.0
 *
 * The forward pass on random weights: against a naive one in double precision, and the design rule:
 * a text's logits are bitwise the same alone, in any batch and with any team.
 */
#include "model/forward.h"
#include "model/random_weights.h"
#include "test.h"

#define LABELS_MAX 5
#define TEXTS 24
#define LENGTH_MAX 40
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define BATCHES 2 /* of each model and team size */
#define BATCHES_FULL 1
#else
#define BATCHES 12
#define BATCHES_FULL 3
#endif

static const struct random_shape shapes[] = {
    {IFD_ARCH_BERT, IFD_STORE_F16, 2, 36, 3, 50, 97, 64, 2},
    {IFD_ARCH_DISTILBERT, IFD_STORE_F32, 3, 65, 5, 131, 120, 48, 5},
    {IFD_ARCH_BERT, IFD_STORE_BF16, 1, 64, 1, 96, 50, 40, 3},
    {IFD_ARCH_BERT, IFD_STORE_F32, 3, 24, 2, 17, 33, 512, 2},
    {IFD_ARCH_DISTILBERT, IFD_STORE_F16, 2, 96, 4, 192, 60, 200, 2},
    {IFD_ARCH_BERT, IFD_STORE_F32, 0, 20, 2, 8, 30, 40, 2},
    /* heads of whole panels, and a feed-forward of two slices in the narrow dtypes */
    {IFD_ARCH_BERT, IFD_STORE_F32, 2, 64, 2, 800, 50, 64, 2},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* From one model and dtype to the next; under an emulator 4 of 18, each dtype among them. */
static size_t model_step(void)
{
    return test_emulated() ? 5 : 1;
}

/* TEXTS texts of 1..LENGTH_MAX random ids, laid end to end. */
struct corpus {
    int32_t ids[TEXTS * LENGTH_MAX];
    uint32_t offsets[TEXTS + 1];
};

static void corpus_fill(struct corpus *c, uint32_t vocab, uint64_t seed)
{
    c->offsets[0] = 0;
    for (uint32_t t = 0; t < TEXTS; t++) {
        uint32_t n = t == 0 ? 1 : t == 1 ? LENGTH_MAX : 1 + random_below(&seed, LENGTH_MAX);
        c->offsets[t + 1] = c->offsets[t] + n;
        for (uint32_t i = c->offsets[t]; i < c->offsets[t + 1]; i++)
            c->ids[i] = (int32_t)random_below(&seed, vocab);
    }
}

static struct ifd_scratch *scratch_new(const struct ifd_weights *w, struct ifd_team *team)
{
    inferd_error err;
    struct ifd_scratch *s = NULL;
    assert_ok(ifd_scratch_create(w, TEXTS * LENGTH_MAX, TEXTS, team, &s, &err), err);
    return s;
}

/* Texts picked[0..n) as one batch. */
static void run_batch(struct ifd_scratch *s, const struct corpus *c, const uint32_t *picked,
                      size_t n, float *logits)
{
    static int32_t ids[TEXTS * LENGTH_MAX];
    uint32_t offsets[TEXTS + 1] = {0};
    for (size_t i = 0; i < n; i++) {
        uint32_t from = c->offsets[picked[i]], length = c->offsets[picked[i] + 1] - from;
        memcpy(ids + offsets[i], c->ids + from, length * sizeof(*ids));
        offsets[i + 1] = offsets[i] + length;
    }
    struct ifd_ragged batch = {.texts = n, .ids = ids, .offsets = offsets};
    ifd_forward(s, &batch, logits);
}

static void run_alone(struct ifd_scratch *s, const struct corpus *c, uint32_t labels, float *logits)
{
    for (uint32_t t = 0; t < TEXTS; t++)
        run_batch(s, c, &t, 1, logits + t * labels);
}

static size_t tiers_here(const struct ifd_kernels *out[IFD_TIER_COUNT])
{
    size_t n = 0;
    for (int t = 0; t < IFD_TIER_COUNT; t++)
        if (ifd_cpu_has((enum ifd_tier)t) && ifd_kernels_get((enum ifd_tier)t))
            out[n++] = ifd_kernels_get((enum ifd_tier)t);
    return n;
}

/* ---- the naive pass: one text, double precision, nothing shared with the engine ---- */

static void naive_linear(const struct ifd_weights *w, const struct ifd_linear *l, const double *x,
                         double *y)
{
    const size_t nr = w->kernels->nr;
    const float *packed = l->packed;
    for (size_t n = 0; n < l->n; n++) {
        y[n] = l->bias[n];
        for (size_t k = 0; k < l->k; k++)
            y[n] += x[k] * packed[n / nr * nr * l->k + k * nr + n % nr];
    }
}

static void naive_norm(const struct ifd_weights *w, const struct ifd_norm *norm, double *x)
{
    double mean = 0, variance = 0;
    for (size_t i = 0; i < w->hidden; i++)
        mean += x[i] / w->hidden;
    for (size_t i = 0; i < w->hidden; i++)
        variance += (x[i] - mean) * (x[i] - mean) / w->hidden;
    for (size_t i = 0; i < w->hidden; i++)
        x[i] = (x[i] - mean) / sqrt(variance + w->norm_eps) * norm->gamma[i] + norm->beta[i];
}

static double naive_word(const struct ifd_weights *w, size_t at)
{
    if (w->words.storage == IFD_STORE_F32)
        return ((const float *)w->words.data)[at];
    uint16_t h = ((const uint16_t *)w->words.data)[at];
    double sign = h & 0x8000 ? -1 : 1;
    if (w->words.storage == IFD_STORE_F16)
        return sign * ldexp(1024 + (h & 1023), (h >> 10 & 31) - 25);
    return sign * ldexp(128 + (h & 127), (h >> 7 & 255) - 134);
}

static void naive_layer(const struct ifd_weights *w, const struct ifd_layer *l, size_t n, double *x)
{
    const size_t h = w->hidden, d = h / w->heads;
    double *qkv = calloc(n * 3 * h, sizeof(double)), *context = calloc(n * h, sizeof(double));
    double *p = calloc(n, sizeof(double)), *y = calloc(h, sizeof(double));
    double *inner = calloc(w->ffn, sizeof(double));
    for (size_t t = 0; t < n; t++)
        naive_linear(w, &l->qkv, x + t * h, qkv + t * 3 * h);
    for (size_t head = 0; head < w->heads; head++) {
        for (size_t q = 0; q < n; q++) {
            double sum = 0;
            for (size_t k = 0; k < n; k++) {
                double dot = 0;
                for (size_t i = head * d; i < (head + 1) * d; i++)
                    dot += qkv[q * 3 * h + i] * qkv[k * 3 * h + h + i];
                sum += p[k] = exp(dot / sqrt((double)d));
            }
            for (size_t i = head * d; i < (head + 1) * d; i++)
                for (size_t k = 0; k < n; k++)
                    context[q * h + i] += p[k] / sum * qkv[k * 3 * h + 2 * h + i];
        }
    }
    for (size_t t = 0; t < n; t++) {
        double *row = x + t * h;
        naive_linear(w, &l->out, context + t * h, y);
        for (size_t i = 0; i < h; i++)
            row[i] += y[i];
        naive_norm(w, &l->norm1, row);
        naive_linear(w, &l->ffn1, row, inner);
        for (size_t i = 0; i < w->ffn; i++)
            inner[i] = 0.5 * inner[i] * erfc(-inner[i] * M_SQRT1_2);
        naive_linear(w, &l->ffn2[0], inner, y); /* fp32: the only slice */
        for (size_t i = 0; i < h; i++)
            row[i] += y[i];
        naive_norm(w, &l->norm2, row);
    }
    free(qkv);
    free(context);
    free(p);
    free(y);
    free(inner);
}

static void naive_forward(const struct ifd_weights *w, const int32_t *ids, size_t n, double *logits)
{
    const size_t h = w->hidden;
    double *x = calloc(n * h, sizeof(double)), *pooled = calloc(h, sizeof(double));
    for (size_t t = 0; t < n; t++) {
        for (size_t i = 0; i < h; i++)
            x[t * h + i] = naive_word(w, (size_t)ids[t] * h + i) + w->positions_types[t * h + i];
        naive_norm(w, &w->norm0, x + t * h);
    }
    for (uint32_t i = 0; i < w->layers; i++)
        naive_layer(w, &w->layer[i], n, x);
    naive_linear(w, &w->pre, x, pooled);
    for (size_t i = 0; i < h; i++)
        pooled[i] = w->arch == IFD_ARCH_BERT ? tanh(pooled[i]) : fmax(pooled[i], 0);
    naive_linear(w, &w->head, pooled, logits);
    free(x);
    free(pooled);
}

static double worst_difference(const struct ifd_weights *w, const struct corpus *c,
                               const float *logits)
{
    double worst = 0;
    for (uint32_t t = 0; t < TEXTS; t++) {
        double want[LABELS_MAX];
        naive_forward(w, c->ids + c->offsets[t], c->offsets[t + 1] - c->offsets[t], want);
        for (uint32_t i = 0; i < w->labels; i++)
            worst = fmax(worst, fabs(want[i] - logits[t * w->labels + i]));
    }
    return worst;
}

static void test_against_double_precision(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers);
    for (size_t k = 0; k < count; k++) {
        double all = 0;
        for (size_t i = 0; i < SHAPES; i++) {
            struct ifd_weights *w;
            struct corpus c;
            float logits[TEXTS * LABELS_MAX];
            w = random_weights_new(&shapes[i], tiers[k], IFD_DTYPE_FP32, 100 + i);
            corpus_fill(&c, w->vocab, 5 + i);
            struct ifd_scratch *s = scratch_new(w, NULL);
            run_alone(s, &c, w->labels, logits);
            double worst = worst_difference(w, &c, logits);
            all = fmax(all, worst);
            assert_true(worst <= 2e-5);
            /* a thousandth on one weight must show */
            ((float *)w->head.packed)[0] += 1e-3f;
            assert_true(worst_difference(w, &c, logits) > 1e-4);
            ifd_scratch_free(s);
            ifd_weights_free(w);
        }
        print_message("%s: logits within %.2g of double precision, %zu models\n", tiers[k]->name,
                      all, SHAPES);
    }
}

static size_t count_different(const float *alone, const float *batch, const uint32_t *picked,
                              size_t n, uint32_t labels)
{
    size_t different = 0;
    for (size_t i = 0; i < n; i++)
        different +=
            memcmp(alone + picked[i] * labels, batch + i * labels, labels * sizeof(float)) != 0;
    return different;
}

/* Random batches (any texts, any order, repeats) with every team size. Returns texts compared. */
static size_t compare_batches(const struct ifd_weights *w, const struct corpus *c,
                              const float *alone, unsigned batches, bool full, size_t *different)
{
    size_t compared = 0;
    uint64_t seed = 77;
    for (unsigned members = 1; members <= 4; members++) {
        inferd_error err;
        struct ifd_team *team = NULL;
        assert_ok(ifd_team_create(members, &team, &err), err);
        struct ifd_scratch *s = scratch_new(w, members == 1 ? NULL : team);
        ifd_scratch_set_full_last_layer(s, full);
        for (unsigned b = 0; b < batches; b++) {
            uint32_t picked[TEXTS];
            float logits[TEXTS * LABELS_MAX];
            size_t n = b == 0 ? TEXTS : 1 + random_below(&seed, TEXTS);
            for (size_t i = 0; i < n; i++)
                picked[i] = b == 0 ? (uint32_t)i : random_below(&seed, TEXTS);
            run_batch(s, c, picked, n, logits);
            *different += count_different(alone, logits, picked, n, w->labels);
            compared += n;
        }
        ifd_scratch_free(s);
        ifd_team_free(team);
    }
    return compared;
}

static void test_batch_invariance(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers), compared = 0, different = 0, controls = 0;
    for (size_t k = 0; k < count; k++) {
        for (size_t i = 0; i < SHAPES * IFD_DTYPE_COUNT; i += model_step()) {
            const enum ifd_dtype dtype = (enum ifd_dtype)(i / SHAPES);
            struct ifd_weights *w;
            struct corpus c;
            float alone[TEXTS * LABELS_MAX];
            w = random_weights_new(&shapes[i % SHAPES], tiers[k], dtype, 200 + i);
            corpus_fill(&c, w->vocab, 9 + i);
            struct ifd_scratch *s = scratch_new(w, NULL);
            run_alone(s, &c, w->labels, alone);
            unsigned batches = tiers[k]->tier == IFD_TIER_REF ? 2 : BATCHES;
            if (test_emulated())
                batches = 1;
            compared += compare_batches(w, &c, alone, batches, false, &different);

            /* the comparison must see a hundred last places of one number that is not quantised */
            size_t caught = 0;
            w->head.bias[0] += 1e-5f;
            compare_batches(w, &c, alone, 1, false, &caught);
            assert_true(caught > 0);
            controls++;
            ifd_scratch_free(s);
            ifd_weights_free(w);
        }
    }
    print_message(
        "%zu texts in batches on teams of 1 to 4 compared with each alone: %zu different; "
        "%zu controls caught\n",
        compared, different, controls);
    assert_int_equal(different, 0);
}

static void test_full_last_layer_is_the_same(void **state)
{
    (void)state;
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    size_t count = tiers_here(tiers), compared = 0, different = 0;
    for (size_t k = 0; k < count; k++) {
        for (size_t i = 0; i < SHAPES * IFD_DTYPE_COUNT; i += model_step()) {
            struct ifd_weights *w;
            struct corpus c;
            float alone[TEXTS * LABELS_MAX];
            w = random_weights_new(&shapes[i % SHAPES], tiers[k], (enum ifd_dtype)(i / SHAPES),
                                   300 + i);
            corpus_fill(&c, w->vocab, 13 + i);
            struct ifd_scratch *s = scratch_new(w, NULL);
            run_alone(s, &c, w->labels, alone);
            compared +=
                compare_batches(w, &c, alone, test_emulated() ? 1 : BATCHES_FULL, true, &different);
            ifd_scratch_free(s);
            ifd_weights_free(w);
        }
    }
    print_message("%zu texts with the full last layer: %zu different\n", compared, different);
    assert_int_equal(different, 0);
}

/* Largest difference of a logit from tier ref in fp32; the logits into `out` [tiers]. */
static double tiers_beside_ref(const struct random_shape *shape, enum ifd_dtype dtype,
                               uint64_t seed, float out[IFD_TIER_COUNT][TEXTS * LABELS_MAX])
{
    const struct ifd_kernels *tiers[IFD_TIER_COUNT];
    float want[TEXTS * LABELS_MAX];
    size_t count = tiers_here(tiers);
    double worst = 0;
    for (size_t k = 0; k <= count; k++) { /* the last one is what the others are compared to */
        struct corpus c;
        struct ifd_weights *w = random_weights_new(shape, k < count ? tiers[k] : tiers[0],
                                                   k < count ? dtype : IFD_DTYPE_FP32, seed);
        corpus_fill(&c, w->vocab, seed);
        struct ifd_scratch *s = scratch_new(w, NULL);
        run_alone(s, &c, shape->labels, k < count ? out[tiers[k]->tier] : want);
        ifd_scratch_free(s);
        ifd_weights_free(w);
    }
    for (size_t k = 0; k < count; k++)
        for (size_t j = 0; j < TEXTS * shape->labels; j++)
            worst = fmax(worst, fabs((double)out[tiers[k]->tier][j] - want[j]));
    return worst;
}

static void test_tiers_agree(void **state)
{
    (void)state;
    /* fp32: rounding. Narrow: about the step of a row of 8 bits through three layers. */
    static const double bounds[IFD_DTYPE_COUNT] = {2e-5, 0.05, 0.15};
    static float logits[IFD_TIER_COUNT][TEXTS * LABELS_MAX];
    for (int d = 0; d < IFD_DTYPE_COUNT; d++) {
        double worst = 0;
        for (size_t i = 0; i < SHAPES; i++) {
            worst = fmax(worst, tiers_beside_ref(&shapes[i], (enum ifd_dtype)d, 400 + i, logits));
            /* one chain per sum in fp32, exact sums in int8: all vector tiers have the same bits */
            const struct ifd_kernels *tiers[IFD_TIER_COUNT];
            size_t count = tiers_here(tiers); /* the first one is ref */
            for (size_t t = 2; t < count && d != IFD_DTYPE_BF16; t++)
                assert_memory_equal(logits[tiers[1]->tier], logits[tiers[t]->tier],
                                    TEXTS * shapes[i].labels * sizeof(float));
        }
        print_message("dtype %d: tiers within %.2g of fp32's ref\n", d, worst);
        assert_true(worst <= bounds[d]);
    }
}

static void test_long_texts_and_many_chunks(void **state)
{
    (void)state;
    const struct random_shape shape = {IFD_ARCH_BERT, IFD_STORE_F32, 2, 40, 2, 80, 90, 512, 2};
    enum { LONG = 5, TOTAL = 512 + 1 + 300 + 512 + 130 };
    static const uint32_t offsets[LONG + 1] = {0, 512, 513, 813, 1325, TOTAL};
    static int32_t ids[TOTAL];
    const struct ifd_kernels *kernels = ifd_kernels_get(ifd_cpu_best());
    struct ifd_weights *w;
    inferd_error err;
    uint64_t seed = 3;
    float alone[LONG * 2], logits[LONG * 2];
    w = random_weights_new(&shape, kernels, IFD_DTYPE_FP32, 3);
    for (size_t i = 0; i < TOTAL; i++)
        ids[i] = (int32_t)random_below(&seed, w->vocab);
    for (unsigned members = 1; members <= 3; members++) {
        struct ifd_team *team = NULL;
        struct ifd_scratch *s = NULL;
        assert_ok(ifd_team_create(members, &team, &err), err);
        assert_ok(ifd_scratch_create(w, TOTAL, LONG, team, &s, &err), err);
        for (uint32_t t = 0; t < LONG; t++) {
            const uint32_t one[2] = {0, offsets[t + 1] - offsets[t]};
            const struct ifd_ragged batch = {.texts = 1, .ids = ids + offsets[t], .offsets = one};
            ifd_forward(s, &batch, (members == 1 ? alone : logits) + 2 * t);
        }
        if (members > 1)
            assert_memory_equal(alone, logits, sizeof(alone));
        const struct ifd_ragged all = {.texts = LONG, .ids = ids, .offsets = offsets};
        ifd_forward(s, &all, logits);
        assert_memory_equal(alone, logits, sizeof(alone));
        ifd_scratch_free(s);
        ifd_team_free(team);
    }
    ifd_weights_free(w);
}

static void test_no_allocation_and_clean_failures(void **state)
{
    (void)state;
    struct ifd_weights *w;
    struct corpus c;
    inferd_error err;
    float logits[TEXTS * LABELS_MAX];
    uint32_t all[TEXTS];
    for (uint32_t i = 0; i < TEXTS; i++)
        all[i] = i;
    w = random_weights_new(&shapes[0], ifd_kernels_get(ifd_cpu_best()), IFD_DTYPE_FP32, 1);
    corpus_fill(&c, w->vocab, 1);
    struct ifd_scratch *s = scratch_new(w, NULL);
    assert_true(ifd_scratch_bytes(s) > TEXTS * w->hidden * sizeof(float));
    uint64_t before = ifd_mem_calls();
    run_batch(s, &c, all, TEXTS, logits);
    struct ifd_ragged none = {.texts = 0, .ids = NULL, .offsets = c.offsets};
    ifd_forward(s, &none, NULL);
    assert_true(ifd_mem_calls() == before);
    ifd_scratch_free(s);

    s = NULL;
    assert_fails(ifd_scratch_create(w, 0, 1, NULL, &s, &err), INFERD_INVALID_ARGUMENT, err, "room");
    assert_fails(ifd_scratch_create(w, 1, 0, NULL, &s, &err), INFERD_INVALID_ARGUMENT, err, "room");
    assert_fails(ifd_scratch_create(w, 10, SIZE_MAX / 8, NULL, &s, &err), INFERD_NO_MEMORY, err,
                 "smaller batch");
    uint64_t calls = 0;
    for (uint64_t n = 0; n < 40 && !s; n++, calls++) {
        ifd_mem_fail_after(n, false);
        inferd_status status = ifd_scratch_create(w, 64, 4, NULL, &s, &err);
        ifd_mem_fail_after(UINT64_MAX, false);
        assert_int_equal(status, s ? INFERD_OK : INFERD_NO_MEMORY);
    }
    assert_non_null(s);
    assert_true(calls > 5); /* each allocation failed once */
    ifd_scratch_free(s);
    ifd_scratch_free(NULL);
    ifd_weights_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_double_precision),
        cmocka_unit_test(test_batch_invariance),
        cmocka_unit_test(test_full_last_layer_is_the_same),
        cmocka_unit_test(test_tiers_agree),
        cmocka_unit_test(test_long_texts_and_many_chunks),
        cmocka_unit_test(test_no_allocation_and_clean_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
