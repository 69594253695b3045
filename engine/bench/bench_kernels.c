/* SPDX-License-Identifier: Apache-2.0
 *
 * Speed of the matrix product per tier and shape beside what the core can do at most, and of a
 * whole forward pass on random weights.
 *
 *     bench_kernels [peak|gemm|forward|team|all] [TIER] [SECONDS]
 *
 * Peak is a loop of independent FMAs on registers, run in turns with what it is compared to, so
 * that both see the same clock and the same neighbours. What one thread does is timed by its own
 * processor time, so that being preempted by a neighbour does not count (what the neighbour did to
 * the caches does). Of many times the fastest twentieth is dropped: that clock now and then comes
 * out short on a virtual machine. Weights of a shape are many copies used in
 * turn, more than L2 holds, as they are in a model.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/model/random_weights.h"
#include "base/clock.h"
#include "base/mem.h"
#include "kernels/kernels.h"
#include "model/forward.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define PEAK_ROUNDS 20000
/* `volatile` and "+x" keep the compiler from seeing that the chains are alike. */
#define CHAIN_OPAQUE(i) __asm__ volatile("" : "+x"(c##i));
#define PEAK_DEFINE(name, isa, type, zero, set1, fma)   \
    __attribute__((target(isa))) static void name(void) \
    {                                                   \
        type x = set1(0.5f);                            \
        CHAINS(zero)                                    \
        CHAINS(CHAIN_OPAQUE)                            \
        for (int r = 0; r < PEAK_ROUNDS; r++) {         \
            CHAINS(fma)                                 \
            __asm__ volatile("" : "+x"(x));             \
        }                                               \
        CHAINS(CHAIN_OPAQUE)                            \
    }
#define ZERO_512(i) __m512 c##i = _mm512_setzero_ps();
#define FMA_512(i) c##i = _mm512_fmadd_ps(x, x, c##i);
#define ZERO_256(i) __m256 c##i = _mm256_setzero_ps();
#define FMA_256(i) c##i = _mm256_fmadd_ps(x, x, c##i);
PEAK_DEFINE(peak_avx512, "avx512f", __m512, ZERO_512, _mm512_set1_ps, FMA_512)
PEAK_DEFINE(peak_avx2, "avx2,fma", __m256, ZERO_256, _mm256_set1_ps, FMA_256)
#endif

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

/* Sorts; the time that a twentieth are below. */
static uint64_t fast(uint64_t *ns, size_t n)
{
    qsort(ns, n, sizeof(*ns), compare_u64);
    return ns[n / 20];
}

