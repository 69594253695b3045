/* SPDX-License-Identifier: Apache-2.0
 *
 * model_args.h - the options that choose a model, shared by the commands that load one, and where
 * the default model is looked for.
 */
#ifndef IFD_CLI_MODEL_ARGS_H
#define IFD_CLI_MODEL_ARGS_H

#include "cli/exit.h"
#include "cli/options.h"

/* Rows for a table of options. */
#define IFD_MODEL_DIR_OPTION                                                                     \
    {                                                                                            \
        .kind = IFD_OPTION_STRING, .name = "model", .value = "DIR|REPO_ID",                      \
        .help = "Hugging Face model directory, or ORGANISATION/NAME[@REVISION] of a hub, which " \
                "`inferd pull` then fetches; without one, the bundled sst2-minilm-l6"            \
    }
#define IFD_MODEL_MAX_LENGTH_OPTION                                                                \
    {                                                                                              \
        .kind = IFD_OPTION_COUNT, .name = "max-length", .value = "N", .preset = "0",               \
        .most = 1u << 20,                                                                          \
        .help = "tokens per text, [CLS] and [SEP] included; 0 means 128 or the model's own limit " \
                "if that is less"                                                                  \
    }
#define IFD_MODEL_DTYPE_OPTION                                                             \
    {                                                                                      \
        .kind = IFD_OPTION_CHOICE, .name = "dtype", .value = "TYPE", .preset = "auto",     \
        .choices = "auto|fp32|bf16|int8",                                                  \
        .help = "arithmetic of the forward pass; auto is int8, the fastest; fp32 is exact" \
    }
#define IFD_MODEL_TIER_OPTION                                                                   \
    {                                                                                           \
        .kind = IFD_OPTION_STRING, .name = "tier", .value = "TIER", .env = "INFERD_CPU",        \
        .help = "CPU instructions to use: ref, avx2, avxvnni, avx512, avx512vnni, avx512bf16, " \
                "amx; on ARM64 neon, neondot, neoni8mm, neonbf16; without one, the best of "    \
                "this CPU"                                                                      \
    }

/* The directory: --model, INFERD_MODEL, or the bundled model, which is looked for beside the
 * executable and in the working directory. What is no path here but ORGANISATION/NAME is fetched
 * (pull_run.h), so this may take its time: before any thread starts. out[size] may be used for the
 * path. INFERD_NOT_FOUND lists where it looked; INFERD_IO: it could not be fetched. */
IFD_MUST_CHECK inferd_status ifd_model_dir(const struct ifd_options *o, char *out, size_t size,
                                           const char **dir, inferd_error *err);
/* Tier for inferd_model_options: NULL when it came from the environment, which the engine reads
 * itself, so that its message names the variable. */
const char *ifd_model_tier(const struct ifd_options *o);

/* Open the model that the options name; `o` has the four rows above. On failure says why. */
IFD_MUST_CHECK enum ifd_exit ifd_model_open_args(const struct ifd_options *o, inferd_model **out);

/* The exit code of a failure to load or run a model. */
enum ifd_exit ifd_exit_of_model(inferd_status status);

#endif
