/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/pace.h"

/* Thread-local, so that a load's watch sees its own reads and nobody else's. */
static _Thread_local struct ifd_file_watch *watched;

void ifd_file_set_watch(struct ifd_file_watch *watch)
{
    watched = watch;
}

static inferd_status open_failed(const char *path, int error, inferd_error *err)
{
    if (error == ENOENT || error == ENOTDIR)
        return ifd_fail(err, INFERD_NOT_FOUND, "%s: there is no such file", path);
    return ifd_fail(err, INFERD_IO, "%s: cannot be opened: %s", path, strerror(error));
}

inferd_status ifd_file_open(const char *path, struct ifd_file *out, inferd_error *err)
{
    /* O_NONBLOCK: opening a FIFO that nobody writes must fail below, not hang here. */
    int fd;
    do {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return open_failed(path, errno, err);
    inferd_status status;
    char *copy = NULL;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        status = ifd_fail(err, INFERD_IO, "%s: cannot be examined: %s", path, strerror(errno));
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        status = ifd_fail(err, INFERD_IO, "%s: is %s, not a regular file", path,
                          S_ISDIR(st.st_mode) ? "a directory" : "a device, pipe or socket");
        goto fail;
    }
    copy = ifd_strndup(path, strlen(path));
    if (!copy) {
        status = ifd_fail(err, INFERD_NO_MEMORY, "%s: no memory to open it", path);
        goto fail;
    }
    *out = (struct ifd_file){.fd = fd, .size = (uint64_t)st.st_size, .path = copy};
    return INFERD_OK;
fail:
    close(fd);
    return status;
}

void ifd_file_close(struct ifd_file *f)
{
    if (!f->path) /* never opened, or closed: fd 0 of a zeroed struct is not ours */
        return;
    close(f->fd);
    ifd_free(f->path);
    *f = (struct ifd_file){0};
}

inferd_status ifd_file_read(const struct ifd_file *f, uint64_t offset, void *to, size_t n,
                            inferd_error *err)
{
    char *at = to;
    uint64_t end;
    if (__builtin_add_overflow(offset, (uint64_t)n, &end) || end > INT64_MAX)
        return ifd_fail(err, INFERD_MODEL_INVALID, "%s: byte range %llu + %zu is out of any file",
                        f->path, (unsigned long long)offset, n);
    if (watched && atomic_load_explicit(&watched->give_up, memory_order_relaxed))
        return ifd_fail(err, INFERD_CANCELLED, "%s: the load was given up", f->path);
    ifd_pace();
    while (n > 0) {
        ssize_t got = pread(f->fd, at, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ifd_fail(err, INFERD_IO, "%s: reading at byte %llu failed: %s", f->path,
                            (unsigned long long)offset, strerror(errno));
        if (got == 0)
            return ifd_fail(err, INFERD_MODEL_INVALID,
                            "%s: the file was cut: it ends at byte %llu, but bytes up to %llu are "
                            "needed; fetch it again",
                            f->path, (unsigned long long)offset, (unsigned long long)end);
        at += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
        if (watched)
            atomic_fetch_add_explicit(&watched->bytes, (uint64_t)got, memory_order_relaxed);
    }
    return INFERD_OK;
}

inferd_status ifd_file_slurp(const char *path, size_t max, char **data, size_t *size,
                             inferd_error *err)
{
    struct ifd_file f;
    inferd_status status = ifd_file_open(path, &f, err);
    if (status)
        return status;
    char *bytes = NULL;
    if (f.size > max || f.size > SIZE_MAX - 1) {
        status = ifd_fail(err, INFERD_MODEL_INVALID, "%s: has %llu bytes; at most %zu are accepted",
                          path, (unsigned long long)f.size, max);
        goto out;
    }
    bytes = ifd_alloc((size_t)f.size + 1);
    if (!bytes) {
        status = ifd_fail(err, INFERD_NO_MEMORY, "%s: no memory for its %llu bytes", path,
                          (unsigned long long)f.size);
        goto out;
    }
    status = ifd_file_read(&f, 0, bytes, (size_t)f.size, err);
    if (status)
        goto out;
    bytes[f.size] = '\0';
    *data = bytes;
    *size = (size_t)f.size;
    bytes = NULL;
out:
    ifd_free(bytes);
    ifd_file_close(&f);
    return status;
}
