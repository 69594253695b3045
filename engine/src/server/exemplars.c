/* SPDX-License-Identifier: Apache-2.0 */
#include "server/exemplars.h"

#include <string.h>

void ifd_exemplars_init(struct ifd_exemplars *e)
{
    memset(e->at, 0, sizeof(e->at));
    pthread_mutex_init(&e->lock, NULL);
}

void ifd_exemplars_fini(struct ifd_exemplars *e)
{
    pthread_mutex_destroy(&e->lock);
}

void ifd_exemplars_keep(struct ifd_exemplars *e, const struct ifd_hist_scale *scale,
                        const char *trace, uint64_t value, uint64_t unix_s)
{
    struct ifd_exemplar *x = &e->at[ifd_hist_bucket(scale, value)];
    pthread_mutex_lock(&e->lock);
    memcpy(x->trace, trace, sizeof(x->trace));
    x->value = value;
    x->unix_s = unix_s;
    pthread_mutex_unlock(&e->lock);
}

void ifd_exemplars_merge(struct ifd_exemplars *e, struct ifd_exemplar *all)
{
    pthread_mutex_lock(&e->lock);
    for (unsigned i = 0; i < IFD_EXEMPLARS; i++)
        if (e->at[i].trace[0] && (!all[i].trace[0] || e->at[i].unix_s > all[i].unix_s))
            all[i] = e->at[i];
    pthread_mutex_unlock(&e->lock);
}
