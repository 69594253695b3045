/* SPDX-License-Identifier: Apache-2.0
 *
 * guarded.h - buffers that end at a page nobody may touch, so that a read or write past a stated
 * size is a crash of the test; and what the kernel tests share.
 */
#ifndef IFD_TESTS_GUARDED_H
#define IFD_TESTS_GUARDED_H

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels/kernels.h"
#include "test.h"

struct guarded {
    char *map;
    size_t map_bytes;
    float *data; /* its last float is the last before the guard page */
};

static inline struct guarded guarded_floats(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = n * sizeof(float);
    size_t pages = (bytes + page - 1) / page + 1;
    struct guarded g = {.map_bytes = (pages + 1) * page};
    g.map = mmap(NULL, g.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect(g.map + pages * page, page, PROT_NONE), 0);
    g.data = (float *)(void *)(g.map + pages * page - bytes);
    return g;
}

static inline void guarded_free(struct guarded *g)
{
    munmap(g->map, g->map_bytes);
}

/* uniform in -1 .. 1 */
static inline float noise(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(*state >> 40) * 0x1p-23f - 1.0f;
}

static inline void noise_fill(float *p, size_t n, uint64_t *state)
{
    for (size_t i = 0; i < n; i++)
        p[i] = noise(state);
}

/* The tiers that this machine can run. */
static inline size_t tiers_here(const struct ifd_kernels *out[IFD_TIER_COUNT])
{
    size_t n = 0;
    for (int t = 0; t < IFD_TIER_COUNT; t++)
        if (ifd_cpu_has((enum ifd_tier)t) && ifd_kernels_get((enum ifd_tier)t))
            out[n++] = ifd_kernels_get((enum ifd_tier)t);
    return n;
}

/* Those among them that promise the same bits in fp32 and int8: all but `ref`. */
static inline size_t vector_tiers_here(const struct ifd_kernels *out[IFD_TIER_COUNT])
{
    const struct ifd_kernels *all[IFD_TIER_COUNT];
    size_t n = 0, count = tiers_here(all);
    for (size_t i = 0; i < count; i++)
        if (all[i]->tier != IFD_TIER_REF)
            out[n++] = all[i];
    return n;
}

/* n bytes up to a guard page, beginning at a cache line: n is a multiple of 64. */
static inline struct guarded guarded_bytes(size_t n)
{
    assert_int_equal(n % 64, 0);
    return guarded_floats(n / sizeof(float));
}

/* w[n][k] packed for `nr`, ending at a guard page. */
static inline struct guarded guarded_pack(const float *w, size_t n, size_t k, size_t nr)
{
    struct guarded g = guarded_floats(ifd_packed_floats(n, k, nr));
    for (size_t p = 0; p * nr < n; p++)
        ifd_pack_panel_f32(w + p * nr * k, n - p * nr < nr ? n - p * nr : nr, k, nr, p, g.data);
    return g;
}

#endif