/* GFLOP/s now; 0 when the tier has no such loop. */
static double peak_once(enum ifd_tier tier)
{
#if defined(__x86_64__)
    if (tier == IFD_TIER_REF)
        return 0;
    uint64_t begin = ifd_clock_ns(); /* tens of microseconds: the best of many is undisturbed */
    if (tier == IFD_TIER_AVX512)
        peak_avx512();
    else
        peak_avx2();
    uint64_t ns = ifd_clock_ns() - begin;
    return 2.0 * 12 * PEAK_ROUNDS * (tier == IFD_TIER_AVX512 ? 16 : 8) / (double)(ns ? ns : 1);
#else
    (void)tier;
    return 0;
#endif
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

static void bench_gemm(const struct ifd_kernels *kernels, double seconds)
{
    uint64_t seed = 1;
    const size_t ld_max = K_MAX + 16;
    float *a = filled(M_MAX * ld_max, &seed), *c = filled(M_MAX * ld_max, &seed);
    float *b = filled(WEIGHTS_FLOATS, &seed), *bias = filled(4096, &seed);
    uint64_t *ns = ifd_zalloc_array(RUNS_MAX, sizeof(*ns));
    if (!ns) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    printf("%s: GFLOP/s by M (share of the peak seen in turns with it)\n%12s", kernels->name,
           "N x K");
    for (size_t i = 0; i < COUNT(m_list); i++)
        printf(" %11zu", m_list[i]);
    printf("\n");
    for (size_t s = 0; s < COUNT(nk_list); s++) {
        size_t n = nk_list[s][0], k = nk_list[s][1], one = ifd_packed_floats(n, k, kernels->nr);
        size_t copies = WEIGHTS_FLOATS / one, copy = 0;
        printf("%6zux%-5zu", n, k);
        for (size_t i = 0; i < COUNT(m_list); i++) {
            struct ifd_gemm_f32 g = {.m = m_list[i],
                                     .n = n,
                                     .k = k,
                                     .a = a,
                                     .lda = k + 16,
                                     .c = c,
                                     .ldc = n + 16,
                                     .bias = bias,
                                     .epilogue = n > k && n % 1152 != 0 && n % 2304 != 0
                                                     ? IFD_EPI_BIAS_GELU
                                                     : IFD_EPI_BIAS};
            double peak = 0;
            size_t runs = 0;
            uint64_t end = ifd_clock_ns() + (uint64_t)(seconds * 1e9);
            do {
                double p = peak_once(kernels->tier);
                peak = p > peak ? p : peak;
                for (int r = 0; r < 4 && runs < RUNS_MAX; r++) {
                    g.b = b + copy++ % copies * one;
                    uint64_t begin = thread_ns();
                    kernels->gemm_f32(&g, 0, g.m, 0, (n + kernels->nr - 1) / kernels->nr);
                    ns[runs++] = thread_ns() - begin;
                }
            } while (ifd_clock_ns() < end);
            double best = 2.0 * (double)(g.m * n * k) / (double)fast(ns, runs);
            printf(" %6.1f", best);
            if (peak > 0)
                printf(" %3.0f%%", 100 * best / peak);
            fflush(stdout);
        }
        printf("\n");
    }
    ifd_free(a);
    ifd_free(b);
    ifd_free(c);
    ifd_free(bias);
    ifd_free(ns);
}

#define TEXT_TOKENS 24
#define TEXTS_MAX 16

static int bench_forward(const struct ifd_kernels *kernels, unsigned threads, double seconds)
{
    static const struct random_shape minilm = {.arch = IFD_ARCH_BERT,
                                               .storage = IFD_STORE_F16,
                                               .layers = 6,
                                               .hidden = 384,
                                               .heads = 12,
                                               .ffn = 1536,
                                               .vocab = 30522,
                                               .positions = 512,
                                               .labels = 2};
    static const size_t batches[] = {1, 16};
    struct ifd_weights *w;
    inferd_error err;
    struct ifd_scratch *scratch = NULL;
    struct ifd_team *team = NULL;
    w = random_weights_new(&minilm, kernels, IFD_DTYPE_FP32, 1);
    uint64_t *ns = ifd_zalloc_array(RUNS_MAX, sizeof(*ns));
    if (!ns || (threads > 1 && ifd_team_create(threads, &team, &err)) ||
        ifd_scratch_create(w, TEXT_TOKENS * TEXTS_MAX, TEXTS_MAX, team, &scratch, &err)) {
        fputs("could not set up the forward pass\n", stderr);
        return 1;
    }
    int32_t ids[TEXT_TOKENS * TEXTS_MAX];
    uint32_t offsets[TEXTS_MAX + 1];
    uint64_t seed = 2;
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
        while (runs < RUNS_MAX && ifd_clock_ns() < end) {
            double p = peak_once(kernels->tier);
            peak = p > peak ? p : peak;
            uint64_t begin = threads > 1 ? ifd_clock_ns() : thread_ns();
            ifd_forward(scratch, &batch, logits);
            ns[runs++] = (threads > 1 ? ifd_clock_ns() : thread_ns()) - begin;
        }
        double quick = (double)fast(ns, runs);
        /* multiply-adds that are needed: the last layer's Q, output and feed-forward once a text */
        double h = 384, f = 1536, t = TEXT_TOKENS, x = (double)batches[i];
        double layer = 4 * h * h + 2 * h * f + 2 * t * h;
        double flops =
            2 * x * (5 * t * layer + t * (2 * h * h) + 2 * t * h + 2 * h * h + 2 * h * f);
        printf("%s forward 6x384, %zu texts of %d tokens, %u thread(s): fast %.3f ms, median %.3f "
               "ms (%zu runs), %.1f GFLOP/s",
               kernels->name, batches[i], TEXT_TOKENS, threads, quick * 1e-6,
               (double)ns[runs / 2] * 1e-6, runs, flops / quick);
        if (peak > 0)
            printf(", %.0f%% of one core's peak", 100 * flops / quick / peak);
        printf("\n");
    }
    ifd_scratch_free(scratch);
    ifd_team_free(team);
    ifd_free(ns);
    ifd_weights_free(w);
    return 0;
}

static void nothing(void *arg, unsigned member, unsigned members)
{
    (void)arg;
    (void)member;
    (void)members;
}

/* What a step that is split over a team costs beyond its work. */
static int bench_team(void)
{
    enum { RUNS = 20000 };
    for (unsigned members = 1; members <= 4; members *= 2) {
        inferd_error err;
        struct ifd_team *team = NULL;
        if (ifd_team_create(members, &team, &err))
            return 1;
        uint64_t least = UINT64_MAX;
        for (int i = 0; i < RUNS; i++) {
            uint64_t begin = ifd_clock_ns();
            ifd_team_run(team, nothing, NULL);
            uint64_t ns = ifd_clock_ns() - begin;
            least = ns < least ? ns : least;
        }
        printf("team of %u: an empty run takes at least %llu ns\n", members,
               (unsigned long long)least);
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
        if (all || strcmp(what, "peak") == 0) {
            double peak = 0;
            for (int r = 0; r < 2000; r++) {
                double p = peak_once(tier);
                peak = p > peak ? p : peak;
            }
            printf("%s: peak %.1f GFLOP/s\n", kernels->name, peak);
        }
        if (all || strcmp(what, "gemm") == 0)
            bench_gemm(kernels, seconds);
        for (unsigned threads = 1; threads <= 2 && (all || strcmp(what, "forward") == 0); threads++)
            rc |= bench_forward(kernels, threads, 20 * seconds);
    }
    return rc;
}
