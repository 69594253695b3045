/* SPDX-License-Identifier: Apache-2.0
 *
 * healthcheck.c - `inferd healthcheck`: is the server ready? For container probes in images that
 * have no curl. Silent when it is.
 */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "base/http_client.h"
#include "cli/say.h"

static const struct ifd_option options[] = {
    {.kind = IFD_OPTION_STRING,
     .name = "url",
     .value = "URL",
     .env = "INFERD_HEALTHCHECK_URL",
     .help = "what to GET; without one, http://127.0.0.1:PORT/readyz"},
    {.kind = IFD_OPTION_COUNT,
     .name = "port",
     .value = "PORT",
     .preset = "8000",
     .least = 1,
     .most = 65535,
     .help = "port of the server on this machine, as for serve"},
    {.kind = IFD_OPTION_DURATION,
     .name = "timeout",
     .value = "TIME",
     .env = "INFERD_HEALTHCHECK_TIMEOUT",
     .preset = "2s",
     .least = 1,
     .most = 600000,
     .help = "for connecting and the answer together"},
};

static enum ifd_exit run_healthcheck(const struct ifd_options *o, struct ifd_out *out)
{
    (void)out;
    char local[64];
    const char *url = ifd_options_text(o, "url");
    struct ifd_url parsed;
    struct ifd_http_answer answer;
    inferd_error err;
    if (!url) {
        snprintf(local, sizeof(local), "http://127.0.0.1:%u/readyz",
                 (unsigned)ifd_options_number(o, "port"));
        url = local;
    }
    if (ifd_url_parse(url, &parsed, &err)) {
        ifd_say_error("healthcheck: %s", err.message);
        return IFD_EXIT_USAGE;
    }
    if (ifd_http_get(&parsed, ifd_options_number(o, "timeout"), &answer, &err)) {
        ifd_say_error("healthcheck: %s: %s", url, err.message);
        return IFD_EXIT_UNHEALTHY;
    }
    if (answer.status != 200) {
        size_t n = strcspn(answer.body, "\r\n");
        ifd_say_error("healthcheck: %s answers %d%s%.*s", url, answer.status, n ? ": " : "", (int)n,
                      answer.body);
        return IFD_EXIT_UNHEALTHY;
    }
    return IFD_EXIT_OK;
}

const struct ifd_command ifd_command_healthcheck = {
    .name = "healthcheck",
    .summary = "exit 0 when a server is ready, 7 when not",
    .arguments = "",
    .about = "Asks a running server and says on stderr what is wrong. Only a 200 is healthy.\n",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .run = run_healthcheck,
};
