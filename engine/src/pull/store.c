/* SPDX-License-Identifier: Apache-2.0 */
#include "pull/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static inferd_status io(const char *path, const char *what, inferd_error *err)
{
    return ifd_fail(err, INFERD_IO, "%.200s: %s: %s", path, what, strerror(errno));
}

IFD_PRINTF(3, 5)
static inferd_status path_to(char *out, size_t size, const char *fmt, inferd_error *err, ...)
{
    va_list args;
    va_start(args, err);
    int n = vsnprintf(out, size, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= size)
        return ifd_fail(err, INFERD_IO, "%.200s...: the path is too long", out);
    return INFERD_OK;
}

/* All of the path's directories. */
static inferd_status make_directories(const char *path, inferd_error *err)
{
    char at[PATH_MAX];
    inferd_status s = path_to(at, sizeof(at), "%s", err, path);
    for (char *c = at + 1; !s; c++) {
        if (*c != '/' && *c != '\0')
            continue;
        const char end = *c;
        *c = '\0';
        if (mkdir(at, 0777) != 0 && errno != EEXIST)
            s = io(at, "cannot be made", err);
        *c = end;
        if (!end)
            break;
    }
    return s;
}

static inferd_status default_cache(char *out, size_t size, inferd_error *err)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/')
        return path_to(out, size, "%s/inferd", err, xdg);
    if (home && home[0] == '/')
        return path_to(out, size, "%s/.cache/inferd", err, home);
    return ifd_fail(err, INFERD_IO,
                    "no place for models: HOME is not set; --cache-dir DIR names one");
}

inferd_status ifd_store_open_cache(struct ifd_store *s, const char *cache, const char *id,
                                   inferd_error *err)
{
    char root[PATH_MAX];
    *s = (struct ifd_store){.lock = -1};
    inferd_status st = cache ? path_to(root, sizeof(root), "%s", err, cache)
                             : default_cache(root, sizeof(root), err);
    if (st)
        return st;
    const char *slash = strchr(id, '/');
    const int organisation = slash ? (int)(slash - id) : 0;
    const char *name = slash ? slash + 1 : id;
    snprintf(s->name, sizeof(s->name), "%s", name);
    return path_to(s->repository, sizeof(s->repository), "%s/%.*s%s%s", err, root, organisation, id,
                   slash ? "--" : "", name);
}

inferd_status ifd_store_open_output(struct ifd_store *s, const char *output, inferd_error *err)
{
    *s = (struct ifd_store){.lock = -1};
    size_t n = strlen(output);
    while (n > 1 && output[n - 1] == '/')
        n--;
    inferd_status st = path_to(s->final, sizeof(s->final), "%.*s", err, (int)n, output);
    if (!st)
        st = path_to(s->part, sizeof(s->part), "%.*s.part", err, (int)n, output);
    memcpy(s->staged, s->part, sizeof(s->staged));
    memcpy(s->model, s->final, sizeof(s->model));
    if (!st && access(s->final, F_OK) == 0)
        return ifd_fail(err, INFERD_IO, "%.200s is there already: --output makes it anew", output);
    return st;
}

inferd_status ifd_store_commit(struct ifd_store *s, const char *commit, inferd_error *err)
{
    if (!s->repository[0])
        return INFERD_OK;
    inferd_status st =
        path_to(s->staged, sizeof(s->staged), "%s/%s.part", err, s->repository, commit);
    if (!st)
        st = path_to(s->part, sizeof(s->part), "%s/%s", err, s->staged, s->name);
    if (!st)
        st = path_to(s->final, sizeof(s->final), "%s/%s", err, s->repository, commit);
    if (!st)
        st = path_to(s->model, sizeof(s->model), "%s/%s", err, s->final, s->name);
    return st;
}

bool ifd_store_has(const struct ifd_store *s)
{
    return access(s->model, F_OK) == 0;
}

