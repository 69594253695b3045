/* SPDX-License-Identifier: Apache-2.0 */
#include "server/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "model/checkpoint.h"
#include "model/shard_index.h"

#define CHUNK_BYTES ((size_t)256 << 10)
#define NAME_BYTES_MAX 255u
#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"

static inferd_status no_memory(const char *dir, inferd_error *err)
{
    return ifd_fail(err, INFERD_NO_MEMORY, "%s: out of memory for its manifest", dir);
}

/* --- which files --- */

static bool is_missing(const char *dir, const char *name)
{
    char *path = ifd_path_join(dir, name);
    const bool missing = path && access(path, F_OK) != 0;
    ifd_free(path);
    return missing;
}

static inferd_status add(struct ifd_manifest *m, const char *dir, const char *name,
                         inferd_error *err)
{
    struct ifd_manifest_entry *now =
        ifd_realloc(m->entry, (m->count + 1) * sizeof(*m->entry)); /* a few hundred at most */
    if (!now)
        return no_memory(dir, err);
    m->entry = now;
    char *copy = ifd_strndup(name, strlen(name));
    if (!copy)
        return no_memory(dir, err);
    m->entry[m->count++] = (struct ifd_manifest_entry){.name = copy};
    return INFERD_OK;
}

static inferd_status add_shards(struct ifd_manifest *m, const char *dir, inferd_error *err)
{
    struct ifd_shard_index index = {0};
    char *json = NULL;
    size_t size = 0;
    char *path = ifd_path_join(dir, INDEX);
    if (!path)
        return no_memory(dir, err);
    inferd_status st = ifd_file_slurp(path, IFD_CHECKPOINT_INDEX_BYTES_MAX, &json, &size, err);
    if (!st && (st = ifd_shard_index_parse(json, size, &index, err))) {
        if (st != INFERD_NO_MEMORY && err)
            err->status = st = INFERD_MODEL_INVALID;
        (void)ifd_fail_prefix(err, "%s", path);
    }
    if (!st)
        st = add(m, dir, INDEX, err);
    for (size_t i = 0; i < index.files && !st; i++)
        st = add(m, dir, index.file[i], err);
    ifd_shard_index_free(&index);
    ifd_free(json);
    ifd_free(path);
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ifd_manifest_entry *)a)->name,
                  ((const struct ifd_manifest_entry *)b)->name);
}

/* What the file is now. */
static inferd_status identify(const char *dir, const char *name, struct ifd_manifest_entry *out,
                              inferd_error *err)
{
    struct stat s;
    char *path = ifd_path_join(dir, name);
    if (!path)
        return no_memory(dir, err);
    const int rc = stat(path, &s);
    ifd_free(path);
    if (rc != 0)
        return ifd_fail(err, INFERD_MODEL_INVALID, "%s/%s is missing; fetch the directory again",
                        dir, name);
    out->bytes = (uint64_t)s.st_size;
    out->device = (uint64_t)s.st_dev;
    out->inode = (uint64_t)s.st_ino;
    out->changed_s = s.st_mtim.tv_sec;
    out->changed_ns = s.st_mtim.tv_nsec;
    return INFERD_OK;
}

/* The same choices as model/checkpoint.c and model/inferd.c make. */
static inferd_status list(const char *dir, struct ifd_manifest *m, inferd_error *err)
{
    inferd_status st = add(m, dir, "config.json", err);
    if (!st && !is_missing(dir, "tokenizer.json"))
        st = add(m, dir, "tokenizer.json", err);
    else if (!st) {
        st = add(m, dir, "vocab.txt", err);
        if (!st && !is_missing(dir, "tokenizer_config.json"))
            st = add(m, dir, "tokenizer_config.json", err);
    }
    if (st)
        return st;
    if (is_missing(dir, SINGLE) && !is_missing(dir, INDEX))
        return add_shards(m, dir, err);
    return add(m, dir, SINGLE, err);
}

inferd_status ifd_manifest_list(const char *dir, struct ifd_manifest *out, uint64_t *bytes,
                                inferd_error *err)
{
    struct ifd_manifest m = {0};
    uint64_t total = 0;
    inferd_status st = list(dir, &m, err);
    for (size_t i = 0; i < m.count && !st; i++) {
        st = identify(dir, m.entry[i].name, &m.entry[i], err);
        total += m.entry[i].bytes;
    }
    if (st) {
        ifd_manifest_fini(&m);
        return st;
    }
    qsort(m.entry, m.count, sizeof(*m.entry), by_name);
    *out = m;
    *bytes = total;
    return INFERD_OK;
}

