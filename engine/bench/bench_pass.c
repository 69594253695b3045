/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the time of a whole forward pass goes, on random weights of the two model sizes.
 *
 *     bench_pass [all|steps|peak|lengths|cores] [TIER] [DTYPE] [SECONDS]
 *
 * steps    share of each kind of step, timed by a table of kernels that count around the tier's own
 * peak     1, 16 and 32 texts of 24 tokens: share of the core's peak, which is measured between the
 *          repetitions; counted are the multiply-adds that the answer needs; also with every token
 *          of the last layer computed ("full")
 * lengths  time of mixed lengths beside equal ones of the same total: 8..128 tokens, and 8..512
 *          beside a T + b T^2 with a and b from texts of 64 and 512 tokens (the first two have the
 *          same sum of T, not of T^2: what that makes by the same b is said)
 * cores    one 24-token text and 32 of them on a team of two beside one thread, by the wall clock;
 *          and the peak loop on both cores at once
 *
 * What is compared runs in turns and is the least of many, one thread by its processor time.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/model/random_weights.h"
#include "bench_peak.h"

#include "base/clock.h"
#include "model/forward.h"

#define TOKENS_MAX 4096
#define TEXTS_MAX 256

static const struct random_shape models[] = {
    {IFD_ARCH_BERT, IFD_STORE_F16, 6, 384, 12, 1536, 30522, 512, 2},
    {IFD_ARCH_DISTILBERT, IFD_STORE_F16, 6, 768, 12, 3072, 30522, 512, 2},
};
static const char *const model_names[] = {"6x384", "6x768"};
static const char *const dtype_names[IFD_DTYPE_COUNT] = {"fp32", "bf16", "int8"};

struct batch {
    size_t texts;
    int32_t ids[TOKENS_MAX];
    uint32_t offsets[TEXTS_MAX + 1];
};

static void batch_add(struct batch *b, uint32_t tokens)
{
    uint32_t at = b->offsets[b->texts];
    if (b->texts == TEXTS_MAX || at + tokens > TOKENS_MAX)
        exit((fputs("bench_pass: the batch is too large\n", stderr), 1));
    for (uint32_t i = 0; i < tokens; i++)
        b->ids[at + i] = (int32_t)((at + i) * 7919u % 30000u);
    b->offsets[++b->texts] = at + tokens;
}

static struct batch batch_of(size_t texts, uint32_t tokens)
{
    struct batch b = {0};
    for (size_t i = 0; i < texts; i++)
        batch_add(&b, tokens);
    return b;
}

/* One way to run the model; several are compared in turns. */
struct way {
    struct ifd_scratch *scratch;
    struct ifd_team *team;
    const struct batch *batch;
    double least_ns;
};

static struct way way_new(const struct ifd_weights *w, const struct batch *batch, unsigned threads,
                          bool full)
{
    inferd_error err;
    struct way way = {.batch = batch, .least_ns = 1e18};
    if ((threads > 1 && ifd_team_create(threads, &way.team, &err)) ||
        ifd_scratch_create(w, batch->offsets[batch->texts], batch->texts, way.team, &way.scratch,
                           &err))
        exit((fputs("bench_pass: could not set up the forward pass\n", stderr), 1));
    ifd_scratch_set_full_last_layer(way.scratch, full);
    return way;
}

static void way_free(struct way *way)
{
    ifd_scratch_free(way->scratch);
    ifd_team_free(way->team);
}

static double way_run(struct way *way, bool wall)
{
    float logits[TEXTS_MAX * 2];
    const struct ifd_ragged ragged = {
        .texts = way->batch->texts, .ids = way->batch->ids, .offsets = way->batch->offsets};
    uint64_t begin = wall ? ifd_clock_ns() : ifd_clock_thread_ns();
    ifd_forward(way->scratch, &ragged, logits);
    double ns = (double)((wall ? ifd_clock_ns() : ifd_clock_thread_ns()) - begin);
    way->least_ns = ns < way->least_ns ? ns : way->least_ns;
    return ns;
}

/* All ways in turns, at least 5 times each; the peak between them, if asked for. */
static void ways_run(struct way *ways, size_t n, bool wall, double seconds,
                     const struct ifd_weights *w, double *peak)
{
    uint64_t end = ifd_clock_ns() + (uint64_t)(seconds * 1e9);
    for (int r = 0; r < 5 || ifd_clock_ns() < end; r++) {
        for (size_t i = 0; i < n; i++)
            way_run(&ways[i], wall);
        double p = peak ? bench_peak(w->kernels->tier, w->dtype) : 0;
        if (peak && p > *peak)
            *peak = p;
    }
}

