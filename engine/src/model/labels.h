/* SPDX-License-Identifier: Apache-2.0
 *
 * labels.h - the label names of config.json: id2label, num_labels, or transformers' default of two.
 * Pure functions over a parsed document.
 */
#ifndef IFD_MODEL_LABELS_H
#define IFD_MODEL_LABELS_H

#include <stdint.h>

#include "base/jsondoc.h"

/* Names by index: [*count] strings, each not empty, without NUL, unique. Free with ifd_labels_free.
 */
IFD_MUST_CHECK inferd_status ifd_labels_read(const struct ifd_json_node *root, char ***out,
                                             uint32_t *count, inferd_error *err);
/* Accepts NULL and half-filled lists. */
void ifd_labels_free(char **label, uint32_t count);

#endif
