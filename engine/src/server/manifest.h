/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.h - which bytes a model is: the SHA-256 of every file that a load reads.
 *
 * A manifest is what `sha256sum` prints, a line "<64 hex digits>  <name>" per file, kept in the
 * model directory as SHA256SUMS, so `sha256sum -c SHA256SUMS` checks it too. A model's digest is
 * "sha256:" and the SHA-256 of the manifest's canonical text: the files that a load reads and no
 * others, sorted by name. It is the same whether the file is there or not, and changes with any bit
 * that could change an answer.
 *
 * One thread at a time; no globals. Reads go through base/file, so they count as progress.
 */
#ifndef IFD_SERVER_MANIFEST_H
#define IFD_SERVER_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "server/sha256.h"

#define IFD_MANIFEST_NAME "SHA256SUMS"
#define IFD_MANIFEST_BYTES_MAX ((size_t)1 << 20)
#define IFD_DIGEST_SIZE (7u + IFD_SHA256_HEX + 1u) /* "sha256:", hex, NUL */

struct ifd_manifest_entry {
    char *name; /* a plain name inside the directory; owned */
    uint64_t bytes;
    uint8_t sha256[IFD_SHA256_BYTES];
    /* private: which file it was, so that one replaced meanwhile is noticed */
    uint64_t device, inode;
    int64_t changed_s, changed_ns;
};

struct ifd_manifest {
    size_t count;
    struct ifd_manifest_entry *entry; /* [count], sorted by name */
    char digest[IFD_DIGEST_SIZE];     /* set by hash */
};

/* List the files that a load of `dir` reads; nothing is read but a shard index. Their total size is
 * in *bytes. INFERD_MODEL_INVALID when one is missing. Free with ifd_manifest_fini. */
IFD_MUST_CHECK inferd_status ifd_manifest_list(const char *dir, struct ifd_manifest *out,
                                               uint64_t *bytes, inferd_error *err);
/* Hash what is listed and set the digest. */
IFD_MUST_CHECK inferd_status ifd_manifest_hash(const char *dir, struct ifd_manifest *m,
                                               inferd_error *err);
/* Compare with the directory's SHA256SUMS. *present says whether there is one; without it all is
 * well. INFERD_MODEL_INVALID, with the file's name, when a file that a load reads differs or is not
 * listed, when a listed one is missing, or when a line is malformed. Listed files that no load
 * reads only have to be there. */
IFD_MUST_CHECK inferd_status ifd_manifest_check(const char *dir, const struct ifd_manifest *m,
                                                bool *present, inferd_error *err);
/* INFERD_MODEL_INVALID if a hashed file is not the same any more, by its identity, size and time of
 * change: for after a load, so that what was checked is what was loaded. */
IFD_MUST_CHECK inferd_status ifd_manifest_unchanged(const char *dir, const struct ifd_manifest *m,
                                                    inferd_error *err);
/* The canonical text. */
void ifd_manifest_text(const struct ifd_manifest *m, struct ifd_buf *out);
/* Write it into the directory, whole or not at all. */
IFD_MUST_CHECK inferd_status ifd_manifest_write(const char *dir, const struct ifd_manifest *m,
                                                inferd_error *err);
/* Accepts a zeroed one. */
void ifd_manifest_fini(struct ifd_manifest *m);

/* The check's pure half, for tests and fuzzing: the text of a SHA256SUMS against a manifest.
 * missing(dir, name) says whether a listed file is not there; messages begin with `path`. */
IFD_MUST_CHECK inferd_status ifd_manifest_compare(
    const char *path, const char *text, size_t size, const struct ifd_manifest *m,
    bool (*missing)(const char *dir, const char *name), const char *dir, inferd_error *err);

#endif
