/* SPDX-License-Identifier: Apache-2.0
 *
 * jsonout.h - writing JSON into a bounded buffer. Failure shows in buf->failed.
 */
#ifndef IFD_BASE_JSONOUT_H
#define IFD_BASE_JSONOUT_H

#include "base/buf.h"

/* "..." with quotes; bytes must be valid UTF-8. Escapes ", \ and controls; others stay as they are.
 */
void ifd_jsonout_str(struct ifd_buf *b, const char *s, size_t n);
void ifd_jsonout_cstr(struct ifd_buf *b, const char *s);
/* Shortest of %.9g-style texts that reads back as the same float; NaN and infinities become null.
 * Locale-independent. */
void ifd_jsonout_float(struct ifd_buf *b, float v);
/* `digits` decimals (0..9), rounded to nearest. */
void ifd_jsonout_fixed(struct ifd_buf *b, double v, int digits);

#endif
