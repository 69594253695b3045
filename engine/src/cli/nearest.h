/* SPDX-License-Identifier: Apache-2.0
 *
 * nearest.h - "did you mean": the name that a mistyped one is closest to.
 */
#ifndef IFD_CLI_NEAREST_H
#define IFD_CLI_NEAREST_H

#include <stddef.h>

/* One of names[count], or NULL when none is near: more than a third of it would have to change. A
 * name that `typed` begins, or that begins with it, is near too. Pure. */
const char *ifd_nearest(const char *typed, const char *const *names, size_t count);

#endif
