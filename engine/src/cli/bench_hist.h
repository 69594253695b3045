/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_hist.h - a log-linear histogram of nanoseconds, after Gil Tene's HdrHistogram: each power
 * of two is cut into 128 equal buckets, so a value read back is within 0.4 % of what went in, from
 * 1 ns to 18 minutes, in 34 KiB and without allocation. One owner at a time.
 */
#ifndef IFD_CLI_BENCH_HIST_H
#define IFD_CLI_BENCH_HIST_H

#include <stdint.h>

#define IFD_BENCH_HIST_BITS 7u /* 2^7 buckets per power of two */
#define IFD_BENCH_HIST_TOP 40u /* 2^40 ns and more go to the last bucket; `max_ns` stays exact */
#define IFD_BENCH_HIST_BUCKETS \
    ((IFD_BENCH_HIST_TOP - IFD_BENCH_HIST_BITS + 1) << IFD_BENCH_HIST_BITS)

/* All zero is empty. */
struct ifd_bench_hist {
    uint64_t count, sum_ns, min_ns, max_ns;
    uint64_t bucket[IFD_BENCH_HIST_BUCKETS];
};

void ifd_bench_hist_clear(struct ifd_bench_hist *h);
void ifd_bench_hist_add(struct ifd_bench_hist *h, uint64_t ns);
/* The value that `ppm` millionths of all values do not exceed (500000: the median); 0 when empty.
 */
uint64_t ifd_bench_hist_percentile(const struct ifd_bench_hist *h, uint32_t ppm);
double ifd_bench_hist_mean(const struct ifd_bench_hist *h); /* ns; 0 when empty */

#endif
