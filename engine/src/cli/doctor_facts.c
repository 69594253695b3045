/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts of the machine, from /proc and /sys. Memory and throttling are those of cgroup v2, level by
 * level up to the root that this process sees.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cpu.h"
#include "cli/doctor.h"

#define TEXT_BYTES 65536u

/* Up to TEXT_BYTES - 1 bytes of it, NUL-terminated; "" when it cannot be read. */
static const char *read_file(const char *root, const char *path)
{
    static char text[TEXT_BYTES]; /* the main thread's */
    char full[4096];
    size_t used = 0;
    snprintf(full, sizeof(full), "%s%s", root, path);
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    for (ssize_t n = 1; fd >= 0 && n > 0 && used<sizeof(text) - 1; used += n> 0 ? (size_t)n : 0)
        n = read(fd, text + used, sizeof(text) - 1 - used);
    if (fd >= 0)
        close(fd);
    text[used] = '\0';
    return text;
}

/* The number behind `key` at the start of a line; 0 when it is not there. */
static uint64_t number_of(const char *text, const char *key)
{
    const size_t n = strlen(key);
    for (const char *s = text; s; s = strchr(s, '\n') ? strchr(s, '\n') + 1 : NULL)
        if (strncmp(s, key, n) == 0)
            return strtoull(s + n, NULL, 10);
    return 0;
}

static bool has_flag(const char *text, const char *flag)
{
    const char *flags = strstr(text, "\nflags");
    const size_t n = strlen(flag);
    for (const char *s = flags; s && (s = strstr(s, flag)); s += n)
        if (s[-1] == ' ' && (s[n] == ' ' || s[n] == '\n' || s[n] == '\0'))
            return true;
    return false;
}

/* This process's group in v2's hierarchy, from the root of its mount: "/" in a container. */
static void find_group(const char *root, char *out, size_t size)
{
    const char *line = strstr(read_file(root, "/proc/self/cgroup"), "0::");
    const size_t n = line ? strcspn(line + 3, "\n") : 0;
    snprintf(out, size, "%.*s", n < size ? (int)n : 0, line ? line + 3 : "");
    if (strcmp(out, "/") == 0)
        out[0] = '\0';
}

static void read_group(const char *root, struct ifd_doctor_facts *f)
{
    char group[2048], path[2304];
    find_group(root, group, sizeof(group));
    for (;;) {
        snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", group);
        const uint64_t most = strtoull(read_file(root, path), NULL, 10); /* "max": 0 */
        if (most && (!f->memory_max || most < f->memory_max)) {
            f->memory_max = most;
            snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.current", group);
            f->memory_used = strtoull(read_file(root, path), NULL, 10);
        }
        snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.stat", group);
        const char *text = read_file(root, path);
        const uint64_t throttled = number_of(text, "nr_throttled ");
        if (throttled >= f->throttled && number_of(text, "nr_periods ")) {
            f->throttled = throttled;
            f->periods = number_of(text, "nr_periods ");
        }
        char *slash = strrchr(group, '/');
        if (!slash)
            return;
        *slash = '\0';
    }
}

/* "always [madvise] never": the word in brackets. */
static void chosen(const char *text, char *out, size_t size)
{
    const char *from = strchr(text, '[');
    const size_t n = from ? strcspn(from + 1, "]") : 0;
    snprintf(out, size, "%.*s", n < size ? (int)n : 0, from ? from + 1 : "");
}

void ifd_doctor_read_machine(const char *root, struct ifd_doctor_facts *f)
{
    cpu_set_t set;
    struct rlimit files;
    const char *text = read_file(root, "/proc/cpuinfo");
    f->flag_vnni = has_flag(text, "avx512_vnni") || has_flag(text, "avx_vnni");
    f->flag_amx = has_flag(text, "amx_int8");
    ifd_cpu_model_name(f->cpu, sizeof(f->cpu));
    f->best_tier = ifd_tier_name(ifd_cpu_best());
    f->affinity = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    f->quota = ifd_cgroup_cpu_quota(root);
    text = read_file(root, "/proc/loadavg");
    f->load_1min = text[0] ? strtod(text, NULL) : -1.0;
    text = read_file(root, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    snprintf(f->governor, sizeof(f->governor), "%.*s", (int)strcspn(text, "\n"), text);
    f->memory_available = number_of(read_file(root, "/proc/meminfo"), "MemAvailable:") * 1024;
    chosen(read_file(root, "/sys/kernel/mm/transparent_hugepage/enabled"), f->huge_pages,
           sizeof(f->huge_pages));
    f->backlog = (unsigned)strtoul(read_file(root, "/proc/sys/net/core/somaxconn"), NULL, 10);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        f->files_soft = files.rlim_cur;
        f->files_hard = files.rlim_max;
    }
    read_group(root, f);
}
