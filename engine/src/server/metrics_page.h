/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics_page.h - GET /metrics: adds up what the threads have counted. docs/metrics.md lists it.
 */
#ifndef IFD_SERVER_METRICS_PAGE_H
#define IFD_SERVER_METRICS_PAGE_H

#include "server/io.h"

/* A route's page: appends, returns 200. Any I/O thread; takes the scheduler's lock for an instant
 * and stops nobody. Some 60 KB of text, under a millisecond, whatever the connections. */
int ifd_metrics_page(struct ifd_io *io, struct ifd_buf *body);
/* The same in OpenMetrics, with exemplars. */
int ifd_metrics_open_page(struct ifd_io *io, struct ifd_buf *body);
/* One log line: how all requests ended. After the I/O threads have ended, so it is exact. */
void ifd_metrics_log_totals(const struct ifd_server *s);

/* One histogram of all I/O threads; `field` is its offset in struct ifd_metrics_io. */
void ifd_metrics_page_view(const struct ifd_server *s, size_t field, struct ifd_hist_view *v);
/* The same of an _Atomic uint64_t there; and of a histogram in the workers' ifd_batch_stats. */
uint64_t ifd_metrics_page_sum(const struct ifd_server *s, size_t field);
void ifd_metrics_page_batch_view(const struct ifd_server *s, size_t field, struct ifd_hist_view *v);

/* metrics_tei.c */
struct ifd_mtext;
void ifd_metrics_tei(struct ifd_mtext *m, const struct ifd_server *s);

#endif
