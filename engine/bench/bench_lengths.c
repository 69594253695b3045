/* SPDX-License-Identifier: Apache-2.0
 *
 * Does a batch cost what its tokens cost? One thread, random weights of both model sizes.
 *
 *     bench_lengths [TIER] [DTYPE] [SECONDS]      default: this processor's best tier, int8, 4
 *
 * Mixed: a batch whose lengths lie anywhere in 8..128 beside one of as many texts and tokens whose
 * lengths are all the same; a server that pads would pay for the longest. Model: batches of equal
 * texts of 8..512 tokens beside the least-squares fit of a T + b T^2 for a text of T tokens
 * (products grow with T, attention with T^2), relative errors weighing the same at every length.
 * All batches in turns; by the thread's processor time; the fastest twentieth is dropped, as in
 * bench_kernels.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/model/random_weights.h"

#include "base/clock.h"
#include "base/mem.h"
#include "kernels/kernels.h"
#include "model/forward.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
enum { TOKENS = 2048, SHORTEST = 8, LONGEST_MIXED = 128, RUNS_MAX = 4000 };
#define TEXTS_MAX ((size_t)TOKENS / SHORTEST)

static const size_t equal_lengths[] = {8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512};

struct batch {
    uint32_t offsets[TEXTS_MAX + 1];
    size_t texts;
    uint64_t ns[RUNS_MAX]; /* of each run; the first is the verdict after fast() */
};

enum { MIXED, SAME, FIRST_EQUAL, BATCHES = FIRST_EQUAL + COUNT(equal_lengths) };

static uint64_t thread_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void add_text(struct batch *b, size_t length)
{
    b->offsets[b->texts + 1] = b->offsets[b->texts] + (uint32_t)length;
    b->texts++;
}

static size_t tokens_of(const struct batch *b)
{
    return b->offsets[b->texts];
}

static void make_batches(struct batch *batch, uint64_t *seed)
{
    struct batch *mixed = &batch[MIXED];
    while (tokens_of(mixed) + LONGEST_MIXED <= TOKENS)
        add_text(mixed, SHORTEST + random_below(seed, LONGEST_MIXED - SHORTEST + 1));
    for (size_t i = 0; i < mixed->texts; i++) /* lengths differ by one at most */
        add_text(&batch[SAME],
                 tokens_of(mixed) * (i + 1) / mixed->texts - tokens_of(mixed) * i / mixed->texts);
    for (size_t i = 0; i < COUNT(equal_lengths); i++)
        for (size_t t = 0; t < TOKENS / equal_lengths[i]; t++)
            add_text(&batch[FIRST_EQUAL + i], equal_lengths[i]);
}

/* Minimises the sum of ((a T + b T^2) / y - 1)^2 over the lengths. */
static void fit(const double *y, double *a, double *b)
{
    double uu = 0, uv = 0, vv = 0, u1 = 0, v1 = 0;
    for (size_t i = 0; i < COUNT(equal_lengths); i++) {
        double t = (double)equal_lengths[i], u = t / y[i], v = t * t / y[i];
        uu += u * u, uv += u * v, vv += v * v, u1 += u, v1 += v;
    }
    double det = uu * vv - uv * uv;
    *a = (u1 * vv - v1 * uv) / det;
    *b = (v1 * uu - u1 * uv) / det;
}

static void report(const struct batch *batch)
{
    const struct batch *mixed = &batch[MIXED], *same = &batch[SAME];
    printf("  %zu texts of 8..128, %zu tokens: %.2f us a token; of %zu each: %.2f; ratio %.3f\n",
           mixed->texts, tokens_of(mixed), (double)mixed->ns[0] * 1e-3 / (double)tokens_of(mixed),
           tokens_of(same) / same->texts, (double)same->ns[0] * 1e-3 / (double)tokens_of(same),
           (double)mixed->ns[0] / (double)same->ns[0]);
    double y[COUNT(equal_lengths)], a, b;
    for (size_t i = 0; i < COUNT(equal_lengths); i++)
        y[i] = (double)batch[FIRST_EQUAL + i].ns[0] / (double)batch[FIRST_EQUAL + i].texts;
    fit(y, &a, &b);
    printf("  a text of T tokens: %.3f us T + %.3f ns T^2; seen / modelled:", a * 1e-3, b);
    for (size_t i = 0; i < COUNT(equal_lengths); i++) {
        double t = (double)equal_lengths[i];
        printf(" %zu: %.3f", equal_lengths[i], y[i] / (a * t + b * t * t));
    }
    printf("\n");
}

