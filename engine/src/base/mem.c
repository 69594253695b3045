/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/pace.h"

#define HUGE_PAGE ((size_t)2 << 20)
#define PIECE HUGE_PAGE /* of a large block between two calls of ifd_pace */

static _Atomic uint64_t calls;
static _Atomic uint64_t fail_at = UINT64_MAX;
static _Atomic bool fail_sticky;

/* Relaxed is enough: the counters order nothing, and the fault hook is set while one thread runs.
 */
static bool refuse(void)
{
    uint64_t n = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    uint64_t at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (at == UINT64_MAX || n < at)
        return false;
    return n == at || atomic_load_explicit(&fail_sticky, memory_order_relaxed);
}

void *ifd_alloc(size_t size)
{
    return refuse() ? NULL : malloc(size ? size : 1);
}

void *ifd_zalloc(size_t size)
{
    return refuse() ? NULL : calloc(1, size ? size : 1);
}

void *ifd_realloc(void *p, size_t size)
{
    return refuse() ? NULL : realloc(p, size ? size : 1);
}

void *ifd_alloc_array(size_t count, size_t size)
{
    size_t bytes;
    return ifd_size_mul(count, size, &bytes) ? ifd_alloc(bytes) : NULL;
}

void *ifd_zalloc_array(size_t count, size_t size)
{
    size_t bytes;
    return ifd_size_mul(count, size, &bytes) ? ifd_zalloc(bytes) : NULL;
}

void *ifd_zalloc_aligned(size_t size)
{
    size_t align = size >= 2 * HUGE_PAGE ? HUGE_PAGE : IFD_CACHE_LINE;
    size_t padded;
    if (refuse() || !ifd_size_add(size ? size : 1, align - 1, &padded))
        return NULL;
    padded -= padded % align;
    void *p = aligned_alloc(align, padded);
    if (!p)
        return NULL;
    if (align == HUGE_PAGE)
        (void)madvise(p, padded,
                      MADV_HUGEPAGE); /* fewer TLB misses on weights; a refusal is fine */
    for (size_t at = 0; at < padded; at += PIECE) {
        memset((char *)p + at, 0, padded - at < PIECE ? padded - at : PIECE);
        ifd_pace();
    }
    return p;
}

void ifd_free_aligned(void *p, size_t size)
{
    /* What is given back beforehand, a piece at a time, the one call in free() has not to do.
     * Blocks below this are reused by the allocator, and what is given back would be faulted in
     * again. */
    if (p && size >= 2 * HUGE_PAGE) {
        for (size_t at = 0; at + PIECE <= size; at += PIECE) {
            (void)madvise((char *)p + at, PIECE, MADV_DONTNEED);
            ifd_pace();
        }
    }
    free(p);
}

void ifd_free(void *p)
{
    free(p);
}

char *ifd_strndup(const char *s, size_t n)
{
    char *p = ifd_alloc(n + 1);
    if (!p)
        return NULL;
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

uint64_t ifd_mem_calls(void)
{
    return atomic_load_explicit(&calls, memory_order_relaxed);
}

void ifd_mem_fail_after(uint64_t after, bool sticky)
{
    uint64_t now = atomic_load_explicit(&calls, memory_order_relaxed);
    atomic_store_explicit(&fail_sticky, sticky, memory_order_relaxed);
    atomic_store_explicit(&fail_at, after == UINT64_MAX ? UINT64_MAX : now + after,
                          memory_order_relaxed);
}
