/* SPDX-License-Identifier: Apache-2.0
 *
 * Speed of the matrix product per tier and shape beside what the core can do at most, and of a
 * whole forward pass on random weights.
 *
 *     bench_kernels [peak|gemm|forward|team|all] [TIER|all] [SECONDS] [DTYPE]
 *
 * Every dtype of every tier. Peak is a loop of independent instructions of the kind that the
 * product uses, on registers (bench_peak.c), run in turns with what it is compared to, so that both
 * see the same clock and the same neighbours. What one thread does is timed by its own processor
 * time, so that being preempted by a neighbour does not count (what the neighbour did to the caches
 * does). Of many times the fastest twentieth is dropped: that clock now and then comes out short on
 * a virtual machine. Weights of a shape are many copies used in turn, more than L2 holds, as they
 * are in a model.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/model/random_weights.h"
#include "bench_peak.h"

#include "base/clock.h"
#include "base/mem.h"
#include "kernels/kernels.h"
#include "model/forward.h"

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Sorts; the time that a twentieth are below. */
static uint64_t fast(uint64_t *ns, size_t n)
{
    qsort(ns, n, sizeof(*ns), compare_u64);
    return ns[n / 20];
}

static float *filled(size_t n, uint64_t *seed)
{
    float *p = ifd_zalloc_aligned(n * sizeof(float));
    if (!p) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    for (size_t i = 0; i < n; i++)
        p[i] = random_float(seed, 0.1f);
    return p;
}

#define M_MAX 400
#define K_MAX 3072
#define WEIGHTS_FLOATS ((size_t)12 << 20)

static const size_t m_list[] = {1, 4, 8, 16, 24, 60, 128, 400};
static const size_t nk_list[][2] = {{1152, 384}, {384, 384}, {1536, 384}, {384, 1536},
                                    {2304, 768}, {768, 768}, {3072, 768}, {768, 3072}};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { RUNS_MAX = 20000 };
static const char *const dtype_names[IFD_DTYPE_COUNT] = {"fp32", "bf16", "int8"};

struct buffers {
    float *a, *b, *c,
        *bias; /* bias is also every scale and sum: the speed does not depend on them */
    uint64_t *ns;
};

static uint64_t run_once(const struct ifd_kernels *kernels, enum ifd_dtype dtype,
                         const struct buffers *u, size_t m, const size_t *nk, size_t copy)
{
    const size_t n = nk[0], k = nk[1], panels = (n + kernels->nr - 1) / kernels->nr;
    const size_t bytes = ifd_packed_bytes(dtype, n, k, kernels->nr);
    const char *b = (const char *)u->b + copy % (WEIGHTS_FLOATS * sizeof(float) / bytes) * bytes;
    const enum ifd_epilogue e = n == 4 * k ? IFD_EPI_BIAS_GELU : IFD_EPI_BIAS;
    const struct ifd_gemm_f32 g = {.m = m,
                                   .n = n,
                                   .k = k,
                                   .a = u->a,
                                   .lda = k + 16,
                                   .b = (const float *)(const void *)b,
                                   .c = u->c,
                                   .ldc = n + 16,
                                   .bias = u->bias,
                                   .epilogue = e};
    const struct ifd_gemm_narrow q = {
        .m = m,
        .n = n,
        .k = k,
        .a = {u->a, ifd_narrow_row_bytes(kernels, dtype, k) + 64, u->bias, u->bias},
        .b = b,
        .b_scale = u->bias,
        .b_sum = u->bias,
        .bias = u->bias,
        .c = u->c,
        .ldc = n + 16,
        .epilogue = e};
    uint64_t begin = ifd_clock_thread_ns();
    if (dtype == IFD_DTYPE_FP32)
        kernels->gemm_f32(&g, 0, m, 0, panels);
    else
        (dtype == IFD_DTYPE_INT8 ? kernels->gemm_int8 : kernels->gemm_bf16)(&q, 0, m, 0, panels);
    return ifd_clock_thread_ns() - begin;
}

