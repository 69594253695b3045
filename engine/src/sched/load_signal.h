/* SPDX-License-Identifier: Apache-2.0
 *
 * load_signal.h - one number to scale on: how much of the compute threads is spoken for.
 *
 *     saturation = busy share of the compute threads over the window
 *                + estimated wait of the queue / IFD_LOAD_HORIZON_NS
 *
 * 0 is idle. 1.0 is at capacity: every thread busy all of the time and nothing waiting. Beyond it
 * the queue holds work: 1.3 means that 0.3 s of work wait for threads that are all busy. As long
 * as more comes than is served, it grows. It has no unit and does not depend on the model, the
 * machine or the number of threads, so one target (0.7, say) suits every deployment.
 *
 * The window is what lies between now and a sample at least IFD_LOAD_WINDOW_NS old; samples are
 * taken by reads, at most one a second, so that several scrapers do not disturb each other and an
 * idle process has no timer. Thread-safe: a mutex that only readers of the signal take.
 */
#ifndef IFD_SCHED_LOAD_SIGNAL_H
#define IFD_SCHED_LOAD_SIGNAL_H

#include <pthread.h>
#include <stdint.h>

#define IFD_LOAD_HORIZON_NS UINT64_C(1000000000)
#define IFD_LOAD_WINDOW_NS UINT64_C(5000000000)
#define IFD_LOAD_APART_NS UINT64_C(1000000000)
#define IFD_LOAD_SAMPLES 8u

/* Totals since the start at one moment. */
struct ifd_load_sample {
    uint64_t at_ns;
    uint64_t busy_ns; /* of all compute threads together */
    uint64_t tokens;  /* computed */
};

struct ifd_load_signal {
    pthread_mutex_t lock;
    unsigned threads;
    struct ifd_load_sample ring[IFD_LOAD_SAMPLES]; /* lock; oldest first */
    unsigned samples;                              /* lock */
};

struct ifd_load_reading {
    double busy_ratio;       /* 0..1 */
    double wait_s;           /* until what is queued now has been computed, estimated */
    double saturation_ratio; /* see above */
};

void ifd_load_signal_init(struct ifd_load_signal *s, unsigned threads, uint64_t now_ns);
void ifd_load_signal_fini(struct ifd_load_signal *s);
/* What the totals of now and the tokens waiting say. */
struct ifd_load_reading ifd_load_signal_read(struct ifd_load_signal *s, struct ifd_load_sample now,
                                             uint64_t queued_tokens);

#endif
