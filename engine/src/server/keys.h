/* SPDX-License-Identifier: Apache-2.0
 *
 * keys.h - the keys of --api-key-file and --admin-key-file.
 *
 * A key per line, 16 to 255 printable characters without spaces; empty lines and lines that begin
 * with # are left out. Several keys are for several clients, and for changing them one after the
 * other. Only their SHA-256 is kept, and a comparison takes the same time whatever the key that was
 * presented: it compares digests, all of them to their ends.
 *
 * One owner at a time; the server's lock guards the sets in use.
 */
#ifndef IFD_SERVER_KEYS_H
#define IFD_SERVER_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "server/sha256.h"

#define IFD_KEY_LEAST 16u
#define IFD_KEY_MOST 255u
#define IFD_KEYS_MAX 64u

struct ifd_keys {
    size_t count;
    uint8_t (*digest)[IFD_SHA256_BYTES]; /* [count] */
};

/* INFERD_INVALID_ARGUMENT or INFERD_IO with the option, the file's name, and never a key's text.
 * Free with fini. */
IFD_MUST_CHECK inferd_status ifd_keys_read(const char *option, const char *path,
                                           struct ifd_keys *out, inferd_error *err);
/* Accepts a zeroed one. */
void ifd_keys_fini(struct ifd_keys *k);
/* The digest of the key in `authorization`, the header's value or NULL. False unless it is "Bearer
 * " and something that could be a key. */
bool ifd_keys_present(struct ifd_sha256 *sha, const char *authorization,
                      uint8_t digest[IFD_SHA256_BYTES]);
/* Is it the digest of one of the keys? */
bool ifd_keys_match(const struct ifd_keys *k, const uint8_t digest[IFD_SHA256_BYTES]);

#endif
