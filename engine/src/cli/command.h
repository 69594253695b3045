/* SPDX-License-Identifier: Apache-2.0
 *
 * command.h - what a command is: its options and what it does. main.c has the list.
 */
#ifndef IFD_CLI_COMMAND_H
#define IFD_CLI_COMMAND_H

#include "cli/exit.h"
#include "cli/options.h"
#include "cli/out.h"

struct ifd_command {
    const char *name;
    const char *summary;   /* one line of `inferd --help` */
    const char *arguments; /* of the usage line, after the options */
    const char *about;     /* paragraphs of --help */
    const struct ifd_option *options;
    size_t option_count;
    size_t args_least, args_most;
    void (*prepare)(struct ifd_options *o); /* sets defaults; may be NULL */
    /* Says on stderr itself what went wrong. Output goes to `out`; main.c finishes it. */
    enum ifd_exit (*run)(const struct ifd_options *o, struct ifd_out *out);
};

/* All of them, in the order of `inferd --help`. */
extern const struct ifd_command *const ifd_commands[];
extern const size_t ifd_command_count;
const struct ifd_command *ifd_command_find(const char *name); /* or NULL */

extern const struct ifd_command ifd_command_serve;
extern const struct ifd_command ifd_command_classify;
extern const struct ifd_command ifd_command_tokenize;
extern const struct ifd_command ifd_command_inspect;
extern const struct ifd_command ifd_command_pull;
extern const struct ifd_command ifd_command_bench;
extern const struct ifd_command ifd_command_tune;
extern const struct ifd_command ifd_command_doctor;
extern const struct ifd_command ifd_command_healthcheck;
extern const struct ifd_command ifd_command_completion;
extern const struct ifd_command ifd_command_man;
extern const struct ifd_command ifd_command_version;

#endif
