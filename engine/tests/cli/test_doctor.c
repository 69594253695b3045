/* SPDX-License-Identifier: Apache-2.0
 *
 * What facts mean, one at a time, and facts read from a tree of files as a container sees them.
 */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/doctor.h"

#define MIB ((uint64_t)1 << 20)

/* A machine with nothing to say about. */
static struct ifd_doctor_facts good(void)
{
    return (struct ifd_doctor_facts){.cpu = "a CPU",
                                     .tier = "amx",
                                     .best_tier = "amx",
                                     .flag_amx = true,
                                     .affinity = 8,
                                     .quota = 4,
                                     .threads = 4,
                                     .load_1min = 0.5,
                                     .governor = "performance",
                                     .periods = 1000,
                                     .throttled = 10,
                                     .memory_available = 4096 * MIB,
                                     .memory_max = 2048 * MIB,
                                     .memory_used = 100 * MIB,
                                     .huge_pages = "madvise",
                                     .files_soft = 1024,
                                     .files_hard = 65536,
                                     .max_connections = 16384,
                                     .backlog = 4096,
                                     .host = "127.0.0.1",
                                     .port = 8000,
                                     .model = "m",
                                     .architecture = "Bert",
                                     .dtype = "int8",
                                     .label = "POSITIVE 0.98",
                                     .has_manifest = true,
                                     .finite = true,
                                     .weight_bytes = 100 * MIB,
                                     .load_s = 0.1,
                                     .short_ms = 1.0,
                                     .long_ms = 9.0,
                                     .has_pull = true};
}

static struct ifd_doctor_finding found[IFD_DOCTOR_FINDINGS];

/* The finding called `check`. */
static const struct ifd_doctor_finding *judge(const struct ifd_doctor_facts *f, const char *check)
{
    const unsigned count = ifd_doctor_judge(f, found);
    for (unsigned i = 0; i < count; i++)
        if (strcmp(found[i].check, check) == 0)
            return &found[i];
    fail_msg("no finding %s", check);
    return NULL;
}

static void nothing_to_say(void **state)
{
    (void)state;
    const struct ifd_doctor_facts f = good();
    const unsigned count = ifd_doctor_judge(&f, found);
    assert_int_equal(count, 10);
    for (unsigned i = 0; i < count; i++) {
        if (found[i].level != IFD_DOCTOR_OK)
            fail_msg("%s: %s", found[i].check, found[i].advice);
        assert_string_equal(found[i].advice, "");
        assert_true(strlen(found[i].text) > 5);
    }
}