/* ---- steps: a table whose functions count the time of the tier's own ---- */

enum step { QKV, OUT, FFN1, FFN2, OTHER, NARROW, NORM, ATTENTION, STEPS };
static const char *const step_names[STEPS] = {
    "qkv", "out", "ffn1+gelu", "ffn2", "first rows, head", "narrow", "norm", "attention"};
static const struct ifd_kernels *counted;
static const struct ifd_weights *counted_weights;
static double step_ns[STEPS];

static void count(enum step s, uint64_t begin)
{
    step_ns[s] += (double)(ifd_clock_ns() - begin);
}

static enum step step_of(const void *packed, size_t rows)
{
    const struct ifd_weights *w = counted_weights;
    const char *at = packed;
    for (uint32_t i = 0; i < w->layers && rows > 1; i++) {
        const struct ifd_layer *l = &w->layer[i];
        if (at >= (char *)l->qkv.packed && at < (char *)l->out.packed)
            return QKV;
        if (at >= (char *)l->out.packed && at < (char *)l->ffn1.packed)
            return OUT;
        if (at >= (char *)l->ffn1.packed && at < (char *)l->ffn2[0].packed)
            return FFN1;
        if (at >= (char *)l->ffn2[0].packed && at < (char *)l->norm2.gamma)
            return FFN2;
    }
    return OTHER;
}

static void count_gemm_f32(const struct ifd_gemm_f32 *g, size_t row_begin, size_t row_end,
                           size_t panel_begin, size_t panel_end)
{
    uint64_t begin = ifd_clock_ns();
    counted->gemm_f32(g, row_begin, row_end, panel_begin, panel_end);
    count(step_of(g->b, g->m), begin);
}

static void count_gemm_narrow(const struct ifd_gemm_narrow *g, size_t row_begin, size_t row_end,
                              size_t panel_begin, size_t panel_end)
{
    uint64_t begin = ifd_clock_ns();
    (counted_weights->dtype == IFD_DTYPE_INT8 ? counted->gemm_int8 : counted->gemm_bf16)(
        g, row_begin, row_end, panel_begin, panel_end);
    count(step_of(g->b, g->m), begin);
}

static void count_narrow(const float *x, size_t ldx, size_t n, size_t begin, size_t end,
                         const float *by, const struct ifd_narrow *out)
{
    uint64_t from = ifd_clock_ns();
    (counted_weights->dtype == IFD_DTYPE_INT8 ? counted->narrow_int8 : counted->narrow_bf16)(
        x, ldx, n, begin, end, by, out);
    count(NARROW, from);
}

static void count_norm(const float *x, size_t ldx, const float *gamma, const float *beta, float eps,
                       size_t rows, size_t n, float *out, size_t ldo)
{
    uint64_t begin = ifd_clock_ns();
    counted->layer_norm_f32(x, ldx, gamma, beta, eps, rows, n, out, ldo);
    count(NORM, begin);
}

static void count_attention(const float *q, size_t ldq, const float *k, size_t ldk, const float *v,
                            size_t ldv, size_t rows, size_t length, size_t d, float scale, float *o,
                            size_t ldo, float *work)
{
    uint64_t begin = ifd_clock_ns();
    counted->attention_f32(q, ldq, k, ldk, v, ldv, rows, length, d, scale, o, ldo, work);
    count(ATTENTION, begin);
}

static void bench_steps(struct ifd_weights *w, const char *name, size_t texts, uint32_t tokens,
                        double seconds)
{
    const struct batch batch = batch_of(texts, tokens);
    struct ifd_kernels table = *w->kernels;
    double least = 1e18, best[STEPS] = {0};
    counted = w->kernels;
    counted_weights = w;
    table.gemm_f32 = count_gemm_f32;
    table.gemm_int8 = table.gemm_bf16 = count_gemm_narrow;
    table.narrow_int8 = table.narrow_bf16 = count_narrow;
    table.layer_norm_f32 = count_norm;
    table.attention_f32 = count_attention;
    w->kernels = &table;
    struct way way = way_new(w, &batch, 1, false);
    uint64_t end = ifd_clock_ns() + (uint64_t)(seconds * 1e9);
    for (int r = 0; r < 5 || ifd_clock_ns() < end; r++) {
        memset(step_ns, 0, sizeof(step_ns));
        double ns = way_run(&way, true);
        if (ns < least) {
            least = ns;
            memcpy(best, step_ns, sizeof(best));
        }
    }
    way_free(&way);
    w->kernels = counted;
    double rest = least;
    printf("steps %s %s %s, %zu x %u tokens: %.3f ms:", counted->name, dtype_names[w->dtype], name,
           texts, tokens, least * 1e-6);
    for (int i = 0; i < STEPS; i++) {
        printf(" %s %.1f%%,", step_names[i], 100 * best[i] / least);
        rest -= best[i];
    }
    printf(" rest and clock %.1f%%\n", 100 * rest / least);
}

