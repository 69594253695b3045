/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admin_keys.h"

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

static inferd_status add_line(const char *path, unsigned number, const char *line, size_t n,
                              struct ifd_admin_keys *k, inferd_error *err)
{
    if (n > 0 && line[n - 1] == '\r')
        n--;
    if (n == 0 || line[0] == '#')
        return INFERD_OK;
    if (n < IFD_ADMIN_KEY_LEAST || n > IFD_ADMIN_KEY_MOST)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "--admin-key-file %s: the key in line %u has %zu characters; %u to %u are "
                        "needed, from a random source",
                        path, number, n, IFD_ADMIN_KEY_LEAST, IFD_ADMIN_KEY_MOST);
    for (size_t i = 0; i < n; i++)
        if (line[i] <= ' ' || line[i] > '~')
            return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                            "--admin-key-file %s: the key in line %u has a character that is not "
                            "printable ASCII, or a space",
                            path, number);
    if (k->count == IFD_ADMIN_KEYS_MAX)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "--admin-key-file %s: more than %u keys",
                        path, IFD_ADMIN_KEYS_MAX);
    memcpy(k->key[k->count++], line, n);
    return INFERD_OK;
}

inferd_status ifd_admin_keys_read(const char *path, struct ifd_admin_keys *out, inferd_error *err)
{
    struct ifd_admin_keys k = {0};
    char *text = NULL;
    size_t size = 0;
    unsigned number = 1;
    inferd_status st = ifd_file_slurp(path, FILE_BYTES_MAX, &text, &size, err);
    if (st) { /* the file is an option's value: say so, whatever was wrong with it */
        st = ifd_fail_prefix(err, "--admin-key-file");
        return st == INFERD_NO_MEMORY ? st : (err->status = INFERD_INVALID_ARGUMENT);
    }
    k.key = ifd_zalloc_array(IFD_ADMIN_KEYS_MAX, sizeof(*k.key));
    if (!k.key)
        st = ifd_fail(err, INFERD_NO_MEMORY, "no memory for the keys");
    for (size_t at = 0; at < size && !st; number++) {
        const char *end = memchr(text + at, '\n', size - at);
        const size_t n = end ? (size_t)(end - (text + at)) : size - at;
        st = add_line(path, number, text + at, n, &k, err);
        at += n + 1;
    }
    if (!st && k.count == 0)
        st = ifd_fail(err, INFERD_INVALID_ARGUMENT, "--admin-key-file %s holds no key", path);
    wipe(text, size);
    ifd_free(text);
    if (st)
        ifd_admin_keys_fini(&k);
    else
        *out = k;
    return st;
}

void ifd_admin_keys_fini(struct ifd_admin_keys *k)
{
    if (k->key)
        wipe(k->key, IFD_ADMIN_KEYS_MAX * sizeof(*k->key));
    ifd_free(k->key);
    *k = (struct ifd_admin_keys){0};
}

bool ifd_admin_keys_match(const struct ifd_admin_keys *k, const char *authorization)
{
    static const char scheme[] = "bearer";
    const size_t skip = sizeof(scheme) - 1;
    if (!authorization || strlen(authorization) <= skip || authorization[skip] != ' ' ||
        !ifd_http_same(authorization, skip, scheme))
        return false;
    const char *token = authorization + skip;
    while (*token == ' ')
        token++;
    const size_t n = strlen(token);
    if (n > IFD_ADMIN_KEY_MOST) /* tells only the limit, which the documents tell too */
        return false;
    unsigned char padded[IFD_ADMIN_KEY_MOST + 1] = {0};
    memcpy(padded, token, n);
    unsigned matches = 0;
    for (size_t i = 0; i < k->count; i++) {
        /* every byte of every key, whatever came before: no early way out to be timed */
        volatile unsigned char differ = 0;
        for (size_t b = 0; b < sizeof(padded); b++)
            differ = (unsigned char)(differ | (padded[b] ^ k->key[i][b]));
        matches |= (unsigned)(differ == 0);
    }
    wipe(padded, sizeof(padded));
    return matches != 0;
}
