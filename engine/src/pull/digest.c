/* SPDX-License-Identifier: Apache-2.0 */
#include "pull/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void hex(const unsigned char *bytes, unsigned n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

static inferd_status add_file(int fd, const char *path, uint64_t size, EVP_MD_CTX *sha256,
                              EVP_MD_CTX *git, inferd_error *err)
{
    static unsigned char piece[1u << 18]; /* one thread uses it */
    for (uint64_t at = 0; at < size;) {
        ssize_t n = pread(fd, piece, sizeof(piece), (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ifd_fail(err, INFERD_IO, "%s: cannot be read back: %s", path,
                            n < 0 ? strerror(errno) : "it was cut");
        if (EVP_DigestUpdate(sha256, piece, (size_t)n) != 1 ||
            EVP_DigestUpdate(git, piece, (size_t)n) != 1)
            return ifd_fail(err, INFERD_INTERNAL, "libcrypto failed to hash");
        at += (uint64_t)n;
    }
    return INFERD_OK;
}

inferd_status ifd_digest_file(int fd, const char *path, struct ifd_digests *out, inferd_error *err)
{
    struct stat st;
    char head[32];
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (fstat(fd, &st) != 0)
        return ifd_fail(err, INFERD_IO, "%s: %s", path, strerror(errno));
    EVP_MD_CTX *sha256 = EVP_MD_CTX_new(), *git = EVP_MD_CTX_new();
    /* the NUL belongs to it */
    int k = snprintf(head, sizeof(head), "blob %lld", (long long)st.st_size);
    inferd_status s = INFERD_OK;
    if (!sha256 || !git || EVP_DigestInit_ex(sha256, EVP_sha256(), NULL) != 1 ||
        EVP_DigestInit_ex(git, EVP_sha1(), NULL) != 1 ||
        EVP_DigestUpdate(git, head, (size_t)k + 1) != 1)
        s = ifd_fail(err, INFERD_INTERNAL, "libcrypto gives no SHA-256 or no SHA-1");
    if (!s)
        s = add_file(fd, path, (uint64_t)st.st_size, sha256, git, err);
    if (!s) {
        out->bytes = (uint64_t)st.st_size;
        if (EVP_DigestFinal_ex(sha256, sum, &n) == 1)
            hex(sum, n, out->sha256);
        if (EVP_DigestFinal_ex(git, sum, &n) == 1)
            hex(sum, n, out->git);
    }
    EVP_MD_CTX_free(sha256);
    EVP_MD_CTX_free(git);
    return s;
}
