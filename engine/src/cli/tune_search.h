/* SPDX-License-Identifier: Apache-2.0
 *
 * tune_search.h - the search of `inferd tune`: which setting carries the highest rate that meets a
 * latency goal? The measuring is a function of the caller's, so that the search can be tested on
 * servers of known behaviour.
 *
 * For one setting: the rate is doubled or halved until one meets the goal and one does not, then
 * bisected until they are within IFD_TUNE_WITHIN. A miss counts when it comes twice. Another
 * setting is first measured a little above the best rate so far, and dropped if it does not meet
 * the goal there: one measurement.
 */
#ifndef IFD_CLI_TUNE_SEARCH_H
#define IFD_CLI_TUNE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define IFD_TUNE_WITHIN 1.08
#define IFD_TUNE_BETTER 1.05 /* another setting must carry so much more */

struct ifd_tune_setting {
    uint32_t threads, max_batch_tokens;
};

struct ifd_tune_figures {
    double rate;       /* offered, requests per second */
    double answered;   /* with 2xx, per second */
    double goal_ms;    /* the goal's percentile of the answered ones, from when they were due */
    double median_ms;  /* of the same */
    double lost_share; /* of the requests: refused, failed, late */
};

struct ifd_tune_goal {
    uint32_t ppm; /* 990000: p99 */
    double ms;
    double lost_share; /* no more than this */
};

typedef inferd_status ifd_tune_measure_fn(void *ctx, const struct ifd_tune_setting *setting,
                                          double rate, struct ifd_tune_figures *out,
                                          inferd_error *err);

bool ifd_tune_meets(const struct ifd_tune_goal *goal, const struct ifd_tune_figures *f);

/* The highest rate of one setting, beginning at `start`; out->rate 0 when none down to `least`
 * meets the goal. */
IFD_MUST_CHECK inferd_status ifd_tune_rate(const struct ifd_tune_goal *goal,
                                           const struct ifd_tune_setting *setting, double start,
                                           double least, ifd_tune_measure_fn *measure, void *ctx,
                                           struct ifd_tune_figures *out, inferd_error *err);
/* The best of settings[0 .. count), the first of which is the default, whose figures are *preset.
 * *best is its index. */
IFD_MUST_CHECK inferd_status ifd_tune_search(const struct ifd_tune_goal *goal,
                                             const struct ifd_tune_setting *settings, size_t count,
                                             double start, double least,
                                             ifd_tune_measure_fn *measure, void *ctx,
                                             struct ifd_tune_figures *preset, size_t *best,
                                             struct ifd_tune_figures *out, inferd_error *err);

#endif
