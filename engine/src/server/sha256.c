/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sha256.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

static inferd_status failed(inferd_error *err)
{
    return ifd_fail(err, INFERD_INTERNAL,
                    "libcrypto gives no SHA-256; is it a build that forbids it?");
}

inferd_status ifd_sha256_init(struct ifd_sha256 *h, inferd_error *err)
{
    /* idempotent and thread-safe; fails only when libcrypto is being torn down */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
        return failed(err);
    h->context = EVP_MD_CTX_new();
    if (!h->context)
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for a digest");
    return ifd_sha256_begin(h, err);
}

inferd_status ifd_sha256_begin(struct ifd_sha256 *h, inferd_error *err)
{
    return EVP_DigestInit_ex(h->context, EVP_sha256(), NULL) == 1 ? INFERD_OK : failed(err);
}

inferd_status ifd_sha256_add(struct ifd_sha256 *h, const void *bytes, size_t n, inferd_error *err)
{
    return EVP_DigestUpdate(h->context, bytes, n) == 1 ? INFERD_OK : failed(err);
}

inferd_status ifd_sha256_end(struct ifd_sha256 *h, uint8_t out[IFD_SHA256_BYTES], inferd_error *err)
{
    return EVP_DigestFinal_ex(h->context, out, NULL) == 1 ? INFERD_OK : failed(err);
}

void ifd_sha256_fini(struct ifd_sha256 *h)
{
    EVP_MD_CTX_free(h->context);
    h->context = NULL;
}

void ifd_sha256_hex(const uint8_t digest[IFD_SHA256_BYTES], char out[IFD_SHA256_HEX + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < IFD_SHA256_BYTES; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[IFD_SHA256_HEX] = '\0';
}
