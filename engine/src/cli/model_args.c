/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/model_args.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/hub_id.h"
#include "cli/pull_run.h"
#include "cli/say.h"

#define BUNDLED "sst2-minilm-l6"

static bool holds_model(const char *dir)
{
    char config[PATH_MAX + 32];
    int n = snprintf(config, sizeof(config), "%s/config.json", dir);
    return n > 0 && (size_t)n < sizeof(config) && access(config, F_OK) == 0;
}

inferd_status ifd_model_dir(const struct ifd_options *o, char *out, size_t size, const char **dir,
                            inferd_error *err)
{
    const char *named = ifd_options_text(o, "model");
    char id[IFD_HUB_ID_SIZE], revision[IFD_HUB_REVISION_SIZE];
    if (named && access(named, F_OK) != 0 && ifd_hub_id_split(named, id, revision)) {
        *dir = out;
        return ifd_pull_run(id, revision, out, size, err);
    }
    if (named) {
        *dir = named;
        return INFERD_OK;
    }
    char exe[PATH_MAX];
    ifd_executable_dir(exe, sizeof(exe));
    static const char *const places[] = {"/../models/" BUNDLED, "/../share/inferd/models/" BUNDLED};
    for (size_t i = 0; i < 2; i++) {
        int n = snprintf(out, size, "%s%s", exe, places[i]);
        if (n > 0 && (size_t)n < size && holds_model(out)) {
            *dir = out;
            return INFERD_OK;
        }
    }
    snprintf(out, size, "models/" BUNDLED);
    if (holds_model(out)) {
        *dir = out;
        return INFERD_OK;
    }
    return ifd_fail(err, INFERD_NOT_FOUND,
                    "no model: --model DIR names one (or INFERD_MODEL). The bundled one is not in "
                    "%.96s%s, %.96s%s or ./models/" BUNDLED,
                    exe, places[0], exe, places[1]);
}

const char *ifd_model_tier(const struct ifd_options *o)
{
    const struct ifd_option_value *v = ifd_options_get(o, "tier");
    return v->origin == IFD_FROM_ENVIRONMENT ? NULL : v->text;
}

enum ifd_exit ifd_exit_of_model(inferd_status status)
{
    switch (status) {
    case INFERD_OK:
        return IFD_EXIT_OK;
    case INFERD_INVALID_ARGUMENT:
    case INFERD_CPU_UNSUPPORTED: /* a tier was asked for by name */
        return IFD_EXIT_USAGE;
    case INFERD_IO:
    case INFERD_NOT_FOUND:
    case INFERD_MODEL_INVALID:
    case INFERD_MODEL_UNSUPPORTED:
        return IFD_EXIT_MODEL;
    default:
        return IFD_EXIT_INTERNAL;
    }
}

enum ifd_exit ifd_model_open_args(const struct ifd_options *o, inferd_model **out)
{
    char path[PATH_MAX + 64];
    const char *dir;
    inferd_error err;
    const inferd_model_options options = {
        .struct_size = sizeof(options),
        .dtype = ifd_options_text(o, "dtype"),
        .tier = ifd_model_tier(o),
        .max_length = (uint32_t)ifd_options_number(o, "max-length"),
    };
    inferd_status s = ifd_model_dir(o, path, sizeof(path), &dir, &err);
    if (!s)
        s = inferd_model_open(dir, &options, out, &err);
    if (s)
        ifd_say_error("%s", err.message);
    return ifd_exit_of_model(s);
}
