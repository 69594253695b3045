/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_peak.h - what a core can do at most: a loop of independent multiply-adds on registers.
 */
#ifndef IFD_BENCH_PEAK_H
#define IFD_BENCH_PEAK_H

#include "kernels/kernels.h"

/* GOP/s now, of the instruction that the tier's products in this dtype are made of; one run of tens
 * of microseconds, of which the best of many is undisturbed. 0 where there is no such loop. */
double bench_peak(enum ifd_tier tier, enum ifd_dtype dtype);

#endif
