/* SPDX-License-Identifier: Apache-2.0
 *
 * pull.c - `inferd pull`: checks the options, then becomes inferd-pull with the same ones.
 */
#include <stdio.h>

#include "cli/command.h"
#include "cli/hub_id.h"
#include "cli/pull_options.h"
#include "cli/pull_run.h"
#include "cli/say.h"

#define OPTION_BYTES 4096u

static enum ifd_exit run_pull(const struct ifd_options *o, struct ifd_out *out)
{
    (void)out;
    static char text[IFD_PULL_OPTION_COUNT][OPTION_BYTES];
    char *args[IFD_PULL_OPTION_COUNT + 4] = {NULL};
    size_t count = 1;
    inferd_error err;
    if (ifd_hub_id_check(o->args[0], &err)) {
        ifd_say_error("pull: %s", err.message);
        return IFD_EXIT_USAGE;
    }
    for (size_t i = 0; i < o->count; i++) { /* the environment goes along by itself */
        const struct ifd_option_value *v = &o->value[i];
        if (v->origin != IFD_FROM_COMMAND_LINE)
            continue;
        int n = snprintf(text[i], OPTION_BYTES, "--%s=%s", o->table[i].name, v->text);
        if (n < 0 || (size_t)n >= OPTION_BYTES) {
            ifd_say_error("pull: --%s is too long", o->table[i].name);
            return IFD_EXIT_USAGE;
        }
        args[count++] = text[i];
    }
    args[count] = o->args[0];
    if (ifd_pull_become(args, &err))
        ifd_say_error("pull: %s", err.message);
    return IFD_EXIT_FETCH;
}

const struct ifd_command ifd_command_pull = {
    .name = "pull",
    .summary = "fetch a model directory from a Hugging Face-compatible hub",
    .arguments = IFD_PULL_ARGUMENTS,
    .about = ifd_pull_about,
    .options = ifd_pull_options,
    .option_count = IFD_PULL_OPTION_COUNT,
    .args_least = 1,
    .args_most = 1,
    .run = run_pull,
};
