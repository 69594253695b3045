/* SPDX-License-Identifier: Apache-2.0
 *
 * shadow_figures.h - what a shadow has shown so far: counts per I/O thread, and their sum.
 *
 * One I/O thread writes its counts with relaxed stores; any thread reads. The counts of a thread
 * that has not met the present candidate yet are of an older one and are left out by their id.
 */
#ifndef IFD_SERVER_SHADOW_FIGURES_H
#define IFD_SERVER_SHADOW_FIGURES_H

#include <stdatomic.h>
#include <stdint.h>

struct ifd_server;

/* Quarters of octaves from 1 ns on: a bound is at most 19 % above what it stands for. */
#define IFD_SHADOW_BUCKETS 160u

struct ifd_shadow_latency {
    _Atomic uint64_t count, sum_ns, bucket[IFD_SHADOW_BUCKETS];
};

struct ifd_shadow_counts {
    _Atomic uint64_t id; /* of the candidate that these are about; 0: none */
    _Atomic uint64_t requests, inputs, skipped, disagreements;
    _Atomic uint64_t largest_difference; /* of confidence, in units of 1e-9 */
    struct ifd_shadow_latency active, candidate;
};

struct ifd_latency_figures {
    uint64_t count;
    double mean_s, p50_s, p99_s; /* 0 when count is 0; percentiles are upper bounds */
};

/* Of the last candidate since it was loaded. */
struct ifd_shadow_figures {
    uint64_t requests;         /* compared */
    uint64_t inputs;           /* compared */
    uint64_t skipped;          /* inputs chosen but not compared: too much was under way */
    uint64_t disagreements;    /* inputs whose label differs */
    double largest_difference; /* of the confidences, over the compared inputs */
    /* From the beginning of a request's first batch to the end of its last: not the wait before. */
    struct ifd_latency_figures active, candidate;
};

/* The I/O thread's: */
void ifd_shadow_counts_reset(struct ifd_shadow_counts *c, uint64_t id);
void ifd_shadow_latency_add(struct ifd_shadow_latency *l, uint64_t ns);
/* Any thread: the figures of candidate `id`, over all I/O threads. For /admin/models and for
 * metrics: inferd_shadow_requests_total, _inputs_total, _skipped_inputs_total and
 * _disagreements_total begin at 0 with each candidate. */
void ifd_shadow_figures_get(const struct ifd_server *s, uint64_t id,
                            struct ifd_shadow_figures *out);

/* For tests: which bucket a time falls into, and the largest time of one. */
unsigned ifd_shadow_bucket(uint64_t ns);
uint64_t ifd_shadow_bucket_most(unsigned bucket);

#endif
