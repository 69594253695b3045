/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c - inferd-pull: a model directory from a Hugging Face-compatible hub. An executable of its
 * own, so that the server links neither libcurl nor what that brings.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/hub_id.h"
#include "cli/out.h"
#include "cli/pull_options.h"
#include "cli/say.h"
#include "pull/pull.h"

#define MIB (1024.0 * 1024.0)
#define LINE_NS 200000000u

static struct {
    bool terminal, shown;
    uint64_t line_ns, began_ns, began_bytes;
    char file[64];
} view;

static void wipe(void)
{
    if (view.shown)
        fputs("\r\033[K", stderr);
    view.shown = false;
}

static void note(const char *message)
{
    wipe();
    ifd_say_notice("pull: %s", message);
}

static void progress(const char *file, uint64_t bytes, uint64_t of, bool has_total)
{
    const uint64_t now = ifd_clock_ns();
    if (!view.terminal)
        return;
    if (strncmp(view.file, file, sizeof(view.file) - 1) != 0) {
        snprintf(view.file, sizeof(view.file), "%s", file);
        view.began_ns = now;
        view.began_bytes = bytes;
    }
    if (now - view.line_ns < LINE_NS)
        return;
    view.line_ns = now;
    view.shown = true;
    const double s = (double)(now - view.began_ns) / 1e9;
    const double speed = s > 0.2 ? (double)(bytes - view.began_bytes) / s : 0.0;
    fprintf(stderr, "\r\033[K%.40s  %.1f", file, (double)bytes / MIB);
    if (has_total && of > 0)
        fprintf(stderr, " of %.1f MiB (%.0f %%)", (double)of / MIB,
                100.0 * (double)bytes / (double)of);
    else
        fputs(" MiB", stderr);
    if (speed > 0.0) {
        fprintf(stderr, "  %.1f MiB/s", speed / MIB);
        if (has_total && of > bytes)
            fprintf(stderr, "  %.0f s left", (double)(of - bytes) / speed);
    }
    fflush(stderr);
}

static enum ifd_exit exit_of(inferd_status s)
{
    if (ifd_pull_failed_on_disk())
        return IFD_EXIT_IO;
    switch (s) {
    case INFERD_OK:
        return IFD_EXIT_OK;
    case INFERD_INVALID_ARGUMENT:
        return IFD_EXIT_USAGE;
    case INFERD_MODEL_UNSUPPORTED:
        return IFD_EXIT_MODEL;
    case INFERD_NO_MEMORY:
    case INFERD_INTERNAL:
        return IFD_EXIT_INTERNAL;
    default:
        return IFD_EXIT_FETCH;
    }
}

static enum ifd_exit fail(enum ifd_exit code, const inferd_error *err)
{
    wipe();
    ifd_say_error("pull: %s", err->message);
    return code;
}

/* The token, unless it would go over the wire in clear. */
static inferd_status find_token(const char *endpoint, const char **out, inferd_error *err)
{
    const char *token = getenv("HF_TOKEN");
    *out = NULL;
    if (!token || !token[0])
        return INFERD_OK;
    if (strlen(token) > 1024 || strpbrk(token, " \t\r\n"))
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "HF_TOKEN is no token: it has blanks or is longer than 1024 characters");
    if (!ifd_fetch_is_safe(endpoint))
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "HF_TOKEN is not sent to %.120s: it would go in clear; use https, or unset "
                        "HF_TOKEN",
                        endpoint);
    *out = token;
    return INFERD_OK;
}

static inferd_status set_endpoint(const char *said, char *out, size_t size, inferd_error *err)
{
    char origin[320];
    size_t n = strlen(said);
    while (n > 0 && said[n - 1] == '/')
        n--;
    if (n == 0 || n >= size || !ifd_fetch_origin(said, origin, sizeof(origin)))
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "--endpoint %.120s is no http or https URL",
                        said);
    memcpy(out, said, n);
    out[n] = '\0';
    return INFERD_OK;
}

static enum ifd_exit run(const struct ifd_options *o, struct ifd_out *out)
{
    static struct ifd_store store;
    char endpoint[512];
    struct ifd_fetch fetch = {.endpoint = endpoint, .stall_ms = ifd_options_number(o, "timeout")};
    struct ifd_pull p = {.fetch = &fetch,
                         .store = &store,
                         .id = o->args[0],
                         .revision = ifd_options_text(o, "revision"),
                         .offline = ifd_options_flag(o, "offline"),
                         .note = note,
                         .progress = progress};
    const char *output = ifd_options_text(o, "output");
    inferd_error err;
    inferd_status s = ifd_hub_id_check(p.id, &err);
    if (!s)
        s = ifd_hub_revision_check(p.revision, &err);
    if (!s)
        s = set_endpoint(ifd_options_text(o, "endpoint"), endpoint, sizeof(endpoint), &err);
    if (!s)
        s = find_token(endpoint, &fetch.token, &err);
    if (s)
        return fail(IFD_EXIT_USAGE, &err);
    s = output ? ifd_store_open_output(&store, output, &err)
               : ifd_store_open_cache(&store, ifd_options_text(o, "cache-dir"), p.id, &err);
    if (s)
        return fail(IFD_EXIT_IO, &err);
    if (ifd_fetch_init(&fetch, &err))
        return fail(IFD_EXIT_INTERNAL, &err);
    view.terminal = ifd_say_terminal();
    s = ifd_pull(&p, &err);
    ifd_store_close(&store);
    ifd_fetch_fini(&fetch);
    if (s)
        return fail(exit_of(s), &err);
    wipe();
    ifd_buf_printf(&out->buf, "%s\n", store.model);
    return IFD_EXIT_OK;
}

static const char *get_environment(const char *name)
{
    return getenv(name);
}

int main(int argc, char **argv)
{
    static struct ifd_options o;
    struct ifd_out out;
    inferd_error err;
    enum ifd_exit code = IFD_EXIT_USAGE;
    signal(SIGPIPE, SIG_IGN);
    ifd_out_init(&out, STDOUT_FILENO);
    ifd_options_init(&o, ifd_pull_options, IFD_PULL_OPTION_COUNT);
    if (ifd_options_parse(&o, argc - 1, argv + 1, get_environment, &err)) {
        code = fail(IFD_EXIT_USAGE, &err);
    } else if (o.help) {
        ifd_buf_printf(&out.buf,
                       "Usage: inferd-pull [options] " IFD_PULL_ARGUMENTS "\n\n%s\nOptions:\n",
                       ifd_pull_about);
        ifd_options_help(&o, &out.buf);
        code = IFD_EXIT_OK;
    } else if (o.arg_count != 1) {
        ifd_say_error("pull: one " IFD_PULL_ARGUMENTS " is needed (inferd-pull --help)");
    } else {
        code = run(&o, &out);
    }
    enum ifd_exit written = ifd_out_finish(&out);
    ifd_out_fini(&out);
    return (int)(written ? written : code);
}