static int run(const struct ifd_kernels *kernels, const struct random_shape *model,
               enum ifd_dtype dtype, double seconds)
{
    static struct batch batch[BATCHES];
    static int32_t ids[TOKENS];
    static float logits[TEXTS_MAX * 2];
    uint64_t seed = 3;
    inferd_error err;
    struct ifd_scratch *scratch = NULL;
    struct ifd_weights *w = random_weights_new(model, kernels, dtype, 1);
    if (ifd_scratch_create(w, TOKENS, TEXTS_MAX, NULL, &scratch, &err)) {
        fputs("could not set up the forward pass\n", stderr);
        return 1;
    }
    memset(batch, 0, sizeof(batch));
    make_batches(batch, &seed);
    for (size_t i = 0; i < COUNT(ids); i++)
        ids[i] = (int32_t)random_below(&seed, w->vocab);
    size_t runs = 0;
    for (uint64_t end = ifd_clock_ns() + (uint64_t)(seconds * 1e9);
         runs < RUNS_MAX && (runs < 3 || ifd_clock_ns() < end); runs++)
        for (size_t i = 0; i < BATCHES; i++) {
            struct ifd_ragged ragged = {
                .texts = batch[i].texts, .ids = ids, .offsets = batch[i].offsets};
            uint64_t begin = thread_ns();
            ifd_forward(scratch, &ragged, logits);
            batch[i].ns[runs] = thread_ns() - begin;
        }
    for (size_t i = 0; i < BATCHES; i++) {
        qsort(batch[i].ns, runs, sizeof(batch[i].ns[0]), compare_u64);
        batch[i].ns[0] = batch[i].ns[runs / 20];
    }
    printf("%s, 6 x %u, %zu runs\n", kernels->name, model->hidden, runs);
    report(batch);
    ifd_scratch_free(scratch);
    ifd_weights_free(w);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct random_shape models[] = {
        {IFD_ARCH_BERT, IFD_STORE_F16, 6, 384, 12, 1536, 30522, 512, 2},
        {IFD_ARCH_DISTILBERT, IFD_STORE_F16, 6, 768, 12, 3072, 30522, 512, 2},
    };
    static const char *const dtype_names[IFD_DTYPE_COUNT] = {"fp32", "bf16", "int8"};
    enum ifd_dtype dtype = IFD_DTYPE_INT8;
    const struct ifd_kernels *kernels = NULL;
    for (int i = 0; i < IFD_DTYPE_COUNT; i++)
        if (argc > 2 && strcmp(argv[2], dtype_names[i]) == 0)
            dtype = (enum ifd_dtype)i;
    for (int i = 0; i < IFD_TIER_COUNT; i++) {
        const struct ifd_kernels *k = ifd_kernels_get((enum ifd_tier)i);
        if (k && ifd_cpu_has((enum ifd_tier)i) && (argc < 2 || strcmp(argv[1], k->name) == 0))
            kernels = k;
    }
    if (!kernels) {
        fprintf(stderr, "bench_lengths: this processor has no tier '%s'\n", argv[1]);
        return 2;
    }
    char cpu[64];
    ifd_cpu_model_name(cpu, sizeof(cpu));
    printf("%s, %s\n", cpu, dtype_names[dtype]);
    int rc = 0;
    for (size_t i = 0; i < COUNT(models); i++)
        rc |= run(kernels, &models[i], dtype, argc > 3 ? strtod(argv[3], NULL) : 4.0);
    return rc;
}
