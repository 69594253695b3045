/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/load_signal.h"

#include <string.h>

void ifd_load_signal_init(struct ifd_load_signal *s, unsigned threads, uint64_t now_ns)
{
    memset(s, 0, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    s->threads = threads;
    s->ring[0].at_ns = now_ns;
    s->samples = 1;
}

void ifd_load_signal_fini(struct ifd_load_signal *s)
{
    pthread_mutex_destroy(&s->lock);
}

/* The youngest sample that is a whole window old, else the oldest there is. */
static struct ifd_load_sample base_of(const struct ifd_load_signal *s, uint64_t now_ns)
{
    unsigned i = s->samples;
    while (--i > 0 && s->ring[i].at_ns + IFD_LOAD_WINDOW_NS > now_ns)
        ;
    return s->ring[i];
}

static void keep(struct ifd_load_signal *s, const struct ifd_load_sample *now)
{
    if (now->at_ns < s->ring[s->samples - 1].at_ns + IFD_LOAD_APART_NS)
        return;
    if (s->samples == IFD_LOAD_SAMPLES) {
        memmove(s->ring, s->ring + 1, (IFD_LOAD_SAMPLES - 1) * sizeof(s->ring[0]));
        s->samples--;
    }
    s->ring[s->samples++] = *now;
}

struct ifd_load_reading ifd_load_signal_read(struct ifd_load_signal *s, struct ifd_load_sample now,
                                             uint64_t queued_tokens)
{
    pthread_mutex_lock(&s->lock);
    const struct ifd_load_sample base = base_of(s, now.at_ns);
    keep(s, &now);
    pthread_mutex_unlock(&s->lock);

    struct ifd_load_reading load = {0};
    const double threads = (double)s->threads;
    const double busy_ns = now.busy_ns > base.busy_ns ? (double)(now.busy_ns - base.busy_ns) : 0.0;
    if (now.at_ns > base.at_ns)
        load.busy_ratio = busy_ns / (threads * (double)(now.at_ns - base.at_ns));
    if (load.busy_ratio > 1.0)
        load.busy_ratio = 1.0; /* counters are read one after the other */
    /* what a token costs now, or since the start when none was computed in the window */
    double token_ns = 0.0;
    if (now.tokens > base.tokens)
        token_ns = busy_ns / (double)(now.tokens - base.tokens);
    else if (now.tokens > 0)
        token_ns = (double)now.busy_ns / (double)now.tokens;
    load.wait_s = (double)queued_tokens * token_ns / threads / 1e9;
    load.saturation_ratio = load.busy_ratio + load.wait_s * 1e9 / (double)IFD_LOAD_HORIZON_NS;
    return load;
}
