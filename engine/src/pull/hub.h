/* SPDX-License-Identifier: Apache-2.0
 *
 * hub.h - what a hub says about a repository, as the files that a load reads. Pure functions over
 * its JSON: nothing here touches the network or the disk.
 *
 * Source: the Hugging Face Hub's API, GET /api/models/ID/revision/REVISION?blobs=true, and Git LFS.
 * Only names that a load asks for are taken from the hub's list; names of shards come from the
 * index and are checked by the reader that the engine itself uses.
 */
#ifndef IFD_PULL_HUB_H
#define IFD_PULL_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/jsondoc.h"

#define IFD_HUB_FILES_MAX 1024u
#define IFD_HUB_NAME_SIZE 256u

struct ifd_hub_file {
    char name[IFD_HUB_NAME_SIZE]; /* a plain name */
    uint64_t bytes;
    bool has_bytes;
    char digest[65]; /* 64 hex digits: SHA-256; 40: git blob; "": not told (yet) */
};

struct ifd_hub_plan {
    char commit[65];
    size_t count;
    struct ifd_hub_file *file; /* [IFD_HUB_FILES_MAX] */
    bool sharded;              /* the last file is the index: see add_shards */
    /* private */
    struct ifd_jsondoc *doc;
};

/* The hub's answer about `id`. INFERD_MODEL_UNSUPPORTED when it has not what a load needs, with
 * what it has instead; INFERD_INVALID_JSON. Free with fini. */
IFD_MUST_CHECK inferd_status ifd_hub_plan_make(const char *id, const char *json, size_t size,
                                               struct ifd_hub_plan *out, inferd_error *err);
/* The shards that the index names, from the hub's list. */
IFD_MUST_CHECK inferd_status ifd_hub_plan_add_shards(struct ifd_hub_plan *plan, const char *index,
                                                     size_t size, inferd_error *err);
/* Accepts a zeroed one. */
void ifd_hub_plan_fini(struct ifd_hub_plan *plan);

/* An ETag as a digest: quotes and W/ are taken off. False when it is none. */
bool ifd_hub_digest_of_etag(const char *etag, char out[65]);

#endif