static void bench_gemm(const struct ifd_kernels *kernels, enum ifd_dtype dtype, double seconds)
{
    uint64_t seed = 1;
    const size_t ld_max = K_MAX + 16;
    struct buffers u = {.a = filled(M_MAX * ld_max, &seed),
                        .b = filled(WEIGHTS_FLOATS, &seed),
                        .c = filled(M_MAX * ld_max, &seed),
                        .bias = filled(4096, &seed),
                        .ns = ifd_zalloc_array(RUNS_MAX, sizeof(*u.ns))};
    if (!u.ns) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    printf("%s %s: GOP/s by M (share of the peak seen in turns with it)\n%12s", kernels->name,
           dtype_names[dtype], "N x K");
    for (size_t i = 0; i < COUNT(m_list); i++)
        printf(" %11zu", m_list[i]);
    printf("\n");
    for (size_t s = 0; s < COUNT(nk_list); s++) {
        printf("%6zux%-5zu", nk_list[s][0], nk_list[s][1]);
        for (size_t i = 0; i < COUNT(m_list); i++) {
            double peak = 0;
            size_t runs = 0;
            uint64_t end = ifd_clock_ns() + (uint64_t)(seconds * 1e9);
            do {
                double p = bench_peak(kernels->tier, dtype);
                peak = p > peak ? p : peak;
                for (int r = 0; r < 4 && runs < RUNS_MAX; r++, runs++)
                    u.ns[runs] = run_once(kernels, dtype, &u, m_list[i], nk_list[s], runs);
            } while (ifd_clock_ns() < end);
            double best = 2.0 * (double)(m_list[i] * nk_list[s][0] * nk_list[s][1]) /
                          (double)fast(u.ns, runs);
            printf(" %6.1f", best);
            if (peak > 0)
                printf(" %3.0f%%", 100 * best / peak);
            fflush(stdout);
        }
        printf("\n");
    }
    ifd_free(u.a);
    ifd_free(u.b);
    ifd_free(u.c);
    ifd_free(u.bias);
    ifd_free(u.ns);
}

#define TEXT_TOKENS 24
#define TEXTS_MAX 32

/* The two model sizes: MiniLM-L6's and DistilBERT-base's. */
static const struct random_shape models[] = {
    {IFD_ARCH_BERT, IFD_STORE_F16, 6, 384, 12, 1536, 30522, 512, 2},
    {IFD_ARCH_DISTILBERT, IFD_STORE_F16, 6, 768, 12, 3072, 30522, 512, 2},
};

/* Operations that a pass needs: multiplications and additions; in the last layer Q, output and
 * feed-forward of one token per text unless it is computed in full. */
static double operations(const struct random_shape *m, double texts, double t, bool full)
{
    double h = m->hidden, f = m->ffn;
    double layer = t * (4 * h * h + 2 * h * f + 2 * t * h);
    double last = full ? layer : t * 2 * h * h + 2 * t * h + 2 * h * h + 2 * h * f;
    return 2 * texts * ((m->layers - 1) * layer + last);
}

static int bench_forward(const struct ifd_kernels *kernels, const struct random_shape *model,
                         enum ifd_dtype dtype, unsigned threads, bool full, double seconds)
{
    static const size_t batches[] = {1, TEXTS_MAX};
    static int32_t ids[TEXT_TOKENS * TEXTS_MAX];
    uint32_t offsets[TEXTS_MAX + 1];
    uint64_t seed = 2;
    inferd_error err;
    struct ifd_scratch *scratch = NULL;
    struct ifd_team *team = NULL;
    struct ifd_weights *w = random_weights_new(model, kernels, dtype, 1);
    uint64_t *ns = ifd_zalloc_array(RUNS_MAX, sizeof(*ns));
    if (!ns || (threads > 1 && ifd_team_create(threads, &team, &err)) ||
        ifd_scratch_create(w, TEXT_TOKENS * TEXTS_MAX, TEXTS_MAX, team, &scratch, &err)) {
        fputs("could not set up the forward pass\n", stderr);
        return 1;
    }
    ifd_scratch_set_full_last_layer(scratch, full);
    for (size_t i = 0; i < COUNT(ids); i++)
        ids[i] = (int32_t)random_below(&seed, w->vocab);
    for (uint32_t i = 0; i <= TEXTS_MAX; i++)
        offsets[i] = i * TEXT_TOKENS;
    for (size_t i = 0; i < COUNT(batches); i++) {
        struct ifd_ragged batch = {.texts = batches[i], .ids = ids, .offsets = offsets};
        float logits[TEXTS_MAX * 2];
        size_t runs = 0;
        double peak = 0;
        uint64_t end = ifd_clock_ns() + (uint64_t)(seconds * 1e9);
        while (runs < RUNS_MAX && (runs < 3 || ifd_clock_ns() < end)) {
            double p = bench_peak(kernels->tier, dtype);
            peak = p > peak ? p : peak;
            uint64_t begin = threads > 1 ? ifd_clock_ns() : ifd_clock_thread_ns();
            ifd_forward(scratch, &batch, logits);
            ns[runs++] = (threads > 1 ? ifd_clock_ns() : ifd_clock_thread_ns()) - begin;
        }
        double quick = (double)fast(ns, runs);
        double gops = operations(model, (double)batches[i], TEXT_TOKENS, full) / quick;
        printf("%s %s 6x%u%s, %zu x %d tokens, %u thread(s): %.3f ms (median %.3f, %zu runs), %.0f "
               "GOP/s",
               kernels->name, dtype_names[dtype], model->hidden, full ? " full last layer" : "",
               batches[i], TEXT_TOKENS, threads, quick * 1e-6, (double)ns[runs / 2] * 1e-6, runs,
               gops);
        if (peak > 0)
            printf(", %.0f%% of one core's peak %.0f", 100 * gops / peak, peak);
        printf("\n");
        fflush(stdout);
    }
    ifd_scratch_free(scratch);
    ifd_team_free(team);
    ifd_free(ns);
    ifd_weights_free(w);
    return 0;
}

