/* SPDX-License-Identifier: Apache-2.0
 *
 * file.h - reading files of a model directory by position.
 *
 * Weights are read with pread into bounded staging memory and packed from there, not mapped: a
 * mapped file that somebody truncates kills the process with SIGBUS, and a library must not install
 * a handler for that. With pread the same accident is an error with the file's name, and the page
 * cache, not this process, holds the file's pages, so loading has no double-memory spike either.
 * Messages name the path.
 */
#ifndef IFD_BASE_FILE_H
#define IFD_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ifd_file {
    int fd;
    uint64_t size; /* at open */
    char *path;    /* owned */
};

/* Regular files only; INFERD_NOT_FOUND when there is none of that name, else INFERD_IO. */
IFD_MUST_CHECK inferd_status ifd_file_open(const char *path, struct ifd_file *out,
                                           inferd_error *err);
void ifd_file_close(struct ifd_file *f); /* accepts a zeroed or closed file */
/* Exactly n bytes at offset; a file that ends earlier is INFERD_MODEL_INVALID ("was cut"). */
IFD_MUST_CHECK inferd_status ifd_file_read(const struct ifd_file *f, uint64_t offset, void *to,
                                           size_t n, inferd_error *err);
/* Somebody outside follows what one thread reads: how much it was, and whether it may go on.
 * Relaxed: nothing else is published through these. */
struct ifd_file_watch {
    _Atomic uint64_t bytes;
    _Atomic bool give_up; /* every further read fails with INFERD_CANCELLED */
};
/* For this thread, from now on; NULL ends it. So a load can be followed, and stopped, without every
 * reader between knowing about it. The watch outlives the reads. */
void ifd_file_set_watch(struct ifd_file_watch *watch);
/* The whole file, at most `max` bytes, NUL-terminated after *size bytes; free with ifd_free. */
IFD_MUST_CHECK inferd_status ifd_file_slurp(const char *path, size_t max, char **data, size_t *size,
                                            inferd_error *err);

#endif
