/* SPDX-License-Identifier: Apache-2.0
 *
 * store.h - where fetched models are kept, and how one becomes visible: whole or not at all.
 *
 *     CACHE/ORGANISATION--NAME/refs/REVISION          the commit that it was, last time
 *     CACHE/ORGANISATION--NAME/COMMIT.part/NAME/...   on its way; FILE.part within
 *     CACHE/ORGANISATION--NAME/COMMIT/NAME/...        finished: a rename of the whole
 *
 * One pull at a time has a commit's lock; others wait. Messages name the path.
 */
#ifndef IFD_PULL_STORE_H
#define IFD_PULL_STORE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct ifd_store {
    char repository[PATH_MAX]; /* of the cache; "" with --output */
    char name[128];            /* the last component: what the model is called */
    char part[PATH_MAX];       /* the directory that is filled */
    char staged[PATH_MAX];     /* what is renamed: `part` or the directory above it */
    char final[PATH_MAX];      /* what it becomes */
    char model[PATH_MAX];      /* the finished model directory */
    int lock;                  /* -1: none */
};

/* Paths for `id`; `cache` NULL: the default place. INFERD_IO when there is no home, or a path is
 * too long. */
IFD_MUST_CHECK inferd_status ifd_store_open_cache(struct ifd_store *s, const char *cache,
                                                  const char *id, inferd_error *err);
/* The directory `output`, which must not exist. */
IFD_MUST_CHECK inferd_status ifd_store_open_output(struct ifd_store *s, const char *output,
                                                   inferd_error *err);
/* The commit is known: sets the paths. */
IFD_MUST_CHECK inferd_status ifd_store_commit(struct ifd_store *s, const char *commit,
                                              inferd_error *err);
/* Is it there, finished? */
bool ifd_store_has(const struct ifd_store *s);
/* Makes the directories and takes the lock. `waiting` is called before it waits for another. */
IFD_MUST_CHECK inferd_status ifd_store_begin(struct ifd_store *s, void (*waiting)(void),
                                             inferd_error *err);
/* Takes the directories away again, as far as they are empty. */
void ifd_store_undo(const struct ifd_store *s);
/* Everything to the disk, then the rename. */
IFD_MUST_CHECK inferd_status ifd_store_finish(struct ifd_store *s, inferd_error *err);
void ifd_store_close(struct ifd_store *s);

/* The commit that `revision` was when it was last seen; false when it never was. */
bool ifd_store_read_ref(const struct ifd_store *s, const char *revision, char commit[65]);
IFD_MUST_CHECK inferd_status ifd_store_write_ref(const struct ifd_store *s, const char *revision,
                                                 const char *commit, inferd_error *err);
/* Bytes that the file system of the directory being filled still takes from us; UINT64_MAX when it
 * does not tell. */
uint64_t ifd_store_free_bytes(const struct ifd_store *s);

#endif
