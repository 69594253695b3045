/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/self/cgroup names this process's group in each hierarchy, /proc/self/mountinfo where the
 * hierarchies are mounted and which of their directories is the root of the mount: inside a
 * container the two meet in one of three ways (own namespace, bind mount, neither). A level whose
 * file cannot be read limits nothing.
 */
#include "base/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

#define PATH_BYTES 4096u
#define LIST_BYTES ((size_t)1 << 20)

/* One hierarchy that may limit processors. */
struct hierarchy {
    bool v2;
    char group[PATH_BYTES]; /* of this process, from the hierarchy's root; "" when not found */
    char mount[PATH_BYTES]; /* directory of the mount */
    char root[PATH_BYTES];  /* which group the mount shows at its top */
};

/* The whole file, NUL-terminated; false when it cannot be read or is too large. /proc files have no
 * size, so this reads until the end. */
static bool read_text(const char *root, const char *path, struct ifd_buf *b)
{
    char full[2 * PATH_BYTES];
    int n = snprintf(full, sizeof(full), "%s%s", root, path);
    if (n < 0 || (size_t)n >= sizeof(full))
        return false;
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ifd_buf_reset(b);
    ssize_t got = -1;
    for (char *to; (to = ifd_buf_reserve(b, 1024));) {
        got = read(fd, to, 1024);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        ifd_buf_commit(b, (size_t)got);
    }
    close(fd);
    ifd_buf_add_char(b, '\0');
    return got == 0 && !b->failed;
}

static bool copy_path(char *to, const char *from, size_t n)
{
    if (n >= PATH_BYTES)
        return false;
    memcpy(to, from, n);
    to[n] = '\0';
    return true;
}

/* Whether a comma-separated list has `word`. */
static bool list_has(const char *list, size_t n, const char *word)
{
    size_t k = strlen(word);
    for (const char *end = list + n; list < end;) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        size_t part = (size_t)((comma ? comma : end) - list);
        if (part == k && memcmp(list, word, k) == 0)
            return true;
        list += part + 1;
    }
    return false;
}

/* A line of /proc/self/cgroup: "ID:CONTROLLERS:PATH"; v2 is ID 0 without controllers. */
static void find_groups(const char *text, struct hierarchy *v1, struct hierarchy *v2)
{
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        const char *first = memchr(line, ':', n);
        const char *second = first ? memchr(first + 1, ':', (size_t)(line + n - first - 1)) : NULL;
        if (second) {
            size_t controllers = (size_t)(second - first - 1);
            struct hierarchy *h = NULL;
            if (controllers == 0)
                h = v2;
            else if (list_has(first + 1, controllers, "cpu"))
                h = v1;
            if (h && !copy_path(h->group, second + 1, (size_t)(line + n - second - 1)))
                h->group[0] = '\0';
        }
        line += n + (line[n] == '\n');
    }
}

/* Undo the octal escapes of mountinfo (space, tab, line feed, backslash), in place. */
static void unescape(char *path)
{
    char *to = path;
    for (const char *from = path; *from; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
            from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
            *to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* A line of mountinfo: "id parent dev ROOT MOUNT options [tags] - TYPE source SUPEROPTIONS". The
 * first mount of a hierarchy wins. */
static void find_mount(const char *line, size_t n, struct hierarchy *v1, struct hierarchy *v2)
{
    const char *field[5];
    size_t size[5], count = 0;
    const char *end = line + n;
    const char *at = line;
    for (; count < 5 && at < end; count++) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        field[count] = at;
        size[count] = (size_t)((space ? space : end) - at);
        at += size[count] + 1;
    }
    const char *dash = count == 5 && at < end ? memmem(at, (size_t)(end - at), " - ", 3) : NULL;
    if (!dash)
        return;
    const char *type = dash + 3;
    size_t rest = (size_t)(end - type);
    struct hierarchy *h = NULL;
    if (rest > 8 && memcmp(type, "cgroup2 ", 8) == 0) {
        h = v2;
    } else if (rest > 7 && memcmp(type, "cgroup ", 7) == 0) {
        const char *options = memrchr(type, ' ', rest);
        if (list_has(options + 1, (size_t)(end - options - 1), "cpu"))
            h = v1;
    }
    if (!h || h->mount[0] || !copy_path(h->root, field[3], size[3]) ||
        !copy_path(h->mount, field[4], size[4]))
        return;
    unescape(h->root);
    unescape(h->mount);
}

static void find_mounts(const char *text, struct hierarchy *v1, struct hierarchy *v2)
{
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        find_mount(line, n, v1, v2);
        line += n + (line[n] == '\n');
    }
}

