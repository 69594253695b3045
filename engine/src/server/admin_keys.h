/* SPDX-License-Identifier: Apache-2.0
 *
 * admin_keys.h - who may change the server: the keys of --admin-key-file.
 *
 * A key per line, 16 to 255 printable characters without spaces; empty lines and lines that begin
 * with # are left out. Several keys are for changing them one after the other. A comparison takes
 * the same time whatever the key that was presented and however much of it is right.
 *
 * One owner at a time; the server's lock guards the set in use.
 */
#ifndef IFD_SERVER_ADMIN_KEYS_H
#define IFD_SERVER_ADMIN_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define IFD_ADMIN_KEY_LEAST 16u
#define IFD_ADMIN_KEY_MOST 255u
#define IFD_ADMIN_KEYS_MAX 64u

struct ifd_admin_keys {
    size_t count;
    unsigned char (*key)[IFD_ADMIN_KEY_MOST + 1]; /* [count], padded with zeros */
};

/* INFERD_INVALID_ARGUMENT or INFERD_IO with the file's name and never a key's text. Free with
 * fini. */
IFD_MUST_CHECK inferd_status ifd_admin_keys_read(const char *path, struct ifd_admin_keys *out,
                                                 inferd_error *err);
/* Overwrites the keys first. Accepts a zeroed one. */
void ifd_admin_keys_fini(struct ifd_admin_keys *k);
/* Is `authorization`, the header's value or NULL, "Bearer " and one of the keys? */
bool ifd_admin_keys_match(const struct ifd_admin_keys *k, const char *authorization);

#endif
