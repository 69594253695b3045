/* SPDX-License-Identifier: Apache-2.0
 *
 * pull_run.h - running inferd-pull, which is looked for beside this executable and then in PATH.
 * Before any thread starts.
 */
#ifndef IFD_CLI_PULL_RUN_H
#define IFD_CLI_PULL_RUN_H

#include <stddef.h>

#include "base/err.h"

/* The directory of this executable, or "." when /proc does not say. */
void ifd_executable_dir(char *out, size_t size);
/* Becomes `inferd-pull args...` (NULL-terminated, args[0] is set here). Returns only on failure. */
inferd_status ifd_pull_become(char **args, inferd_error *err);
/* Runs it and reads the directory that it prints into out[size]. What it says goes to our stderr.
 * INFERD_NOT_FOUND: it is not installed; INFERD_IO: it failed, and has said why. */
IFD_MUST_CHECK inferd_status ifd_pull_run(const char *id, const char *revision, char *out,
                                          size_t size, inferd_error *err);

#endif
