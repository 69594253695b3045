/* SPDX-License-Identifier: Apache-2.0
 *
 * mem.h - all heap use of this project, so that it can be counted and made to fail in tests.
 *
 * Thread-safe. Every size product goes through ifd_size_mul. A check in the test run refuses malloc
 * and its family elsewhere.
 */
#ifndef IFD_BASE_MEM_H
#define IFD_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define IFD_CACHE_LINE 64u

/* NULL when out of memory (or when a test asked for it). Size 0 gives a valid pointer. */
IFD_MUST_CHECK void *ifd_alloc(size_t size);
IFD_MUST_CHECK void *ifd_zalloc(size_t size);
/* On failure the old block stays as it was. */
IFD_MUST_CHECK void *ifd_realloc(void *p, size_t size);
/* count * size bytes, NULL on overflow too; ifd_zalloc_array zeroes. */
IFD_MUST_CHECK void *ifd_alloc_array(size_t count, size_t size);
IFD_MUST_CHECK void *ifd_zalloc_array(size_t count, size_t size);
/* Aligned to 64 bytes and zeroed; large blocks ask for huge pages. Free with ifd_free as well.
 * ifd_free_aligned takes the same size, and works at the thread's pace (pace.h) as allocating does.
 */
IFD_MUST_CHECK void *ifd_zalloc_aligned(size_t size);
void ifd_free_aligned(void *p, size_t size);
void ifd_free(void *p);
IFD_MUST_CHECK char *ifd_strndup(const char *s, size_t n);

/* *out = a * b; false on overflow. */
IFD_MUST_CHECK static inline bool ifd_size_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
IFD_MUST_CHECK static inline bool ifd_size_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* Calls that allocated since the process began: a test of the hot path asserts that it stands
 * still. */
uint64_t ifd_mem_calls(void);
/* Test hook: let `after` allocations succeed, then fail one (`sticky` false) or all that follow.
 * UINT64_MAX switches it off. */
void ifd_mem_fail_after(uint64_t after, bool sticky);

#endif
