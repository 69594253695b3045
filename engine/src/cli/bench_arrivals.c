/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_arrivals.h"

#include <math.h>

uint64_t ifd_bench_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void ifd_bench_arrivals_init(struct ifd_bench_arrivals *a, double rate, bool poisson, uint64_t seed)
{
    *a = (struct ifd_bench_arrivals){.random = seed, .interval_ns = 1e9 / rate, .poisson = poisson};
}

uint64_t ifd_bench_arrivals_next(struct ifd_bench_arrivals *a)
{
    if (!a->poisson) /* a product, not a sum: no rounding adds up */
        return (uint64_t)((double)a->count++ * a->interval_ns);
    /* uniform in (0, 1]: 53 bits, never 0, so that the logarithm is finite */
    double u = ((double)(ifd_bench_random(&a->random) >> 11) + 1.0) * 0x1p-53;
    a->at_ns += -log(u) * a->interval_ns;
    return (uint64_t)a->at_ns;
}
