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
/* From now on, what this thread reads is added to *bytes as well; NULL stops it. For telling how
 * far a load has come without every reader knowing about it; the counter outlives the reads. */
void ifd_file_count_reads(_Atomic uint64_t *bytes);
/* The whole file, at most `max` bytes, NUL-terminated after *size bytes; free with ifd_free. */
IFD_MUST_CHECK inferd_status ifd_file_slurp(const char *path, size_t max, char **data, size_t *size,
                                            inferd_error *err);

#endif
