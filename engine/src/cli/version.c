/* SPDX-License-Identifier: Apache-2.0
 *
 * version.c - `inferd version`: what was built, and what this CPU can run of it.
 */
#include <string.h>

#include "base/cpu.h"
#include "base/jsonout.h"
#include "cli/command.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

static const struct ifd_option options[] = {
    {.kind = IFD_OPTION_FLAG, .name = "json", .help = "one JSON object"},
};

static enum ifd_exit run_version(const struct ifd_options *o, struct ifd_out *out)
{
    struct ifd_buf *b = &out->buf;
    bool json = ifd_options_flag(o, "json");
    char cpu[64], compiler[] = COMPILER;
    ifd_cpu_model_name(cpu, sizeof(cpu));
    for (size_t n = strlen(compiler); n && compiler[n - 1] == ' ';)
        compiler[--n] = '\0';
    if (json) {
        ifd_buf_add_str(b, "{\"version\":");
        ifd_jsonout_cstr(b, inferd_version());
        ifd_buf_add_str(b, ",\"compiler\":");
        ifd_jsonout_cstr(b, compiler);
        ifd_buf_add_str(b, ",\"cpu\":");
        ifd_jsonout_cstr(b, cpu);
        ifd_buf_add_str(b, ",\"tiers\":[");
    } else {
        ifd_buf_printf(b, "inferd %s\ncompiler   %s\ncpu        %s\ntiers      ", inferd_version(),
                       compiler, cpu);
    }
    const char *separator = "";
    for (int i = 0; i < IFD_TIER_COUNT; i++) {
        enum ifd_tier tier = (enum ifd_tier)i;
        if (!ifd_cpu_has(tier))
            continue;
        ifd_buf_printf(b, json ? "%s\"%s\"" : "%s%s", separator, ifd_tier_name(tier));
        separator = json ? "," : " ";
    }
    ifd_buf_printf(b, json ? "],\"tier\":\"%s\"}\n" : "\nbest tier  %s\n",
                   ifd_tier_name(ifd_cpu_best()));
    return IFD_EXIT_OK;
}

const struct ifd_command ifd_command_version = {
    .name = "version",
    .summary = "version, compiler, what this CPU can run",
    .arguments = "",
    .about = "",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .run = run_version,
};
