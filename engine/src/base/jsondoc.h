/* SPDX-License-Identifier: Apache-2.0
 *
 * jsondoc.h - a read-only JSON tree in one allocation family, for files of a model directory.
 *
 * Built on json.h, and stricter by one rule: an object with the same key twice is refused, as the
 * second would silently win in one reader and the first in another.
 * Nodes live until ifd_jsondoc_free. Read-only after parsing: any number of threads may read.
 */
#ifndef IFD_BASE_JSONDOC_H
#define IFD_BASE_JSONDOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum ifd_json_type {
    IFD_JSON_T_NULL,
    IFD_JSON_T_BOOL,
    IFD_JSON_T_NUMBER,
    IFD_JSON_T_STRING,
    IFD_JSON_T_ARRAY,
    IFD_JSON_T_OBJECT,
};

struct ifd_json_node {
    enum ifd_json_type type;
    bool boolean;
    size_t size;      /* bytes of `text`, or number of children */
    const char *text; /* STRING: decoded; NUMBER: its text. NUL-terminated (may hold NULs inside) */
    const char *key;  /* for a member of an object; NUL-terminated */
    size_t key_size;
    const struct ifd_json_node *first; /* first child, or NULL */
    const struct ifd_json_node *next;  /* next sibling, or NULL */
};

struct ifd_jsondoc;

/* Parse `bytes` whole (not kept). memory_max bounds what the tree may take. */
IFD_MUST_CHECK inferd_status ifd_jsondoc_parse(const char *bytes, size_t n, size_t memory_max,
                                               struct ifd_jsondoc **out, inferd_error *err);
void ifd_jsondoc_free(struct ifd_jsondoc *doc);
const struct ifd_json_node *ifd_jsondoc_root(const struct ifd_jsondoc *doc);

/* Member of an object by key, or NULL (also when `object` is NULL or not an object). Linear. */
const struct ifd_json_node *ifd_json_get(const struct ifd_json_node *object, const char *key);
bool ifd_json_is_str(const struct ifd_json_node *node, const char *s);
/* Non-negative integer without fraction or exponent that fits; false otherwise (also for NULL). */
IFD_MUST_CHECK bool ifd_json_u64(const struct ifd_json_node *node, uint64_t *out);
/* Finite double, by strtod in the C locale's grammar (the text is already valid JSON). */
IFD_MUST_CHECK bool ifd_json_double(const struct ifd_json_node *node, double *out);

#endif
