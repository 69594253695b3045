/* SPDX-License-Identifier: Apache-2.0
 *
 * tune_server.h - a server of our own for a measurement: `inferd serve` as a child on a port that
 * the system picks, ended with us whatever happens. One thread.
 */
#ifndef IFD_CLI_TUNE_SERVER_H
#define IFD_CLI_TUNE_SERVER_H

#include <sys/types.h>

#include "base/err.h"

#define IFD_TUNE_ARGS_MAX 32u

struct ifd_tune_server {
    pid_t pid;     /* 0: none runs */
    int log;       /* the child's stderr; its lines are few and stay in the pipe */
    char url[128]; /* once it is ready */
};

/* `args`: options of serve, NULL-terminated, at most IFD_TUNE_ARGS_MAX. Returns when it is ready;
 * INFERD_IO with what it said when it is not. */
IFD_MUST_CHECK inferd_status ifd_tune_server_start(struct ifd_tune_server *s,
                                                   const char *const *args, inferd_error *err);
/* SIGTERM and its end. Accepts a zeroed one. */
void ifd_tune_server_stop(struct ifd_tune_server *s);

#endif
