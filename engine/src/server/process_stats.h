/* SPDX-License-Identifier: Apache-2.0
 *
 * process_stats.h - what the kernel says about this process, for the process_* metrics.
 */
#ifndef IFD_SERVER_PROCESS_STATS_H
#define IFD_SERVER_PROCESS_STATS_H

#include <stdint.h>

/* A negative number: the kernel does not say (no /proc). */
struct ifd_process_stats {
    double cpu_seconds;
    double start_seconds; /* since the epoch */
    double resident_bytes, virtual_bytes;
    double open_fds, max_fds;
    double threads;
};

/* Any thread; a handful of system calls, whatever the number of connections. No allocation. */
void ifd_process_stats_read(struct ifd_process_stats *out);

#endif
