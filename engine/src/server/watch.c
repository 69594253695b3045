/* SPDX-License-Identifier: Apache-2.0 */
#include "server/watch.h"

#include <stddef.h>

void ifd_watch_init(struct ifd_watch *w, const char *path)
{
    *w = (struct ifd_watch){.path = path};
    (void)ifd_watch_changed(w);
}

bool ifd_watch_changed(struct ifd_watch *w)
{
    struct stat now;
    if (!w->path || stat(w->path, &now) != 0)
        return false; /* gone, or about to be replaced */
    const bool same = w->there && w->device == now.st_dev && w->inode == now.st_ino &&
                      w->size == now.st_size && w->changed.tv_sec == now.st_mtim.tv_sec &&
                      w->changed.tv_nsec == now.st_mtim.tv_nsec;
    w->there = true;
    w->device = now.st_dev;
    w->inode = now.st_ino;
    w->size = now.st_size;
    w->changed = now.st_mtim;
    return !same;
}
