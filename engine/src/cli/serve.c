/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.c - `inferd serve`: options in, the server's call, its outcome as an exit code.
 */
#include <limits.h>
#include <string.h>

#include "base/log.h"
#include "cli/command.h"
#include "cli/model_args.h"
#include "cli/say.h"
#include "cli/serve_options.h"

/* An INFERD_IO of a model names a file below the model's directory; any other is the listener's. */
static enum ifd_exit exit_of(inferd_status s, const inferd_error *err, const char *dir)
{
    if (s == INFERD_IO && strncmp(err->message, dir, strlen(dir)) != 0)
        return IFD_EXIT_LISTEN;
    return ifd_exit_of_model(s);
}

static enum ifd_exit run_serve(const struct ifd_options *o, struct ifd_out *out)
{
    char path[PATH_MAX + 64];
    struct ifd_server_config config;
    inferd_error err;
    if (ifd_options_flag(o, "print-config")) {
        ifd_options_print(o, &out->buf);
        return IFD_EXIT_OK;
    }
    ifd_serve_config(o, &config);
    inferd_status s = ifd_model_dir(o, path, sizeof(path), &config.model_dir, &err);
    if (s) {
        ifd_say_error("%s", err.message);
        return s == INFERD_IO ? IFD_EXIT_FETCH : IFD_EXIT_MODEL;
    }
    /* the rows list the formats and levels in the order of their enums */
    ifd_log_init((enum ifd_log_level)ifd_options_number(o, "log-level"),
                 (enum ifd_log_format)ifd_options_number(o, "log-format"));
    if (ifd_options_number(o, "log-format") == IFD_LOG_JSON)
        config.banner = false; /* whoever asks for JSON on a terminal wants nothing else there */
    s = ifd_server_run(&config, &err);
    if (s)
        ifd_log(IFD_LOG_ERROR, "failed", IFD_STR("type", inferd_status_type(s)),
                IFD_STR("message", err.message));
    return s ? exit_of(s, &err, config.model_dir) : IFD_EXIT_OK;
}

const struct ifd_command ifd_command_serve = {
    .name = "serve",
    .summary = "answer POST /infer over HTTP",
    .arguments = "",
    .about = "Listens at once, is ready (GET /readyz) when the model has run a warm-up batch, and\n"
             "stops on SIGTERM or SIGINT after answering what is in flight.\n",
    .options = ifd_serve_options,
    .option_count = IFD_SERVE_OPTION_COUNT,
    .prepare = ifd_serve_prepare,
    .run = run_serve,
};
