/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lines.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)64 << 10)

void ifd_lines_init(struct ifd_lines *l, int fd, size_t line_max)
{
    *l = (struct ifd_lines){.fd = fd, .line_max = line_max};
    ifd_buf_init(&l->buf, line_max + 1 + CHUNK_BYTES);
}

void ifd_lines_fini(struct ifd_lines *l)
{
    ifd_buf_fini(&l->buf);
}

/* The LF that ends the next line, or NULL when it has not been read yet. */
static const char *find_end(struct ifd_lines *l)
{
    if (l->scanned == l->buf.size)
        return NULL;
    const char *end = memchr(l->buf.data + l->scanned, '\n', l->buf.size - l->scanned);
    l->scanned = end ? (size_t)(end - l->buf.data) : l->buf.size;
    return end;
}

static inferd_status read_more(struct ifd_lines *l, inferd_error *err)
{
    ifd_buf_consume(&l->buf, l->at); /* at most one unfinished line stays */
    l->scanned -= l->at;
    l->at = 0;
    char *to = ifd_buf_reserve(&l->buf, CHUNK_BYTES);
    if (!to)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for line %llu",
                        (unsigned long long)l->number + 1);
    ssize_t n;
    do {
        n = read(l->fd, to, CHUNK_BYTES);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = l->fd, .events = POLLIN};
            (void)poll(&p, 1, -1);
        }
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n < 0)
        return ifd_fail(err, INFERD_IO, "reading line %llu failed: %s",
                        (unsigned long long)l->number + 1, strerror(errno));
    ifd_buf_commit(&l->buf, (size_t)n);
    l->eof = n == 0;
    return INFERD_OK;
}

static inferd_status too_long(const struct ifd_lines *l, inferd_error *err)
{
    return ifd_fail(err, INFERD_INVALID_REQUEST,
                    "line %llu is longer than %zu bytes; --max-line-bytes raises the limit",
                    (unsigned long long)l->number + 1, l->line_max);
}

inferd_status ifd_lines_next(struct ifd_lines *l, const char **line, size_t *size,
                             inferd_error *err)
{
    const char *end;
    while (!(end = find_end(l)) && !l->eof) {
        if (l->buf.size - l->at > l->line_max)
            return too_long(l, err);
        inferd_status s = read_more(l, err);
        if (s)
            return s;
    }
    size_t n = (end ? (size_t)(end - l->buf.data) : l->buf.size) - l->at;
    if (n > l->line_max)
        return too_long(l, err);
    if (!end && n == 0) {
        *line = NULL;
        *size = 0;
        return INFERD_OK;
    }
    *line = l->buf.data + l->at;
    *size = n;
    l->at += n + (end != NULL);
    l->scanned = l->at;
    l->number++;
    return INFERD_OK;
}

bool ifd_lines_ready(struct ifd_lines *l)
{
    if (find_end(l) || l->eof)
        return true;
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}
