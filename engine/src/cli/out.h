/* SPDX-License-Identifier: Apache-2.0
 *
 * out.h - standard output with its failures seen: a full disk or a closed pipe must not look like
 * success. Collected in `buf` by its writer, sent by ifd_out_flush. One owner at a time.
 */
#ifndef IFD_CLI_OUT_H
#define IFD_CLI_OUT_H

#include "base/buf.h"
#include "cli/exit.h"

struct ifd_out {
    struct ifd_buf buf; /* append here */
    /* private */
    int fd;
    int error; /* errno of the first failed write */
};

/* SIGPIPE must be ignored in the process: a closed pipe shows as an error here. */
void ifd_out_init(struct ifd_out *out, int fd);
void ifd_out_fini(struct ifd_out *out);
/* Send what is collected. False once anything has failed; then what is appended is dropped. */
bool ifd_out_flush(struct ifd_out *out);
/* Flush if there is much: call after each line. */
bool ifd_out_line(struct ifd_out *out);
/* Flush, and the exit code: OK, IO (a message on stderr unless a reader just closed its pipe), or
 * INTERNAL when memory ran out. */
enum ifd_exit ifd_out_finish(struct ifd_out *out);

#endif
