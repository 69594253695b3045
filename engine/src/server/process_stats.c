/* SPDX-License-Identifier: Apache-2.0 */
#include "server/process_stats.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The first bytes of a small file, with NUL; false if it cannot be read. */
static int read_small(const char *path, char *out, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    const ssize_t n = read(fd, out, size - 1);
    close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* The n-th field (from 1) of a line; its end must be on the line. NULL if there is none. */
static const char *field(const char *s, unsigned n)
{
    while (s && --n > 0) {
        s = strchr(s, ' ');
        s = s ? s + 1 : NULL;
    }
    return s;
}

static void read_stat(struct ifd_process_stats *out)
{
    char text[1024];
    if (!read_small("/proc/self/stat", text, sizeof(text)))
        return;
    /* the name in parentheses may hold anything: count from its end, which is field 2 */
    const char *rest = strrchr(text, ')');
    rest = rest ? rest + 1 : NULL;
    const char *threads = field(rest, 20 - 1), *start = field(rest, 22 - 1);
    const char *bytes = field(rest, 23 - 1);
    struct timespec real, boot;
    const long ticks = sysconf(_SC_CLK_TCK);
    if (!bytes || ticks <= 0 || clock_gettime(CLOCK_REALTIME, &real) != 0 ||
        clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
        return;
    out->threads = strtod(threads, NULL);
    out->virtual_bytes = strtod(bytes, NULL);
    const double booted =
        (double)(real.tv_sec - boot.tv_sec) + (double)(real.tv_nsec - boot.tv_nsec) / 1e9;
    out->start_seconds = booted + strtod(start, NULL) / (double)ticks;
}

/* The length of the directory, without "." and "..". */
static double count_entries(const char *path)
{
    struct entry { /* linux_dirent64's head */
        uint64_t inode;
        int64_t offset;
        unsigned short size;
    };
    _Alignas(8) char buffer[16384];
    double entries = -2.0;
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1.0;
    long n;
    while ((n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0)
        for (long at = 0; at < n;) {
            struct entry e;
            memcpy(&e, buffer + at, sizeof(e));
            at += e.size;
            entries++;
        }
    close(fd);
    return n == 0 ? entries - 1.0 : -1.0; /* this descriptor is one of them */
}

static double open_files(void)
{
    struct stat st;
    /* since Linux 6.2 the size of that directory is the number of descriptors; before it, the size
     * is 0 and they have to be listed, which for 16,000 takes some milliseconds */
    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (double)st.st_size;
    return count_entries("/proc/self/fd");
}

void ifd_process_stats_read(struct ifd_process_stats *out)
{
    *out = (struct ifd_process_stats){-1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0};
    struct rusage use;
    struct rlimit files;
    char text[256];
    if (getrusage(RUSAGE_SELF, &use) == 0)
        out->cpu_seconds = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
        out->max_fds = (double)files.rlim_cur;
    out->open_fds = open_files();
    if (read_small("/proc/self/statm", text, sizeof(text)) && field(text, 2))
        out->resident_bytes = strtod(field(text, 2), NULL) * (double)sysconf(_SC_PAGESIZE);
    read_stat(out);
}
