/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_arrivals.h - when the requests of an open loop are due, and the random numbers for it.
 *
 * A stream is a few numbers and gives the same times for the same seed. A client that is behind
 * therefore needs no queue of due times: it walks a second stream for what it has sent.
 */
#ifndef IFD_CLI_BENCH_ARRIVALS_H
#define IFD_CLI_BENCH_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>

struct ifd_bench_arrivals {
    /* private */
    uint64_t random, count;
    double interval_ns, at_ns;
    bool poisson;
};

/* `rate` per second, > 0. Poisson: exponentially distributed gaps; else equal ones. */
void ifd_bench_arrivals_init(struct ifd_bench_arrivals *a, double rate, bool poisson,
                             uint64_t seed);
/* Nanoseconds after the start of the next arrival; never goes back. */
uint64_t ifd_bench_arrivals_next(struct ifd_bench_arrivals *a);

/* splitmix64: the next of a sequence whose state is *state. */
uint64_t ifd_bench_random(uint64_t *state);

#endif
