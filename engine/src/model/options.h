/* SPDX-License-Identifier: Apache-2.0
 *
 * options.h - copying the caller's sized structs, so that a program built against an older or a
 * newer header works or is told why not.
 */
#ifndef IFD_MODEL_OPTIONS_H
#define IFD_MODEL_OPTIONS_H

#include <stddef.h>

#include "base/err.h"

#define IFD_OPTIONS_BYTES_MAX 4096u

/* `from` (NULL: all defaults) begins with its size_t struct_size. What is shorter than `size` is
 * filled with zeros; what is longer must be zero past it, as this version would ignore it. */
IFD_MUST_CHECK inferd_status ifd_options_copy(const char *what, const void *from, void *to,
                                              size_t size, inferd_error *err);
/* The other way: figures of `size` bytes into the caller's struct, which says its own size. What is
 * longer than `size` is zeroed. A size that no version has gets nothing: writing would be wild. */
void ifd_figures_copy(void *to, const void *from, size_t size);

#endif
