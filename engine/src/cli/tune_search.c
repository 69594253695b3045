/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tune_search.h"

#include <math.h>

#define RATE_MOST 1e7

bool ifd_tune_meets(const struct ifd_tune_goal *goal, const struct ifd_tune_figures *f)
{
    /* what is not answered has no latency: an answer must exist */
    return f->answered > 0.0 && f->goal_ms <= goal->ms && f->lost_share <= goal->lost_share;
}

/* A miss counts when it comes twice: a pause of the machine is not the setting's. */
static inferd_status measure_twice(const struct ifd_tune_goal *goal,
                                   const struct ifd_tune_setting *setting, double rate,
                                   ifd_tune_measure_fn *measure, void *ctx,
                                   struct ifd_tune_figures *out, inferd_error *err)
{
    inferd_status s = measure(ctx, setting, rate, out, err);
    if (!s && !ifd_tune_meets(goal, out))
        s = measure(ctx, setting, rate, out, err);
    return s;
}

/* Below a rate that misses: half of it, or less where the server answered less. */
static double lower(double missed, double answered, double least)
{
    double rate = missed / 2.0;
    if (answered > 0.0 && answered * 0.9 < rate)
        rate = answered * 0.9;
    return rate > least ? rate : least;
}

inferd_status ifd_tune_rate(const struct ifd_tune_goal *goal,
                            const struct ifd_tune_setting *setting, double start, double least,
                            ifd_tune_measure_fn *measure, void *ctx, struct ifd_tune_figures *out,
                            inferd_error *err)
{
    struct ifd_tune_figures good = {0}, f;
    double low = 0.0, high = 0.0; /* a rate that meets the goal, one that does not */
    for (double rate = start;;) {
        inferd_status s = measure_twice(goal, setting, rate, measure, ctx, &f, err);
        if (s)
            return s;
        if (ifd_tune_meets(goal, &f)) {
            good = f;
            low = rate;
        } else {
            high = rate;
        }
        if (low > 0.0 && high > 0.0 && high <= low * IFD_TUNE_WITHIN)
            break;
        if (low >= RATE_MOST || (low == 0.0 && high <= least))
            break;
        if (high == 0.0)
            rate = low * 2.0;
        else if (low == 0.0)
            rate = lower(high, f.answered, least);
        else
            rate = sqrt(low * high);
    }
    *out = good;
    return INFERD_OK;
}

inferd_status ifd_tune_search(const struct ifd_tune_goal *goal,
                              const struct ifd_tune_setting *settings, size_t count, double start,
                              double least, ifd_tune_measure_fn *measure, void *ctx,
                              struct ifd_tune_figures *preset, size_t *best,
                              struct ifd_tune_figures *out, inferd_error *err)
{
    struct ifd_tune_figures top, f;
    size_t at = 0;
    inferd_status s = ifd_tune_rate(goal, &settings[0], start, least, measure, ctx, &top, err);
    if (!s)
        *preset = top;
    for (size_t i = 1; i < count && !s; i++) {
        if (top.rate > 0.0) {
            s = measure_twice(goal, &settings[i], top.rate * IFD_TUNE_BETTER, measure, ctx, &f,
                              err);
            if (s || !ifd_tune_meets(goal, &f))
                continue;
            s = ifd_tune_rate(goal, &settings[i], top.rate * IFD_TUNE_BETTER * IFD_TUNE_WITHIN,
                              least, measure, ctx, &f, err);
        } else {
            s = ifd_tune_rate(goal, &settings[i], least, least, measure, ctx, &f, err);
        }
        if (!s && f.rate > top.rate) {
            top = f;
            at = i;
        }
    }
    if (s)
        return s;
    *best = at;
    *out = top;
    return INFERD_OK;
}
