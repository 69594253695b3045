/* SPDX-License-Identifier: Apache-2.0
 *
 * sha256.h - SHA-256 (FIPS 180-4) by OpenSSL's libcrypto, which has this CPU's instructions for it.
 *
 * One owner at a time; no globals of ours. libcrypto's own state is set up once per process without
 * reading its configuration file: no digest of ours depends on it, and a server that starts in
 * hundredths of a second has no time for it.
 */
#ifndef IFD_SERVER_SHA256_H
#define IFD_SERVER_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define IFD_SHA256_BYTES 32u
#define IFD_SHA256_HEX 64u

struct ifd_sha256 {
    void *context; /* private */
};

/* INFERD_NO_MEMORY or INFERD_INTERNAL (a libcrypto without SHA-256). Free with fini. */
IFD_MUST_CHECK inferd_status ifd_sha256_init(struct ifd_sha256 *h, inferd_error *err);
/* Start again. */
IFD_MUST_CHECK inferd_status ifd_sha256_begin(struct ifd_sha256 *h, inferd_error *err);
IFD_MUST_CHECK inferd_status ifd_sha256_add(struct ifd_sha256 *h, const void *bytes, size_t n,
                                            inferd_error *err);
IFD_MUST_CHECK inferd_status ifd_sha256_end(struct ifd_sha256 *h, uint8_t out[IFD_SHA256_BYTES],
                                            inferd_error *err);
/* Accepts a zeroed one. */
void ifd_sha256_fini(struct ifd_sha256 *h);

/* Lower-case hexadecimal and a NUL. */
void ifd_sha256_hex(const uint8_t digest[IFD_SHA256_BYTES], char out[IFD_SHA256_HEX + 1]);

#endif