/* A decimal number >= 0 and what follows it. */
static bool number(const char *s, uint64_t *out, const char **after)
{
    char *end;
    if (*s < '0' || *s > '9')
        return false;
    errno = 0;
    *out = strtoull(s, &end, 10);
    if (errno)
        return false;
    if (after)
        *after = end;
    return true;
}

/* Processors of one level, 0 for no limit. */
static unsigned whole_cpus(uint64_t quota, uint64_t period)
{
    if (quota == 0 || period == 0)
        return 0;
    uint64_t cpus = quota / period + (quota % period != 0);
    return cpus > UINT16_MAX ? 0 : (unsigned)cpus;
}

static unsigned level_quota(const char *root, const char *dir, bool v2, struct ifd_buf *b)
{
    char path[PATH_BYTES + 32];
    uint64_t quota, period;
    const char *after;
    if (v2) {
        snprintf(path, sizeof(path), "%s/cpu.max", dir);
        if (!read_text(root, path, b) || !number(b->data, &quota, &after) || *after != ' ' ||
            !number(after + 1, &period, NULL))
            return 0; /* "max 100000" ends here too */
        return whole_cpus(quota, period);
    }
    snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", dir);
    if (!read_text(root, path, b) || !number(b->data, &quota, NULL)) /* -1: none */
        return 0;
    snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", dir);
    if (!read_text(root, path, b) || !number(b->data, &period, NULL))
        return 0;
    return whole_cpus(quota, period);
}

static unsigned least(unsigned a, unsigned b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Where the group's directory is seen: the mount, and the part of the group below the mount's root.
 * A group outside that root (a container without a namespace of its own) is seen at the mount. */
static const char *below_mount(const struct hierarchy *h)
{
    size_t n = strlen(h->root);
    if (n == 1) /* "/" */
        n = 0;
    if (strstr(h->group, "/..") || strncmp(h->group, h->root, n) != 0)
        return "";
    return h->group[n] == '/' || h->group[n] == '\0' ? h->group + n : "";
}

static unsigned hierarchy_quota(const char *root, const struct hierarchy *h, struct ifd_buf *b)
{
    if (!h->group[0] || !h->mount[0])
        return 0;
    char dir[PATH_BYTES];
    int n = snprintf(dir, sizeof(dir), "%s%s", h->mount, below_mount(h));
    if (n < 0 || (size_t)n >= sizeof(dir))
        return 0;
    size_t top = strlen(h->mount), at = (size_t)n;
    unsigned quota = 0;
    for (;;) {
        while (at > top && dir[at - 1] == '/')
            at--;
        dir[at] = '\0';
        quota = least(quota, level_quota(root, dir, h->v2, b));
        if (at == top)
            return quota;
        while (at > top && dir[at - 1] != '/')
            at--;
    }
}

unsigned ifd_cgroup_cpu_quota(const char *root)
{
    struct hierarchy v1 = {0}, v2 = {.v2 = true};
    struct ifd_buf b;
    unsigned quota = 0;
    ifd_buf_init(&b, LIST_BYTES);
    if (!read_text(root, "/proc/self/cgroup", &b))
        goto out;
    find_groups(b.data, &v1, &v2);
    if (!read_text(root, "/proc/self/mountinfo", &b))
        goto out;
    find_mounts(b.data, &v1, &v2);
    quota = least(hierarchy_quota(root, &v1, &b), hierarchy_quota(root, &v2, &b));
out:
    ifd_buf_fini(&b);
    return quota;
}

unsigned ifd_cpu_budget(void)
{
    /* cpu_set_t ends at 1024 processors; the kernel refuses a mask that is too small. */
    union {
        cpu_set_t set;
        unsigned long words[1024];
    } mask;
    memset(&mask, 0, sizeof(mask));
    int cpus = 0;
    if (sched_getaffinity(0, sizeof(mask), &mask.set) == 0)
        cpus = CPU_COUNT_S(sizeof(mask), &mask.set);
    return least(cpus > 0 ? (unsigned)cpus : 1, ifd_cgroup_cpu_quota(""));
}
