/* SPDX-License-Identifier: Apache-2.0
 *
 * pull.h - a model from a hub into a directory: the commit, the files that a load reads, each with
 * its digest, and the whole put in place at once with a SHA256SUMS that `inferd serve` checks.
 *
 * A transfer that ends early is taken up where it was, up to IFD_PULL_TRIES times without a byte
 * gained; 408, 429 and 5xx are waited for as Retry-After says. A file whose digest is wrong is
 * thrown away and, where it was put together of pieces, fetched once more from its beginning.
 */
#ifndef IFD_PULL_PULL_H
#define IFD_PULL_PULL_H

#include "pull/fetch.h"
#include "pull/store.h"

#define IFD_PULL_TRIES 5u
#define IFD_PULL_WAIT_MOST_S 120u

struct ifd_pull {
    struct ifd_fetch *fetch;
    struct ifd_store *store;
    const char *id, *revision;
    bool offline;
    /* how a person follows it; each may be NULL */
    void (*note)(const char *message);
    void (*progress)(const char *file, uint64_t bytes, uint64_t of, bool has_total);
};

/* store->model is then the directory. INFERD_IO: the hub did not answer, or the disk; NOT_FOUND and
 * UNAUTHORIZED: what the hub said, with what to do; MODEL_UNSUPPORTED: it has not what a load
 * needs; MODEL_INVALID: bytes are not what their digest says. */
IFD_MUST_CHECK inferd_status ifd_pull(struct ifd_pull *p, inferd_error *err);
/* Was the last failure the disk's? */
bool ifd_pull_failed_on_disk(void);

#endif
