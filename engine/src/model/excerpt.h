/* SPDX-License-Identifier: Apache-2.0
 *
 * excerpt.h - a piece of a file's text that is safe to put in a message: short, valid UTF-8 if the
 * text was, without control characters.
 *
 *     ifd_fail(err, INFERD_MODEL_INVALID, "tensor %s: ...", ifd_excerpt(name).s);
 */
#ifndef IFD_MODEL_EXCERPT_H
#define IFD_MODEL_EXCERPT_H

#define IFD_EXCERPT_BYTES 128u

struct ifd_excerpt {
    char s[IFD_EXCERPT_BYTES];
};

/* `text` is NUL-terminated; what does not fit becomes "...". */
struct ifd_excerpt ifd_excerpt(const char *text);

#endif
