/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pull_run.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "inferd-pull"

void ifd_executable_dir(char *out, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", out, size - 1);
    if (n <= 0) {
        snprintf(out, size, ".");
        return;
    }
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
}

inferd_status ifd_pull_become(char **args, inferd_error *err)
{
    static char name[] = NAME;
    char path[PATH_MAX + sizeof(NAME) + 1], dir[PATH_MAX];
    ifd_executable_dir(dir, sizeof(dir));
    snprintf(path, sizeof(path), "%s/" NAME, dir);
    args[0] = name;
    execv(path, args);
    if (errno == ENOENT)
        execvp(NAME, args);
    return ifd_fail(err, INFERD_NOT_FOUND,
                    NAME " cannot be run (%s): it fetches models, and belongs beside inferd in "
                         "%.128s or in PATH; a build makes it where libcurl is installed",
                    strerror(errno), dir);
}

/* Its first line, without the end. */
static size_t read_line(int fd, char *out, size_t size)
{
    size_t used = 0;
    for (;;) {
        ssize_t n = read(fd, out + used, size - 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
        if (used == size - 1)
            break;
    }
    out[used] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return strlen(out);
}

inferd_status ifd_pull_run(const char *id, const char *revision, char *out, size_t size,
                           inferd_error *err)
{
    int ends[2], status = 0;
    char said[160];
    inferd_error why = {.status = INFERD_OK};
    if (pipe(ends) != 0)
        return ifd_fail(err, INFERD_IO, "no pipe for " NAME ": %s", strerror(errno));
    snprintf(said, sizeof(said), "--revision=%s", revision);
    char *args[] = {NULL, said, (char *)(uintptr_t)id, NULL};
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (ifd_pull_become(args, &why))
            fprintf(stderr, "inferd: %s\n", why.message);
        _exit(127);
    }
    close(ends[1]);
    const size_t got = pid > 0 ? read_line(ends[0], out, size) : 0;
    close(ends[0]);
    if (pid < 0)
        return ifd_fail(err, INFERD_IO, "no process for " NAME ": %s", strerror(errno));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && got > 0)
        return INFERD_OK;
    return ifd_fail(err, INFERD_IO,
                    "%.200s is no directory here, and could not be fetched as a repository (above)",
                    id);
}
