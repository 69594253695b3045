/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics_text.h - Prometheus' text exposition format 0.0.4, or OpenMetrics 1.0.0, written into a
 * buffer. Pure; failure shows in the buffer.
 *
 * The two differ in the names of counter families (OpenMetrics: without _total), in the last line,
 * and in exemplars, which only OpenMetrics has. A counter without that ending, or of the name of
 * the gauge before it but for that, is `unknown` in OpenMetrics: its samples keep their name.
 *
 * A family is begun once and all its samples follow. Label values are escaped, and bytes that are
 * not UTF-8 become '?'; names are the caller's constants.
 */
#ifndef IFD_SERVER_METRICS_TEXT_H
#define IFD_SERVER_METRICS_TEXT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/hist.h"
#include "server/exemplars.h"

#define IFD_METRICS_MEDIA_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define IFD_OPENMETRICS_MEDIA_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

enum ifd_mtype { IFD_MTYPE_COUNTER, IFD_MTYPE_GAUGE, IFD_MTYPE_HISTOGRAM };

struct ifd_mlabel {
    const char *key, *value;
};

struct ifd_mtext {
    struct ifd_buf *out;
    bool open_metrics;
    /* of the next histogram: [its buckets], or NULL; shown in OpenMetrics */
    const struct ifd_exemplar *exemplars;
    const char *name; /* of the family in hand */
};

void ifd_mtext_family(struct ifd_mtext *m, enum ifd_mtype type, const char *name, const char *help);
void ifd_mtext_u64(struct ifd_mtext *m, const struct ifd_mlabel *labels, unsigned count,
                   uint64_t value);
void ifd_mtext_f64(struct ifd_mtext *m, const struct ifd_mlabel *labels, unsigned count,
                   double value);
/* value / 10^decimals, exact. */
void ifd_mtext_scaled(struct ifd_mtext *m, const struct ifd_mlabel *labels, unsigned count,
                      uint64_t value, unsigned decimals);
/* All buckets, +Inf, sum and count. v->scale must be set. */
void ifd_mtext_hist(struct ifd_mtext *m, const struct ifd_mlabel *labels, unsigned count,
                    const struct ifd_hist_view *v);

/* Whole families of one series without labels. */
void ifd_mtext_counter(struct ifd_mtext *m, const char *name, const char *help, uint64_t value);
void ifd_mtext_histogram(struct ifd_mtext *m, const char *name, const char *help,
                         const struct ifd_hist_view *v);

/* The last line, where the format has one. */
void ifd_mtext_end(struct ifd_mtext *m);

#endif
