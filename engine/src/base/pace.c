/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pace.h"

#include <stdint.h>
#include <time.h>

#include "base/clock.h"

static _Thread_local unsigned rest_times;
static _Thread_local uint64_t rested_at_ns; /* this thread's processor time */

void ifd_pace_set(unsigned rest)
{
    rest_times = rest;
    rested_at_ns = ifd_clock_thread_ns();
}

void ifd_pace(void)
{
    if (rest_times == 0)
        return;
    const uint64_t now = ifd_clock_thread_ns(), ran = now - rested_at_ns;
    if (ran < IFD_PACE_RUN_NS)
        return;
    const uint64_t ns = ran * rest_times;
    const struct timespec pause = {.tv_sec = (time_t)(ns / 1000000000u),
                                   .tv_nsec = (long)(ns % 1000000000u)};
    (void)nanosleep(&pause, NULL); /* a signal that ends it early does no harm */
    rested_at_ns = now;
}
