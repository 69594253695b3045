/* SPDX-License-Identifier: Apache-2.0
 *
 * exemplars.h - for each bucket of a latency histogram the last traced request that fell into it,
 * so that a dashboard leads from a slow bucket to a trace. One of these per I/O thread; a lock is
 * taken for traced requests alone, and by a scrape that shows exemplars.
 */
#ifndef IFD_SERVER_EXEMPLARS_H
#define IFD_SERVER_EXEMPLARS_H

#include <pthread.h>

#include "base/hist.h"
#include "server/ident.h"

#define IFD_EXEMPLARS (IFD_HIST_BOUNDS_MAX + 1)

struct ifd_exemplar {
    char trace[IFD_TRACE_ID_SIZE + 1]; /* "" : none */
    uint64_t value;                    /* in the scale's unit */
    uint64_t unix_s;
};

struct ifd_exemplars {
    pthread_mutex_t lock;
    struct ifd_exemplar at[IFD_EXEMPLARS]; /* lock; by bucket */
};

void ifd_exemplars_init(struct ifd_exemplars *e);
void ifd_exemplars_fini(struct ifd_exemplars *e);
/* `trace`: a whole trace id. */
void ifd_exemplars_keep(struct ifd_exemplars *e, const struct ifd_hist_scale *scale,
                        const char *trace, uint64_t value, uint64_t unix_s);
/* Into all[IFD_EXEMPLARS] what is later than what is there. */
void ifd_exemplars_merge(struct ifd_exemplars *e, struct ifd_exemplar *all);

#endif
