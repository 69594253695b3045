/* SPDX-License-Identifier: Apache-2.0
 *
 * truncation.h - what is done with a text that has more tokens than the model takes.
 *
 * Here, in the lowest room, because a codec reads it from a request, an option sets the default,
 * and the text room acts on it. Pure.
 */
#ifndef IFD_BASE_TRUNCATION_H
#define IFD_BASE_TRUNCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum ifd_truncation {
    IFD_TRUNCATION_RIGHT,       /* keep the beginning */
    IFD_TRUNCATION_LEFT,        /* keep the end */
    IFD_TRUNCATION_NONE,        /* refuse the request */
    IFD_TRUNCATION_HEAD_TAIL,   /* keep a quarter from the beginning, the rest from the end: after
                                 * Sun et al. 2019, "How to Fine-Tune BERT for Text
                                 * Classification?", who keep 128 and 382 of 510 */
    IFD_TRUNCATION_WINDOW_MEAN, /* compute all of it in windows; a label's logit is the mean */
    IFD_TRUNCATION_WINDOW_MAX,  /* the same; a label's logit is the largest */
    IFD_TRUNCATIONS
};
extern const char *const ifd_truncation_names[IFD_TRUNCATIONS];

/* False, and *out as it was, if name[0 .. n) is none of the names. */
IFD_MUST_CHECK bool ifd_truncation_parse(const char *name, size_t n, uint8_t *out);

#endif