/* --- their digests --- */

static inferd_status hash_file(const char *dir, struct ifd_manifest_entry *e, struct ifd_sha256 *h,
                               char *chunk, inferd_error *err)
{
    struct ifd_file f = {0};
    char *path = ifd_path_join(dir, e->name);
    if (!path)
        return no_memory(dir, err);
    inferd_status st = ifd_file_open(path, &f, err);
    ifd_free(path);
    if (!st)
        st = ifd_sha256_begin(h, err);
    for (uint64_t at = 0; !st && at < f.size;) {
        const size_t n = f.size - at < CHUNK_BYTES ? (size_t)(f.size - at) : CHUNK_BYTES;
        st = ifd_file_read(&f, at, chunk, n, err);
        if (!st)
            st = ifd_sha256_add(h, chunk, n, err);
        at += n;
    }
    if (!st)
        st = ifd_sha256_end(h, e->sha256, err);
    ifd_file_close(&f);
    return st;
}

static inferd_status hash_text(struct ifd_manifest *m, const char *dir, struct ifd_sha256 *h,
                               inferd_error *err)
{
    uint8_t digest[IFD_SHA256_BYTES];
    struct ifd_buf text;
    ifd_buf_init(&text, IFD_MANIFEST_BYTES_MAX);
    ifd_manifest_text(m, &text);
    inferd_status st = text.failed ? no_memory(dir, err) : ifd_sha256_begin(h, err);
    if (!st)
        st = ifd_sha256_add(h, text.data, text.size, err);
    if (!st)
        st = ifd_sha256_end(h, digest, err);
    ifd_buf_fini(&text);
    if (!st) {
        memcpy(m->digest, "sha256:", 7);
        ifd_sha256_hex(digest, m->digest + 7);
    }
    return st;
}

inferd_status ifd_manifest_hash(const char *dir, struct ifd_manifest *m, inferd_error *err)
{
    struct ifd_sha256 h = {0};
    char *chunk = ifd_alloc(CHUNK_BYTES);
    inferd_status st = chunk ? ifd_sha256_init(&h, err) : no_memory(dir, err);
    for (size_t i = 0; i < m->count && !st; i++)
        st = hash_file(dir, &m->entry[i], &h, chunk, err);
    if (!st)
        st = hash_text(m, dir, &h, err);
    ifd_sha256_fini(&h);
    ifd_free(chunk);
    return st;
}

void ifd_manifest_text(const struct ifd_manifest *m, struct ifd_buf *out)
{
    for (size_t i = 0; i < m->count; i++) {
        char hex[IFD_SHA256_HEX + 1];
        ifd_sha256_hex(m->entry[i].sha256, hex);
        ifd_buf_printf(out, "%s  %s\n", hex, m->entry[i].name);
    }
}

/* --- against SHA256SUMS --- */

struct line {
    uint8_t sha256[IFD_SHA256_BYTES];
    char name[NAME_BYTES_MAX + 1];
};

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "<hex>  name", or "<hex> *name" as sha256sum --binary writes it. NULL, or what is wrong. */
static const char *read_line(const char *s, size_t n, struct line *out)
{
    if (n < IFD_SHA256_HEX + 3)
        return "is no \"<sha256>  <name>\"";
    for (size_t i = 0; i < IFD_SHA256_BYTES; i++) {
        const int high = digit(s[2 * i]), low = digit(s[2 * i + 1]);
        if (high < 0 || low < 0)
            return "does not begin with 64 hexadecimal digits";
        out->sha256[i] = (uint8_t)(high * 16 + low);
    }
    s += IFD_SHA256_HEX;
    n -= IFD_SHA256_HEX;
    if (s[0] != ' ' || (s[1] != ' ' && s[1] != '*'))
        return "lacks the two characters between digest and name";
    s += 2;
    n -= 2;
    if (n > NAME_BYTES_MAX)
        return "has a name of more than 255 bytes";
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f || s[i] == '/')
            return "names no plain file of this directory";
    memcpy(out->name, s, n);
    out->name[n] = '\0';
    return NULL;
}

