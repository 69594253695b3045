/* SPDX-License-Identifier: Apache-2.0
 *
 * watch.h - files that the operator may change while the server runs: keys and certificates. They
 * are looked at once a second (a Kubernetes Secret changes by a symbolic link further up, which a
 * notification of the file itself does not tell). I/O thread 0.
 */
#ifndef IFD_SERVER_WATCH_H
#define IFD_SERVER_WATCH_H

#include <stdbool.h>
#include <sys/stat.h>

#define IFD_WATCH_PERIOD_MS 1000u

struct ifd_watch {
    const char *path; /* NULL: nothing to watch */
    bool there;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

void ifd_watch_init(struct ifd_watch *w, const char *path);
/* Is the file there, and another than at the last look? */
bool ifd_watch_changed(struct ifd_watch *w);

#endif
