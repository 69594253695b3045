/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pull_options.h"

const struct ifd_option ifd_pull_options[IFD_PULL_OPTION_COUNT] = {
    {.kind = IFD_OPTION_STRING,
     .name = "revision",
     .value = "REVISION",
     .preset = "main",
     .env = "INFERD_REVISION",
     .help = "branch, tag or commit; a commit that was fetched before needs no network"},
    {.kind = IFD_OPTION_STRING,
     .name = "endpoint",
     .value = "URL",
     .preset = "https://huggingface.co",
     .env = "HF_ENDPOINT",
     .help = "the hub; a token goes to this host alone, and only over https or to this machine"},
    {.kind = IFD_OPTION_STRING,
     .name = "cache-dir",
     .value = "DIR",
     .env = "INFERD_CACHE_DIR",
     .help = "where models are kept; without one, $XDG_CACHE_HOME/inferd or ~/.cache/inferd"},
    {.kind = IFD_OPTION_STRING,
     .name = "output",
     .value = "DIR",
     .env = "",
     .help = "put the model into this directory, which must not exist, not into the cache"},
    {.kind = IFD_OPTION_FLAG,
     .name = "offline",
     .env = "HF_HUB_OFFLINE",
     .help = "only what the cache has"},
    {.kind = IFD_OPTION_DURATION,
     .name = "timeout",
     .value = "TIME",
     .preset = "30s",
     .least = 1000,
     .most = 3600000,
     .env = "INFERD_PULL_TIMEOUT",
     .help = "without a byte, before a transfer is taken up again"},
};

const char ifd_pull_about[] =
    "Fetches the files that a load reads, and no others, from a Hugging Face-compatible hub;\n"
    "checks each against its digest; and prints the finished directory. One that is cut short is\n"
    "taken up where it was. HF_TOKEN is for repositories that need one. `--model REPO_ID` of the\n"
    "other commands does the same.\n";
