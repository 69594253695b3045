/* SPDX-License-Identifier: Apache-2.0
 *
 * lines.h - lines of a stream, read in chunks with bounded memory.
 *
 * Only LF ends a line; it is not part of it. CR, tabs, NULs, U+0085, U+2028 are data, and an empty
 * line is a line. What follows the last LF is a line if it is not empty. One owner at a time.
 */
#ifndef IFD_CLI_LINES_H
#define IFD_CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct ifd_lines {
    uint64_t number; /* of the line that ifd_lines_next gave last, from 1 */
    /* private */
    int fd;
    bool eof;
    size_t at, scanned; /* in buf: start of the next line; no LF before `scanned` */
    size_t line_max;
    struct ifd_buf buf;
};

/* Reads `fd`, which stays the caller's. Lines may have up to line_max bytes. */
void ifd_lines_init(struct ifd_lines *l, int fd, size_t line_max);
void ifd_lines_fini(struct ifd_lines *l);
/* The next line, valid until the next call; *line is NULL at the end. INFERD_INVALID_REQUEST for a
 * line that is too long (names its number), INFERD_IO when reading fails. */
IFD_MUST_CHECK inferd_status ifd_lines_next(struct ifd_lines *l, const char **line, size_t *size,
                                            inferd_error *err);
/* Whether the next call would return without waiting for the other end of a pipe or a terminal. */
bool ifd_lines_ready(struct ifd_lines *l);

#endif