/* ---- the other modes ---- */

/* Multiplications and additions that the answer needs: in the last layer Q, output and feed-forward
 * of one token per text unless it is computed in full. */
static double operations(const struct random_shape *m, const struct batch *b, bool full)
{
    double h = m->hidden, f = m->ffn, sum = 0;
    for (size_t i = 0; i < b->texts; i++) {
        double t = b->offsets[i + 1] - b->offsets[i];
        double layer = t * (4 * h * h + 2 * h * f + 2 * t * h);
        double last = full ? layer : t * 2 * h * h + 2 * t * h + 2 * h * h + 2 * h * f;
        sum += 2 * ((m->layers - 1) * layer + last);
    }
    return sum;
}

static void bench_share(const struct ifd_weights *w, const struct random_shape *m, const char *name,
                        double seconds)
{
    const struct batch batches[] = {batch_of(1, 24), batch_of(16, 24), batch_of(32, 24)};
    for (size_t i = 0; i < 3; i++) {
        struct way ways[] = {way_new(w, &batches[i], 1, false), way_new(w, &batches[i], 1, true)};
        double peak = 0;
        ways_run(ways, 2, false, seconds, w, &peak);
        for (int full = 0; full < 2; full++) {
            double gops = operations(m, &batches[i], full) / ways[full].least_ns;
            printf("peak %s %s %s, %zu x 24 tokens%s: %.3f ms, %.0f GOP/s", w->kernels->name,
                   dtype_names[w->dtype], name, batches[i].texts, full ? ", full last layer" : "",
                   ways[full].least_ns * 1e-6, gops);
            if (peak > 0)
                printf(", %.0f%% of %.0f", 100 * gops / peak, peak);
            printf("\n");
        }
        way_free(&ways[0]);
        way_free(&ways[1]);
    }
}

static void bench_lengths(const struct ifd_weights *w, const char *name, double seconds)
{
    static const uint32_t mixed[] = {8, 128, 16, 112, 24, 104, 40, 96, 56, 64, 72, 48};
    static const uint32_t wide[] = {8, 512, 64, 256, 24, 128, 384, 16, 32, 200};
    struct batch short_mixed = {0}, long_mixed = {0};
    for (size_t i = 0; i < sizeof(mixed) / sizeof(mixed[0]); i++)
        batch_add(&short_mixed, mixed[i]);
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
        batch_add(&long_mixed, wide[i]);
    const struct batch equal = batch_of(12, 64), at_64 = batch_of(24, 64),
                       at_512 = batch_of(3, 512);
    struct way ways[] = {way_new(w, &short_mixed, 1, false), way_new(w, &equal, 1, false),
                         way_new(w, &long_mixed, 1, false), way_new(w, &at_64, 1, false),
                         way_new(w, &at_512, 1, false)};
    ways_run(ways, 5, false, seconds, w, NULL);
    /* per text a T + b T^2 */
    double per_64 = ways[3].least_ns / (24 * 64), per_512 = ways[4].least_ns / (3 * 512);
    double b = (per_512 - per_64) / (512 - 64), a = per_64 - b * 64, model = 0, squares = 0;
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
        model += a * wide[i] + b * wide[i] * wide[i];
    for (size_t i = 0; i < sizeof(mixed) / sizeof(mixed[0]); i++)
        squares += b * (mixed[i] * mixed[i] - 64.0 * 64.0);
    printf("lengths %s %s %s: 8..128 mixed %.3f ms, equal %.3f ms of %u tokens: %+.1f%%, of which "
           "b T^2 is %+.1f%%; 8..512 %.3f ms, a T + b T^2 %.3f ms: %+.1f%%\n",
           w->kernels->name, dtype_names[w->dtype], name, ways[0].least_ns * 1e-6,
           ways[1].least_ns * 1e-6, equal.offsets[equal.texts],
           100 * (ways[0].least_ns / ways[1].least_ns - 1), 100 * squares / ways[1].least_ns,
           ways[2].least_ns * 1e-6, model * 1e-6, 100 * (ways[2].least_ns / model - 1));
    for (size_t i = 0; i < 5; i++)
        way_free(&ways[i]);
}

