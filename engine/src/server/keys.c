/* SPDX-License-Identifier: Apache-2.0 */
#include "server/keys.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "server/http_chars.h"

#define FILE_BYTES_MAX ((size_t)64 << 10)

/* Not optimised away before a free. */
static void wipe(void *bytes, size_t n)
{
    volatile unsigned char *at = bytes;
    while (n-- > 0)
        *at++ = 0;
}

static inferd_status digest_of(struct ifd_sha256 *sha, const char *key, size_t n,
                               uint8_t out[IFD_SHA256_BYTES], inferd_error *err)
{
    inferd_status st = ifd_sha256_begin(sha, err);
    if (!st)
        st = ifd_sha256_add(sha, key, n, err);
    return st ? st : ifd_sha256_end(sha, out, err);
}

static inferd_status add_line(const char *option, const char *path, unsigned number,
                              const char *line, size_t n, struct ifd_sha256 *sha,
                              struct ifd_keys *k, inferd_error *err)
{
    if (n > 0 && line[n - 1] == '\r')
        n--;
    if (n == 0 || line[0] == '#')
        return INFERD_OK;
    if (n < IFD_KEY_LEAST || n > IFD_KEY_MOST)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "%s %s: the key in line %u has %zu characters; %u to %u are "
                        "needed, from a random source",
                        option, path, number, n, IFD_KEY_LEAST, IFD_KEY_MOST);
    for (size_t i = 0; i < n; i++)
        if (line[i] <= ' ' || line[i] > '~')
            return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                            "%s %s: the key in line %u has a character that is not "
                            "printable ASCII, or a space",
                            option, path, number);
    if (k->count == IFD_KEYS_MAX)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "%s %s: more than %u keys", option, path,
                        IFD_KEYS_MAX);
    return digest_of(sha, line, n, k->digest[k->count++], err);
}

inferd_status ifd_keys_read(const char *option, const char *path, struct ifd_keys *out,
                            inferd_error *err)
{
    struct ifd_keys k = {0};
    char *text = NULL;
    size_t size = 0;
    unsigned number = 1;
    inferd_status st = ifd_file_slurp(path, FILE_BYTES_MAX, &text, &size, err);
    if (st) { /* the file is an option's value: say so, whatever was wrong with it */
        st = ifd_fail_prefix(err, "%s", option);
        return st == INFERD_NO_MEMORY ? st : (err->status = INFERD_INVALID_ARGUMENT);
    }
    struct ifd_sha256 sha = {0};
    st = ifd_sha256_init(&sha, err);
    k.digest = ifd_zalloc_array(IFD_KEYS_MAX, sizeof(*k.digest));
    if (!st && !k.digest)
        st = ifd_fail(err, INFERD_NO_MEMORY, "no memory for the keys");
    for (size_t at = 0; at < size && !st; number++) {
        const char *end = memchr(text + at, '\n', size - at);
        const size_t n = end ? (size_t)(end - (text + at)) : size - at;
        st = add_line(option, path, number, text + at, n, &sha, &k, err);
        at += n + 1;
    }
    ifd_sha256_fini(&sha);
    if (!st && k.count == 0)
        st = ifd_fail(err, INFERD_INVALID_ARGUMENT, "%s %s holds no key", option, path);
    wipe(text, size);
    ifd_free(text);
    if (st)
        ifd_keys_fini(&k);
    else
        *out = k;
    return st;
}

void ifd_keys_fini(struct ifd_keys *k)
{
    ifd_free(k->digest);
    *k = (struct ifd_keys){0};
}

bool ifd_keys_present(struct ifd_sha256 *sha, const char *authorization,
                      uint8_t digest[IFD_SHA256_BYTES])
{
    static const char scheme[] = "bearer";
    const size_t skip = sizeof(scheme) - 1;
    inferd_error err;
    if (!authorization || strlen(authorization) <= skip || authorization[skip] != ' ' ||
        !ifd_http_same(authorization, skip, scheme))
        return false;
    const char *token = authorization + skip;
    while (*token == ' ')
        token++;
    const size_t n = strlen(token);
    if (n > IFD_KEY_MOST) /* tells only the limit, which the documents tell too */
        return false;
    return digest_of(sha, token, n, digest, &err) == INFERD_OK;
}

bool ifd_keys_match(const struct ifd_keys *k, const uint8_t digest[IFD_SHA256_BYTES])
{
    unsigned matches = 0;
    for (size_t i = 0; i < k->count; i++) {
        /* every byte of every digest, whatever came before: no early way out to be timed */
        volatile unsigned char differ = 0;
        for (size_t b = 0; b < IFD_SHA256_BYTES; b++)
            differ = (unsigned char)(differ | (digest[b] ^ k->digest[i][b]));
        matches |= (unsigned)(differ == 0);
    }
    return matches != 0;
}
