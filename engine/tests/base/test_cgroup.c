/* SPDX-License-Identifier: Apache-2.0
 *
 * Each tree under cgroup/ is what a process saw: its /proc/self/cgroup and mountinfo, and the quota
 * files. They are kept as one text file per tree ("== path" lines, then content) and laid out in a
 * scratch directory here, because a path of a cgroup may hold what a repository should not.
 */
#include "test.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"

static char root[128];

static void make_parents(char *path)
{
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(path, 0700) != 0)
            assert_int_equal(errno, EEXIST);
        *slash = '/';
    }
}

static void lay_out(const char *tree)
{
    char name[128], text[1024], path[sizeof(root) + sizeof(text)];
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof(root), "%.80s/ifd-cgroup-XXXXXX", tmp && strlen(tmp) < 80 ? tmp : "/tmp");
    assert_non_null(mkdtemp(root));
    snprintf(name, sizeof(name), "cgroup/%s.tree", tree);
    FILE *f = fopen(name, "r"), *out = NULL;
    if (!f)
        fail_msg("no %s", name);
    while (fgets(text, sizeof(text), f)) {
        if (strncmp(text, "== ", 3) == 0) {
            if (out)
                fclose(out);
            text[strcspn(text, "\n")] = '\0';
            snprintf(path, sizeof(path), "%s%s", root, text + 3);
            make_parents(path);
            out = fopen(path, "w");
            assert_non_null(out);
        } else if (out) {
            fputs(text, out);
        }
    }
    if (out)
        fclose(out);
    fclose(f);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void clear(void)
{
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void recorded_trees(void **state)
{
    (void)state;
    static const struct {
        const char *tree;
        unsigned cpus;
    } trees[] = {
        {"v2_namespace", 2},           /* a container's own namespace: "0::/", cpu.max 200000 */
        {"v2_max", 0},                 /* "max 100000" at each level */
        {"v2_fraction", 1},            /* half a processor counts as one */
        {"v2_round_up", 3},            /* 2.5 processors: 3 */
        {"v2_nested_parent_lower", 2}, /* the pod's quota is below the container's */
        {"v2_nested_child_lower", 1},
        {"v2_no_file", 0},       /* the root group has no cpu.max */
        {"v2_bind_mount", 4},    /* the mount shows the group itself, the path is the host's */
        {"v2_outside_mount", 6}, /* "/../other": only the mount's top can be asked */
        {"v2_escaped_mount", 5}, /* a mount point with a space */
        {"v1_quota", 4},
        {"v1_no_quota", 0}, /* -1 */
        {"v1_fraction", 2}, /* 150000 / 100000 */
        {"v1_nested", 3},
        {"v1_bind_mount", 2},
        {"v1_cpuacct_first", 2}, /* "cpuacct,cpu" */
        {"v1_not_cpuset", 0},    /* a quota file in another hierarchy is not ours */
        {"v1_no_period", 0},
        {"hybrid", 2},  /* v1 controllers beside an empty v2 */
        {"garbage", 0}, /* files that hold nonsense */
        {"zero_period", 0},
        {"huge", 0}, /* more than any machine has: no limit */
        {"no_mountinfo", 0},
    };
    unsigned with_quota = 0;
    for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
        lay_out(trees[i].tree);
        unsigned got = ifd_cgroup_cpu_quota(root);
        clear();
        if (got != trees[i].cpus)
            fail_msg("%s: want %u, got %u", trees[i].tree, trees[i].cpus, got);
        with_quota += got != 0;
    }
    assert_true(with_quota >= 12); /* the trees are read at all */
}

static void what_cannot_be_read_limits_nothing(void **state)
{
    (void)state;
    assert_int_equal(ifd_cgroup_cpu_quota("/no/such/root"), 0);
    lay_out("v2_namespace");
    char path[256];
    snprintf(path, sizeof(path), "%s/sys/fs/cgroup/cpu.max", root);
    assert_int_equal(ifd_cgroup_cpu_quota(root), 2);
    if (geteuid() != 0) {
        assert_int_equal(chmod(path, 0), 0);
        assert_int_equal(ifd_cgroup_cpu_quota(root), 0);
    }
    assert_int_equal(remove(path), 0);
    assert_int_equal(mkdir(path, 0700), 0); /* a directory cannot be read by anyone */
    assert_int_equal(ifd_cgroup_cpu_quota(root), 0);
    clear();
}

static void the_budget_is_at_least_one(void **state)
{
    (void)state;
    long configured = sysconf(_SC_NPROCESSORS_CONF);
    unsigned budget = ifd_cpu_budget();
    assert_true(budget >= 1);
    assert_true((long)budget <= configured);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_trees),
        cmocka_unit_test(what_cannot_be_read_limits_nothing),
        cmocka_unit_test(the_budget_is_at_least_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
