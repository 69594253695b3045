/* SPDX-License-Identifier: Apache-2.0
 *
 * digest.h - the two digests by which a hub names a file's bytes: SHA-256 of a large one (Git LFS
 * object id), and the SHA-1 of a git blob ("blob SIZE\0" and the bytes) of one kept in git itself.
 */
#ifndef IFD_PULL_DIGEST_H
#define IFD_PULL_DIGEST_H

#include <stdint.h>

#include "base/err.h"

#define IFD_DIGEST_HEX 64u

struct ifd_digests {
    uint64_t bytes;
    char sha256[IFD_DIGEST_HEX + 1]; /* lower-case hex */
    char git[41];
};

/* Reads the whole file. INFERD_IO, INFERD_INTERNAL (a libcrypto that lacks one of them). */
IFD_MUST_CHECK inferd_status ifd_digest_file(int fd, const char *path, struct ifd_digests *out,
                                             inferd_error *err);

#endif
