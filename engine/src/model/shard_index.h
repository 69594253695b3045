/* SPDX-License-Identifier: Apache-2.0
 *
 * shard_index.h - model.safetensors.index.json: which file holds which tensor. Pure over bytes.
 */
#ifndef IFD_MODEL_SHARD_INDEX_H
#define IFD_MODEL_SHARD_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/jsondoc.h"

struct ifd_shard_entry {
    const char *tensor;
    uint32_t file; /* index into ifd_shard_index.file */
};

struct ifd_shard_index {
    size_t files, count;
    const char **file;             /* [files], plain names inside the directory, each once */
    struct ifd_shard_entry *entry; /* [count], sorted by tensor name */
    /* private */
    struct ifd_jsondoc *doc; /* holds the strings */
};

/* Free with ifd_shard_index_free. */
IFD_MUST_CHECK inferd_status ifd_shard_index_parse(const char *json, size_t size,
                                                   struct ifd_shard_index *out, inferd_error *err);
/* Accepts a zeroed one. */
void ifd_shard_index_free(struct ifd_shard_index *x);
const struct ifd_shard_entry *ifd_shard_index_find(const struct ifd_shard_index *x,
                                                   const char *tensor);

#endif