inferd_status ifd_manifest_compare(const char *path, const char *text, size_t size,
                                   const struct ifd_manifest *m,
                                   bool (*missing)(const char *dir, const char *name),
                                   const char *dir, inferd_error *err)
{
    inferd_status st = INFERD_OK;
    unsigned number = 0;
    struct line line;
    bool *seen = ifd_zalloc_array(m->count, sizeof(*seen));
    if (!seen)
        return no_memory(dir, err);
    for (size_t at = 0; at < size && !st;) {
        const char *end = memchr(text + at, '\n', size - at);
        const size_t n = end ? (size_t)(end - (text + at)) : size - at;
        number++;
        const char *why = read_line(text + at, n, &line);
        at += n + 1;
        if (why) {
            st = ifd_fail(err, INFERD_MODEL_INVALID, "%s: line %u %s", path, number, why);
            break;
        }
        size_t i = 0;
        while (i < m->count && strcmp(m->entry[i].name, line.name) != 0)
            i++;
        if (i == m->count) {
            if (missing(dir, line.name))
                st = ifd_fail(err, INFERD_MODEL_INVALID,
                              "%s: line %u names %s, which is missing; fetch the directory again",
                              path, number, line.name);
        } else if (seen[i]) {
            st = ifd_fail(err, INFERD_MODEL_INVALID, "%s: line %u names %s a second time", path,
                          number, line.name);
        } else if (memcmp(m->entry[i].sha256, line.sha256, IFD_SHA256_BYTES) != 0) {
            st = ifd_fail(err, INFERD_MODEL_INVALID,
                          "%s/%s is not the file that " IFD_MANIFEST_NAME " lists: its SHA-256 "
                          "differs; fetch it again",
                          dir, line.name);
        } else {
            seen[i] = true;
        }
    }
    for (size_t i = 0; i < m->count && !st; i++)
        if (!seen[i])
            st = ifd_fail(err, INFERD_MODEL_INVALID, "%s does not list %s, which a load reads",
                          path, m->entry[i].name);
    ifd_free(seen);
    return st;
}

inferd_status ifd_manifest_check(const char *dir, const struct ifd_manifest *m, bool *present,
                                 inferd_error *err)
{
    char *text = NULL;
    size_t size = 0;
    char *path = ifd_path_join(dir, IFD_MANIFEST_NAME);
    if (!path)
        return no_memory(dir, err);
    inferd_status st = ifd_file_slurp(path, IFD_MANIFEST_BYTES_MAX, &text, &size, err);
    if (st == INFERD_NOT_FOUND) {
        *present = false;
        st = INFERD_OK;
    } else if (!st) {
        *present = true;
        st = ifd_manifest_compare(path, text, size, m, is_missing, dir, err);
    }
    ifd_free(text);
    ifd_free(path);
    return st;
}

inferd_status ifd_manifest_unchanged(const char *dir, const struct ifd_manifest *m,
                                     inferd_error *err)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct ifd_manifest_entry *e = &m->entry[i];
        struct ifd_manifest_entry now = {0};
        inferd_status st = identify(dir, e->name, &now, err);
        if (st)
            return st;
        if (now.bytes != e->bytes || now.device != e->device || now.inode != e->inode ||
            now.changed_s != e->changed_s || now.changed_ns != e->changed_ns)
            return ifd_fail(err, INFERD_MODEL_INVALID,
                            "%s/%s was changed while it was being loaded; load it again", dir,
                            e->name);
    }
    return INFERD_OK;
}

/* --- writing --- */

static bool write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        const ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes += done;
        n -= (size_t)done;
    }
    return true;
}

inferd_status ifd_manifest_write(const char *dir, const struct ifd_manifest *m, inferd_error *err)
{
    inferd_status st = INFERD_OK;
    struct ifd_buf text;
    ifd_buf_init(&text, IFD_MANIFEST_BYTES_MAX);
    ifd_manifest_text(m, &text);
    char *path = ifd_path_join(dir, IFD_MANIFEST_NAME);
    char *draft = ifd_path_join(dir, "." IFD_MANIFEST_NAME ".new");
    if (!path || !draft || text.failed) {
        st = no_memory(dir, err);
        goto out;
    }
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    bool good = fd >= 0 && write_all(fd, text.data, text.size) && fsync(fd) == 0;
    if (fd >= 0)
        good = close(fd) == 0 && good;
    if (!good || rename(draft, path) != 0) {
        st = ifd_fail(err, INFERD_IO, "%s: cannot be written: %s", path, strerror(errno));
        if (fd >= 0)
            (void)unlink(draft);
    }
out:
    ifd_buf_fini(&text);
    ifd_free(draft);
    ifd_free(path);
    return st;
}

void ifd_manifest_fini(struct ifd_manifest *m)
{
    for (size_t i = 0; i < m->count; i++)
        ifd_free(m->entry[i].name);
    ifd_free(m->entry);
    *m = (struct ifd_manifest){0};
}