struct peak_thread {
    enum ifd_tier tier;
    enum ifd_dtype dtype;
    pthread_barrier_t *start;
    double best;
};

static void *peak_main(void *arg)
{
    struct peak_thread *p = arg;
    pthread_barrier_wait(p->start);
    for (int i = 0; i < 2000; i++) {
        double now = bench_peak(p->tier, p->dtype);
        p->best = now > p->best ? now : p->best;
    }
    return NULL;
}

/* How much faster two cores run the peak loop than one does. */
static double peak_scaling(const struct ifd_weights *w)
{
    pthread_barrier_t start;
    double best[2] = {0};
    for (unsigned n = 1; n <= 2; n++) {
        struct peak_thread p[2];
        pthread_t thread[2];
        pthread_barrier_init(&start, NULL, n);
        for (unsigned i = 0; i < n; i++) {
            p[i] = (struct peak_thread){w->kernels->tier, w->dtype, &start, 0};
            if (pthread_create(&thread[i], NULL, peak_main, &p[i]))
                exit((fputs("bench_pass: could not start a thread\n", stderr), 1));
        }
        for (unsigned i = 0; i < n; i++) {
            pthread_join(thread[i], NULL);
            best[n - 1] += p[i].best;
        }
        pthread_barrier_destroy(&start);
    }
    return best[0] > 0 ? best[1] / best[0] : 0;
}

static void bench_cores(const struct ifd_weights *w, const char *name, double seconds)
{
    const struct batch one = batch_of(1, 24), many = batch_of(32, 24);
    struct way ways[] = {way_new(w, &one, 1, false), way_new(w, &one, 2, false),
                         way_new(w, &many, 1, false), way_new(w, &many, 2, false)};
    ways_run(ways, 4, true, seconds, w, NULL);
    printf("cores %s %s %s: 1 text %.3f -> %.3f ms (%.2f), 32 texts %.3f -> %.3f ms (x %.2f), peak "
           "x %.2f\n",
           w->kernels->name, dtype_names[w->dtype], name, ways[0].least_ns * 1e-6,
           ways[1].least_ns * 1e-6, ways[1].least_ns / ways[0].least_ns, ways[2].least_ns * 1e-6,
           ways[3].least_ns * 1e-6, ways[2].least_ns / ways[3].least_ns, peak_scaling(w));
    for (size_t i = 0; i < 4; i++)
        way_free(&ways[i]);
}

static bool asked(const char *what, const char *mode)
{
    return strcmp(what, "all") == 0 || strcmp(what, mode) == 0;
}

static void bench_model(const struct ifd_kernels *kernels, size_t model, enum ifd_dtype dtype,
                        const char *what, double seconds)
{
    const char *name = model_names[model];
    struct ifd_weights *w = random_weights_new(&models[model], kernels, dtype, 1);
    if (asked(what, "steps")) {
        bench_steps(w, name, 1, 24, seconds);
        bench_steps(w, name, 16, 24, seconds);
        bench_steps(w, name, 4, 128, seconds);
    }
    if (asked(what, "peak"))
        bench_share(w, &models[model], name, seconds);
    if (asked(what, "lengths"))
        bench_lengths(w, name, seconds);
    if (asked(what, "cores"))
        bench_cores(w, name, seconds);
    fflush(stdout);
    ifd_weights_free(w);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "all", *only = argc > 2 ? argv[2] : "all";
    const char *in = argc > 3 ? argv[3] : "all";
    double seconds = argc > 4 ? strtod(argv[4], NULL) : 1;
    char cpu[64];
    ifd_cpu_model_name(cpu, sizeof(cpu));
    printf("cpu: %s\n", cpu);
    for (int i = IFD_TIER_COUNT - 1; i > IFD_TIER_REF; i--) {
        const struct ifd_kernels *kernels = ifd_kernels_get((enum ifd_tier)i);
        if (!kernels || !ifd_cpu_has((enum ifd_tier)i) ||
            (strcmp(only, "all") != 0 && strcmp(only, kernels->name) != 0))
            continue;
        for (int d = 0; d < IFD_DTYPE_COUNT; d++)
            for (size_t m = 0; m < 2; m++)
                if (strcmp(in, "all") == 0 || strcmp(in, dtype_names[d]) == 0)
                    bench_model(kernels, m, (enum ifd_dtype)d, what, seconds);
    }
    return 0;
}