enum { STEPS = 100 };

static void nothing(void *arg, struct ifd_team_walk *walk)
{
    unsigned part;
    for (unsigned i = 0; i < *(unsigned *)arg; i++)
        while (ifd_team_part(walk, &part))
            continue;
}

/* What a run on a team and a step of it cost beyond their work. */
static int bench_team(void)
{
    enum { RUNS = 20000 };
    for (unsigned members = 1; members <= 4; members *= 2) {
        inferd_error err;
        struct ifd_team *team = NULL;
        if (ifd_team_create(members, &team, &err))
            return 1;
        uint64_t least[2] = {UINT64_MAX, UINT64_MAX};
        for (int i = 0; i < RUNS; i++) {
            unsigned steps = i % 2 ? STEPS : 0;
            uint64_t begin = ifd_clock_ns();
            ifd_team_run(team, nothing, &steps);
            uint64_t ns = ifd_clock_ns() - begin;
            least[i % 2] = ns < least[i % 2] ? ns : least[i % 2];
        }
        printf("team of %u: an empty run takes at least %llu ns, an empty step of one %llu ns\n",
               members, (unsigned long long)least[0],
               (unsigned long long)(least[1] - least[0]) / STEPS);
        ifd_team_free(team);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "all";
    double seconds = argc > 3 ? strtod(argv[3], NULL) : 0.1;
    char cpu[64];
    ifd_cpu_model_name(cpu, sizeof(cpu));
    printf("cpu: %s\n", cpu);
    int rc = strcmp(what, "all") == 0 || strcmp(what, "team") == 0 ? bench_team() : 0;
    for (int i = IFD_TIER_COUNT - 1; i >= 0; i--) {
        enum ifd_tier tier = (enum ifd_tier)i;
        const struct ifd_kernels *kernels = ifd_kernels_get(tier);
        if (!kernels || !ifd_cpu_has(tier) ||
            (argc > 2 && strcmp(argv[2], "all") != 0 && strcmp(argv[2], kernels->name) != 0))
            continue;
        bool all = strcmp(what, "all") == 0;
        for (int d = 0; d < IFD_DTYPE_COUNT; d++) {
            const enum ifd_dtype dtype = (enum ifd_dtype)d;
            if (argc > 4 && strcmp(argv[4], dtype_names[d]) != 0)
                continue;
            if (all || strcmp(what, "peak") == 0) {
                double peak = 0;
                for (int r = 0; r < 2000; r++) {
                    double p = bench_peak(tier, dtype);
                    peak = p > peak ? p : peak;
                }
                printf("%s %s: peak %.1f GOP/s\n", kernels->name, dtype_names[d], peak);
            }
            if (all || strcmp(what, "gemm") == 0)
                bench_gemm(kernels, dtype, seconds);
            for (unsigned c = 0; c < 6 && (all || strcmp(what, "forward") == 0); c++)
                rc |= bench_forward(kernels, &models[c / 3], dtype, c % 3 == 1 ? 2 : 1, c % 3 == 2,
                                    10 * seconds);
        }
    }
    return rc;
}
