/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tune_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/jsondoc.h"

#define START_MS 120000u
#define LOG_BYTES 65536u

static void become(const char *const *args, int log)
{
    char *argv[IFD_TUNE_ARGS_MAX + 8];
    static char name[] = "inferd", serve[] = "serve", port[] = "--port=0",
                format[] = "--log-format=json", level[] = "--log-level=info", ui[] = "--ui=off";
    size_t n = 0;
    argv[n++] = name;
    argv[n++] = serve;
    argv[n++] = port;
    argv[n++] = format;
    argv[n++] = level;
    argv[n++] = ui;
    while (*args && n < IFD_TUNE_ARGS_MAX + 7)
        argv[n++] = (char *)(uintptr_t)*args++;
    argv[n] = NULL;
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* whatever ends us ends it */
    dup2(log, STDERR_FILENO);
    execv("/proc/self/exe", argv);
    _exit(127);
}

/* The line's event: 1 for "ready", with the URL; -1 for "failed", with why; 0 for another. */
static int look_at(const char *line, size_t n, char *url, size_t size, inferd_error *err)
{
    struct ifd_jsondoc *doc;
    int what = 0;
    if (ifd_jsondoc_parse(line, n, (size_t)1 << 20, &doc, NULL))
        return 0;
    const struct ifd_json_node *root = ifd_jsondoc_root(doc);
    const struct ifd_json_node *at = ifd_json_get(root, "url"),
                               *why = ifd_json_get(root, "message");
    if (ifd_json_is_str(ifd_json_get(root, "event"), "ready") && at && at->size < size) {
        memcpy(url, at->text, at->size + 1);
        what = 1;
    } else if (ifd_json_is_str(ifd_json_get(root, "event"), "failed")) {
        (void)ifd_fail(err, INFERD_IO, "the server could not start: %s", why ? why->text : "");
        what = -1;
    }
    ifd_jsondoc_free(doc);
    return what;
}

static inferd_status wait_until_ready(struct ifd_tune_server *s, inferd_error *err)
{
    static char text[LOG_BYTES];
    size_t used = 0;
    const uint64_t end_ns = ifd_clock_ns() + START_MS * (uint64_t)1000000;
    while (ifd_clock_ns() < end_ns) {
        struct pollfd p = {.fd = s->log, .events = POLLIN};
        if (poll(&p, 1, 200) <= 0)
            continue;
        ssize_t n = read(s->log, text + used, sizeof(text) - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ifd_fail(err, INFERD_IO, "the server ended before it was ready: %.*s",
                            (int)(used < 200 ? used : 200), text);
        used += (size_t)n;
        for (char *end; (end = memchr(text, '\n', used));) {
            const size_t line = (size_t)(end - text);
            const int what = look_at(text, line, s->url, sizeof(s->url), err);
            if (what)
                return what > 0 ? INFERD_OK : INFERD_IO;
            used -= line + 1;
            memmove(text, end + 1, used);
        }
        if (used == sizeof(text))
            used = 0;
    }
    return ifd_fail(err, INFERD_IO, "the server was not ready within %u s", START_MS / 1000);
}

inferd_status ifd_tune_server_start(struct ifd_tune_server *s, const char *const *args,
                                    inferd_error *err)
{
    int ends[2];
    *s = (struct ifd_tune_server){.log = -1};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return ifd_fail(err, INFERD_IO, "no pipe: %s", strerror(errno));
    s->pid = fork();
    if (s->pid == 0)
        become(args, ends[1]);
    close(ends[1]);
    s->log = ends[0];
    if (s->pid < 0) {
        s->pid = 0;
        ifd_tune_server_stop(s);
        return ifd_fail(err, INFERD_IO, "no process: %s", strerror(errno));
    }
    inferd_status status = wait_until_ready(s, err);
    if (status)
        ifd_tune_server_stop(s);
    return status;
}

void ifd_tune_server_stop(struct ifd_tune_server *s)
{
    int status;
    if (s->pid > 0) {
        kill(s->pid, SIGTERM);
        while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    if (s->pid > 0 || s->log > 0)
        close(s->log);
    *s = (struct ifd_tune_server){.log = -1};
}