inferd_status ifd_store_begin(struct ifd_store *s, void (*waiting)(void), inferd_error *err)
{
    char path[PATH_MAX];
    inferd_status st = make_directories(s->part, err);
    if (!st)
        st = path_to(path, sizeof(path), "%s.lock", err, s->staged);
    if (st)
        return st;
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->lock < 0)
        return io(path, "cannot be opened", err);
    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0) {
        waiting();
        while (flock(s->lock, LOCK_EX) != 0)
            if (errno != EINTR)
                return io(path, "cannot be locked", err);
        return make_directories(s->part, err); /* the other may have renamed it */
    }
    return INFERD_OK;
}

void ifd_store_undo(const struct ifd_store *s)
{
    if (rmdir(s->part) == 0 && strcmp(s->part, s->staged) != 0)
        (void)rmdir(s->staged);
}

static inferd_status sync_directory(const char *path, inferd_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return io(path, "cannot be opened", err);
    inferd_status st = fsync(fd) == 0 ? INFERD_OK : io(path, "cannot be written", err);
    close(fd);
    return st;
}

inferd_status ifd_store_finish(struct ifd_store *s, inferd_error *err)
{
    char above[PATH_MAX];
    inferd_status st = sync_directory(s->part, err);
    if (!st)
        st = sync_directory(s->staged, err);
    if (!st && rename(s->staged, s->final) != 0)
        st = io(s->final, "cannot be put in place", err);
    if (st)
        return st;
    snprintf(above, sizeof(above), "%s", s->final);
    char *slash = strrchr(above, '/');
    if (slash && slash != above)
        *slash = '\0';
    st = sync_directory(slash ? above : ".", err);
    char lock[PATH_MAX];
    if (!st && !path_to(lock, sizeof(lock), "%s.lock", NULL, s->staged))
        (void)unlink(lock); /* who waits for it finds the finished one */
    return st;
}

void ifd_store_close(struct ifd_store *s)
{
    if (s->lock >= 0)
        close(s->lock);
    s->lock = -1;
}

/* A revision as a file's name: '/' is "%2F", as '%' is in no revision. */
static inferd_status ref_path(const struct ifd_store *s, const char *revision, char *out,
                              size_t size, inferd_error *err)
{
    inferd_status st = path_to(out, size, "%s/refs/", err, s->repository);
    for (size_t n = strlen(out); !st && *revision; revision++) {
        const char *bytes = *revision == '/' ? "%2F" : (char[2]){*revision, '\0'};
        if (n + strlen(bytes) >= size)
            return ifd_fail(err, INFERD_IO, "%.200s...: the path is too long", out);
        memcpy(out + n, bytes, strlen(bytes) + 1);
        n += strlen(bytes);
    }
    return st;
}

bool ifd_store_read_ref(const struct ifd_store *s, const char *revision, char commit[65])
{
    char path[PATH_MAX];
    if (!s->repository[0] || ref_path(s, revision, path, sizeof(path), NULL))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, commit, 64) : -1;
    if (fd >= 0)
        close(fd);
    if (n != 40 && n != 64)
        return false;
    commit[n] = '\0';
    return strspn(commit, "0123456789abcdef") == (size_t)n;
}

inferd_status ifd_store_write_ref(const struct ifd_store *s, const char *revision,
                                  const char *commit, inferd_error *err)
{
    char path[PATH_MAX], part[PATH_MAX];
    if (!s->repository[0])
        return INFERD_OK;
    inferd_status st = path_to(path, sizeof(path), "%s/refs", err, s->repository);
    if (!st)
        st = make_directories(path, err);
    if (!st)
        st = ref_path(s, revision, path, sizeof(path), err);
    if (!st)
        st = path_to(part, sizeof(part), "%s.%ld", err, path, (long)getpid());
    if (st)
        return st;
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    const size_t n = strlen(commit);
    if (fd < 0 || write(fd, commit, n) != (ssize_t)n || rename(part, path) != 0)
        st = io(path, "cannot be written", err);
    if (fd >= 0)
        close(fd);
    return st;
}

uint64_t ifd_store_free_bytes(const struct ifd_store *s)
{
    struct statvfs v;
    if (statvfs(s->part, &v) != 0 || v.f_blocks == 0)
        return UINT64_MAX;
    return (uint64_t)v.f_bavail * (uint64_t)v.f_frsize;
}
