/* SPDX-License-Identifier: Apache-2.0
 *
 * modeldir.h - a throw-away copy of a golden model directory, to be damaged by a test.
 */
#ifndef IFD_TESTS_MODEL_MODELDIR_H
#define IFD_TESTS_MODEL_MODELDIR_H

#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

struct bytes {
    char *data; /* NUL-terminated after size bytes */
    size_t size;
};

struct modeldir {
    char path[256];
};

static inline void dir_path(const struct modeldir *d, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", d->path, name);
}

static inline struct bytes read_bytes(const char *path)
{
    struct bytes b = {NULL, 0};
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    fseek(f, 0, SEEK_END);
    b.size = (size_t)ftell(f);
    rewind(f);
    b.data = malloc(b.size + 1);
    assert_non_null(b.data);
    assert_int_equal(fread(b.data, 1, b.size, f), b.size);
    b.data[b.size] = '\0';
    fclose(f);
    return b;
}

static inline void dir_write(const struct modeldir *d, const char *name, const void *data,
                             size_t size)
{
    char path[512];
    dir_path(d, name, path, sizeof(path));
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

static inline void dir_write_str(const struct modeldir *d, const char *name, const char *text)
{
    dir_write(d, name, text, strlen(text));
}

static inline struct bytes dir_read(const struct modeldir *d, const char *name)
{
    char path[512];
    dir_path(d, name, path, sizeof(path));
    return read_bytes(path);
}

static inline void dir_remove_file(const struct modeldir *d, const char *name)
{
    char path[512];
    dir_path(d, name, path, sizeof(path));
    assert_int_equal(unlink(path), 0);
}

static inline void dir_truncate(const struct modeldir *d, const char *name, size_t size)
{
    char path[512];
    dir_path(d, name, path, sizeof(path));
    assert_int_equal(truncate(path, (off_t)size), 0);
}

static inline void dir_each(const char *path, void (*fn)(void *ctx, const char *name), void *ctx)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.')
            fn(ctx, e->d_name);
    closedir(dir);
}

struct dir_copy_ {
    const char *from;
    const struct modeldir *to;
};

static inline void dir_copy_one_(void *ctx, const char *name)
{
    const struct dir_copy_ *c = ctx;
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", c->from, name);
    struct bytes b = read_bytes(path);
    dir_write(c->to, name, b.data, b.size);
    free(b.data);
}

static inline void dir_copy(const char *golden, struct modeldir *d)
{
    const char *base = getenv("TMPDIR");
    char from[256];
    snprintf(d->path, sizeof(d->path), "%s/inferd-test-XXXXXX", base && *base ? base : P_tmpdir);
    assert_non_null(mkdtemp(d->path));
    snprintf(from, sizeof(from), "golden/%s", golden);
    struct dir_copy_ c = {from, d};
    dir_each(from, dir_copy_one_, &c);
}

static inline void dir_remove_one_(void *ctx, const char *name)
{
    dir_remove_file(ctx, name);
}

static inline void dir_remove(struct modeldir *d)
{
    dir_each(d->path, dir_remove_one_, d);
    assert_int_equal(rmdir(d->path), 0);
}

/* Replace the first `from` in the file's text by `to`; it must be there. */
static inline void dir_edit(const struct modeldir *d, const char *name, const char *from,
                            const char *to)
{
    struct bytes b = dir_read(d, name);
    char *at = strstr(b.data, from);
    if (!at)
        fail_msg("%s has no %s", name, from);
    size_t before = (size_t)(at - b.data), after = b.size - before - strlen(from);
    size_t size = before + strlen(to) + after;
    char *edited = malloc(size + 1);
    assert_non_null(edited);
    memcpy(edited, b.data, before);
    memcpy(edited + before, to, strlen(to));
    memcpy(edited + before + strlen(to), at + strlen(from), after);
    dir_write(d, name, edited, size);
    free(edited);
    free(b.data);
}

/* ---- a safetensors file in memory ---- */

struct st_file {
    char *json; /* NUL-terminated */
    char *data;
    size_t data_size;
};

static inline struct st_file st_read(const struct modeldir *d, const char *name)
{
    struct st_file s;
    struct bytes b = dir_read(d, name);
    uint64_t n;
    memcpy(&n, b.data, sizeof(n));
    s.json = malloc(n + 1);
    s.data_size = b.size - 8 - n;
    s.data = malloc(s.data_size);
    assert_non_null(s.json);
    assert_non_null(s.data);
    memcpy(s.json, b.data + 8, n);
    s.json[n] = '\0';
    memcpy(s.data, b.data + 8 + n, s.data_size);
    free(b.data);
    return s;
}

static inline void st_free(struct st_file *s)
{
    free(s->json);
    free(s->data);
}

static inline void st_write(const struct modeldir *d, const char *name, const struct st_file *s)
{
    uint64_t n = strlen(s->json);
    size_t size = 8 + n + s->data_size;
    char *file = malloc(size);
    assert_non_null(file);
    memcpy(file, &n, 8);
    memcpy(file + 8, s->json, n);
    memcpy(file + 8 + n, s->data, s->data_size);
    dir_write(d, name, file, size);
    free(file);
}

static inline void st_edit(struct st_file *s, const char *from, const char *to)
{
    char *at = strstr(s->json, from);
    if (!at)
        fail_msg("the header has no %s", from);
    size_t before = (size_t)(at - s->json);
    size_t size = strlen(s->json) + strlen(to) + 1;
    char *edited = malloc(size);
    assert_non_null(edited);
    snprintf(edited, size, "%.*s%s%s", (int)before, s->json, to, at + strlen(from));
    free(s->json);
    s->json = edited;
}

#endif
