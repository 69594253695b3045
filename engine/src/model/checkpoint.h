/* SPDX-License-Identifier: Apache-2.0
 *
 * checkpoint.h - the weight files of a model directory as one list of tensors: model.safetensors,
 * or the shards that model.safetensors.index.json names. When both are there the single file is
 * used, as transformers does.
 *
 * Opening reads and checks headers only. Data is read by position into the caller's memory; a file
 * that shrinks meanwhile is an error with its name. Belongs to one thread.
 */
#ifndef IFD_MODEL_CHECKPOINT_H
#define IFD_MODEL_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "model/safetensors.h"

#define IFD_CHECKPOINT_SHARDS_MAX 256u
#define IFD_CHECKPOINT_INDEX_BYTES_MAX ((size_t)16 << 20)

struct ifd_shard {
    struct ifd_file file;
    struct ifd_st_header header;
    uint64_t data_at; /* where the data section starts in the file */
};

struct ifd_checkpoint_tensor {
    const struct ifd_st_tensor *st;
    const struct ifd_shard *shard;
};

struct ifd_checkpoint {
    size_t shards, count;
    struct ifd_shard *shard;
    struct ifd_checkpoint_tensor *tensor; /* [count], sorted by name, each name once */
};

/* `dir` without a trailing slash. INFERD_MODEL_INVALID when there are no weights or they are
 * damaged. On success free with ifd_checkpoint_close. */
IFD_MUST_CHECK inferd_status ifd_checkpoint_open(const char *dir, struct ifd_checkpoint *out,
                                                 inferd_error *err);
/* Accepts a zeroed one. */
void ifd_checkpoint_close(struct ifd_checkpoint *c);
/* By name, or NULL. */
const struct ifd_checkpoint_tensor *ifd_checkpoint_find(const struct ifd_checkpoint *c,
                                                        const char *name);
/* n bytes from `offset` of a tensor; offset + n must be within it. */
IFD_MUST_CHECK inferd_status ifd_checkpoint_read(const struct ifd_checkpoint_tensor *t,
                                                 uint64_t offset, void *to, size_t n,
                                                 inferd_error *err);

/* dir/name in a new string, NULL when out of memory. */
IFD_MUST_CHECK char *ifd_path_join(const char *dir, const char *name);

#endif