static void each_fact_has_its_finding(void **state)
{
    (void)state;
#define CASE(change, check_name, level_wanted, part)                                         \
    do {                                                                                     \
        struct ifd_doctor_facts f = good();                                                  \
        change;                                                                              \
        const struct ifd_doctor_finding *n = judge(&f, check_name);                          \
        if (n->level != (level_wanted) || !strstr(n->advice, part))                          \
            fail_msg("%s: %s says %s: %s", #change, check_name, ifd_doctor_levels[n->level], \
                     n->advice);                                                             \
        for (unsigned i = 0; i < 10; i++) /* and no other says anything */                   \
            if (&found[i] != n && found[i].level > IFD_DOCTOR_OK &&                          \
                strcmp(found[i].check, "speed"))                                             \
                fail_msg("%s: %s says %s", #change, found[i].check, found[i].advice);        \
    } while (0)
    CASE((f.tier = "avx2", f.tier_forced = true), "cpu", IFD_DOCTOR_HINT, "unset INFERD_CPU");
    CASE((f.tier = f.best_tier = "avx512vnni"), "cpu", IFD_DOCTOR_HINT, "does not permit it");
    CASE((f.tier = f.best_tier = "avx2", f.flag_amx = false), "cpu", IFD_DOCTOR_HINT, "VNNI");
    CASE((f.tier = f.best_tier = "ref", f.flag_amx = false), "cpu", IFD_DOCTOR_WARN, "plain C");
    CASE((f.threads = 5), "processors", IFD_DOCTOR_WARN, "--threads 5 on 4 processors");
    CASE((f.throttled = 51), "processors", IFD_DOCTOR_WARN, "throttled in 5 %");
    CASE((f.load_1min = 6.1), "processors", IFD_DOCTOR_WARN, "load average is 6.1");
    CASE((snprintf(f.governor, 32, "powersave")), "processors", IFD_DOCTOR_HINT, "powersave");
    CASE((f.memory_max = 150 * MIB, f.memory_used = 0), "memory", IFD_DOCTOR_FAIL, "164 MiB");
    CASE((f.memory_available = 150 * MIB), "memory", IFD_DOCTOR_WARN, "make room");
    CASE((f.memory_used = 1900 * MIB), "memory", IFD_DOCTOR_WARN, "make room");
    CASE((f.memory_available = 200 * MIB), "memory", IFD_DOCTOR_HINT, "second model");
    CASE((snprintf(f.huge_pages, 16, "never")), "huge pages", IFD_DOCTOR_HINT, "echo madvise");
    CASE((f.files_hard = 1024), "open files", IFD_DOCTOR_WARN, "--max-connections 16384");
    CASE((f.backlog = 128), "backlog", IFD_DOCTOR_HINT, "somaxconn=4096");
    CASE((f.port_errno = EADDRINUSE), "address", IFD_DOCTOR_FAIL, "another --port");
    CASE((f.port_errno = EADDRINUSE, f.port_answers = true), "address", IFD_DOCTOR_HINT,
         "second one");
    CASE((f.finite = false), "model", IFD_DOCTOR_FAIL, "not finite");
    CASE((f.has_manifest = false), "model", IFD_DOCTOR_HINT, "--write-manifest");
    CASE((f.has_pull = false), "inferd-pull", IFD_DOCTOR_HINT, "libcurl");
    CASE((snprintf(f.dtype, 16, "fp32")), "speed", IFD_DOCTOR_HINT, "--dtype int8");
#undef CASE
    struct ifd_doctor_facts f = good();
    ifd_fail(&f.model_error, INFERD_MODEL_INVALID, "m/config.json: damaged");
    const struct ifd_doctor_finding *n = judge(&f, "model");
    assert_int_equal(n->level, IFD_DOCTOR_FAIL);
    assert_non_null(strstr(n->text, "m/config.json: damaged"));
    f.memory_available = 0;
    assert_non_null(strstr(judge(&f, "memory")->text, "not known"));
}

static char root[64];

static void put(const char *path, const char *text)
{
    char full[256];
    snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *c = full + strlen(root) + 1; *c; c++)
        if (*c == '/') {
            *c = '\0';
            mkdir(full, 0777);
            *c = '/';
        }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void a_container_s_files(void **state)
{
    (void)state;
    struct ifd_doctor_facts f = {0};
    char command[128];
    snprintf(root, sizeof(root), "/tmp/inferd-doctor-XXXXXX");
    assert_non_null(mkdtemp(root));
    put("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu amx_bf16 amx_int8 avx512_vnni\n");
    put("/proc/loadavg", "3.25 2.00 1.00 1/200 12345\n");
    put("/proc/meminfo", "MemTotal:       16384 kB\nMemAvailable:    8192 kB\n");
    put("/proc/self/cgroup", "0::/pods/one\n");
    put("/proc/self/mountinfo", "");
    put("/proc/sys/net/core/somaxconn", "128\n");
    put("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
    put("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    put("/sys/fs/cgroup/pods/memory.max", "1000000\n"); /* the level above is the narrower one */
    put("/sys/fs/cgroup/pods/memory.current", "1234\n");
    put("/sys/fs/cgroup/pods/one/memory.max", "2000000\n");
    put("/sys/fs/cgroup/pods/one/cpu.stat", "usage_usec 5\nnr_periods 100\nnr_throttled 7\n");
    ifd_doctor_read_machine(root, &f);
    assert_true(f.flag_amx && f.flag_vnni);
    assert_true(f.load_1min == 3.25);
    assert_int_equal(f.memory_available, 8192 * 1024);
    assert_int_equal(f.memory_max, 1000000);
    assert_int_equal(f.memory_used, 1234);
    assert_int_equal(f.throttled, 7);
    assert_int_equal(f.periods, 100);
    assert_int_equal(f.backlog, 128);
    assert_string_equal(f.huge_pages, "never");
    assert_string_equal(f.governor, "powersave");
    assert_true(f.affinity >= 1);
    put("/proc/cpuinfo", "flags\t\t: fpu amx_int80 xavx_vnni\n"); /* names that only begin alike */
    put("/sys/fs/cgroup/pods/memory.max", "max\n");
    put("/sys/fs/cgroup/pods/one/memory.max", "max\n");
    f = (struct ifd_doctor_facts){0};
    ifd_doctor_read_machine(root, &f);
    assert_false(f.flag_amx || f.flag_vnni);
    assert_int_equal(f.memory_max, 0);
    snprintf(command, sizeof(command), "rm -r %s", root);
    assert_int_equal(system(command), 0);
    f = (struct ifd_doctor_facts){0};
    ifd_doctor_read_machine(root, &f); /* nothing there: nothing known */
    assert_true(f.load_1min < 0.0);
    assert_int_equal(f.memory_available, 0);
    assert_string_equal(f.huge_pages, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_say),
        cmocka_unit_test(each_fact_has_its_finding),
        cmocka_unit_test(a_container_s_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
