/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.h - a byte buffer that grows up to a maximum given at its start.
 *
 * Appending past the maximum, or when out of memory, sets `failed` and drops the bytes; later
 * appends do nothing. A writer appends freely and checks `failed` once. One owner at a time.
 */
#ifndef IFD_BASE_BUF_H
#define IFD_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct ifd_buf {
    char *data; /* [size], not NUL-terminated; NULL before the first append */
    size_t size;
    bool failed;
    /* private */
    size_t capacity;
    size_t max;
};

void ifd_buf_init(struct ifd_buf *b, size_t max_bytes);
void ifd_buf_fini(struct ifd_buf *b);
/* Forget the content and the failure; keep the memory. */
void ifd_buf_reset(struct ifd_buf *b);
/* Drop the first n bytes (n <= size). */
void ifd_buf_consume(struct ifd_buf *b, size_t n);
/* Room for n more bytes, and where they go; NULL on failure. Then ifd_buf_commit(b, used). */
IFD_MUST_CHECK char *ifd_buf_reserve(struct ifd_buf *b, size_t n);
void ifd_buf_commit(struct ifd_buf *b, size_t n);
void ifd_buf_add(struct ifd_buf *b, const void *bytes, size_t n);
void ifd_buf_add_str(struct ifd_buf *b, const char *s);
void ifd_buf_add_char(struct ifd_buf *b, char c);
void ifd_buf_printf(struct ifd_buf *b, const char *fmt, ...) IFD_PRINTF(2, 3);
void ifd_buf_vprintf(struct ifd_buf *b, const char *fmt, va_list args);

#endif
