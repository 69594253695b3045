/* SPDX-License-Identifier: Apache-2.0
 *
 * clock.h - monotonic time and the calling thread's processor time, in nanoseconds; thread-safe.
 */
#ifndef IFD_BASE_CLOCK_H
#define IFD_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t ifd_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t ifd_clock_thread_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
