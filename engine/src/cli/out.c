/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/out.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cli/say.h"

#define FLUSH_BYTES ((size_t)64 << 10)
#define LINE_BYTES_MAX ((size_t)1 << 30)

void ifd_out_init(struct ifd_out *out, int fd)
{
    *out = (struct ifd_out){.fd = fd};
    ifd_buf_init(&out->buf, LINE_BYTES_MAX);
}

void ifd_out_fini(struct ifd_out *out)
{
    ifd_buf_fini(&out->buf);
}

static bool wait_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, -1) >= 0 || errno == EINTR;
}

bool ifd_out_flush(struct ifd_out *out)
{
    const char *at = out->buf.data;
    size_t left = out->error || out->buf.failed ? 0 : out->buf.size;
    while (left > 0) {
        ssize_t n = write(out->fd, at, left);
        if (n >= 0) {
            at += n;
            left -= (size_t)n;
        } else if (errno != EINTR && !(errno == EAGAIN && wait_writable(out->fd))) {
            out->error = errno;
            break;
        }
    }
    if (!out->buf.failed) /* a line that is incomplete must not be followed by more */
        ifd_buf_reset(&out->buf);
    return !out->error && !out->buf.failed;
}

bool ifd_out_line(struct ifd_out *out)
{
    if (out->buf.size >= FLUSH_BYTES || out->buf.failed || out->error)
        return ifd_out_flush(out);
    return true;
}

enum ifd_exit ifd_out_finish(struct ifd_out *out)
{
    ifd_out_flush(out);
    if (out->buf.failed) {
        ifd_say_error("no memory for a line of output");
        return IFD_EXIT_INTERNAL;
    }
    if (!out->error)
        return IFD_EXIT_OK;
    if (out->error != EPIPE) /* `| head` has what it wants: nothing to tell */
        ifd_say_error("writing to standard output failed: %s", strerror(out->error));
    return IFD_EXIT_IO;
}
