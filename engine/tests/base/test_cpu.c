/* SPDX-License-Identifier: Apache-2.0
 *
 * The choice of a tier: what it may be called, who wins, and what is refused.
 */
#include "base/cpu.h"
#include "test.h"

#if defined(__x86_64__)
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(ifd_tier_name(IFD_TIER_REF), "ref");
    assert_string_equal(ifd_tier_name(IFD_TIER_AVX2), "avx2");
    assert_string_equal(ifd_tier_name(IFD_TIER_AVXVNNI), "avxvnni");
    assert_string_equal(ifd_tier_name(IFD_TIER_AVX512), "avx512");
    assert_string_equal(ifd_tier_name(IFD_TIER_AVX512VNNI), "avx512vnni");
    assert_string_equal(ifd_tier_name(IFD_TIER_AVX512BF16), "avx512bf16");
    assert_string_equal(ifd_tier_name(IFD_TIER_AMX), "amx");
    assert_string_equal(ifd_tier_name(IFD_TIER_NEON), "neon");
    assert_string_equal(ifd_tier_name(IFD_TIER_NEONDOT), "neondot");
    assert_string_equal(ifd_tier_name(IFD_TIER_NEONI8MM), "neoni8mm");
    assert_string_equal(ifd_tier_name(IFD_TIER_NEONBF16), "neonbf16");
    assert_string_equal(ifd_tier_name(IFD_TIER_COUNT), "unknown");
}

/* AVX-VNNI stands alone: CPUs have it without AVX-512 and the other way round. */
static void test_tiers_are_what_the_cpu_has(void **state)
{
    (void)state;
    assert_true(ifd_cpu_has(IFD_TIER_REF));
    assert_false(ifd_cpu_has(IFD_TIER_COUNT));
    assert_true(ifd_cpu_has(ifd_cpu_best()));
    for (int t = ifd_cpu_best() + 1; t < IFD_TIER_COUNT; t++)
        if (t != IFD_TIER_AVX512BF16 || ifd_cpu_best() != IFD_TIER_AVX512VNNI)
            assert_false(ifd_cpu_has((enum ifd_tier)t));
    if (ifd_cpu_has(IFD_TIER_AVXVNNI) || ifd_cpu_has(IFD_TIER_AVX512))
        assert_true(ifd_cpu_has(IFD_TIER_AVX2));
    for (int t = IFD_TIER_AVX512VNNI; t <= IFD_TIER_AMX; t++)
        if (ifd_cpu_has((enum ifd_tier)t))
            assert_true(ifd_cpu_has((enum ifd_tier)(t - 1)));
    for (int t = IFD_TIER_NEONDOT; t <= IFD_TIER_NEONBF16; t++)
        if (ifd_cpu_has((enum ifd_tier)t))
            assert_true(ifd_cpu_has((enum ifd_tier)(t - 1)));
#if defined(__aarch64__)
    assert_true(ifd_cpu_has(IFD_TIER_NEON)); /* part of the architecture's base */
    for (int t = IFD_TIER_AVX2; t <= IFD_TIER_AMX; t++)
        assert_false(ifd_cpu_has((enum ifd_tier)t));
#else
    for (int t = IFD_TIER_NEON; t <= IFD_TIER_NEONBF16; t++)
        assert_false(ifd_cpu_has((enum ifd_tier)t));
#endif
    /* who runs the test on a processor that it knows may say which tier must be the best */
    const char *best = getenv("IFD_TEST_BEST_TIER");
    if (best)
        assert_string_equal(ifd_tier_name(ifd_cpu_best()), best);
#if defined(__x86_64__)
    /* the compiler's runtime asks the same hardware in its own way */
    __builtin_cpu_init();
    assert_int_equal(ifd_cpu_has(IFD_TIER_AVX2),
                     __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
    assert_int_equal(ifd_cpu_has(IFD_TIER_AVX512),
                     __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
    if (ifd_cpu_has(IFD_TIER_AVX512))
        assert_int_equal(ifd_cpu_has(IFD_TIER_AVX512VNNI), !!__builtin_cpu_supports("avx512vnni"));
#endif
}

#if defined(__x86_64__)
/* From here on Linux refuses the tiles of AMX to this process: arch_prctl(ARCH_REQ_XCOMP_PERM). */
static bool refuse_tiles(void)
{
    const struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_arch_prctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x1023, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof(rules) / sizeof(rules[0]),
                                       (struct sock_filter *)rules};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* What a child sees that may not use the tiles: its best tier. */
static void test_best_without_tiles(void **state)
{
    (void)state;
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(!refuse_tiles() || ifd_cpu_has(IFD_TIER_AMX) ? 100 : (int)ifd_cpu_best());
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    const int best = WEXITSTATUS(status);
    assert_int_not_equal(best, 100);
    print_message("best tier without tiles: %s\n", ifd_tier_name((enum ifd_tier)best));
    assert_true(ifd_cpu_has((enum ifd_tier)best));
    if (!ifd_cpu_has(IFD_TIER_AVX512BF16))
        return;
    const bool half_rate = __builtin_cpu_is("intel") && !__builtin_cpu_is("cooperlake");
    assert_int_equal(best, half_rate ? IFD_TIER_AVX512VNNI : IFD_TIER_AVX512BF16);
    enum ifd_tier named; /* and it can be had by name */
    inferd_error err;
    assert_ok(ifd_cpu_choose("avx512bf16", &named, &err), err);
    assert_int_equal(named, IFD_TIER_AVX512BF16);
}
#endif

static void test_choice(void **state)
{
    (void)state;
    inferd_error err;
    enum ifd_tier tier = IFD_TIER_COUNT;
    unsetenv("INFERD_CPU");
    assert_ok(ifd_cpu_choose(NULL, &tier, &err), err);
    assert_int_equal(tier, ifd_cpu_best());
    assert_ok(ifd_cpu_choose("ref", &tier, &err), err);
    assert_int_equal(tier, IFD_TIER_REF);
    setenv("INFERD_CPU", "ref", 1);
    tier = IFD_TIER_COUNT;
    assert_ok(ifd_cpu_choose(NULL, &tier, &err), err);
    assert_int_equal(tier, IFD_TIER_REF);
    assert_ok(ifd_cpu_choose(ifd_tier_name(ifd_cpu_best()), &tier, &err), err); /* name wins */
    assert_int_equal(tier, ifd_cpu_best());
    setenv("INFERD_CPU", "", 1); /* empty is unset */
    assert_ok(ifd_cpu_choose(NULL, &tier, &err), err);
    assert_int_equal(tier, ifd_cpu_best());
    unsetenv("INFERD_CPU");
}

static void test_refusals(void **state)
{
    (void)state;
    inferd_error err;
    enum ifd_tier tier = IFD_TIER_COUNT;
    assert_fails(ifd_cpu_choose("sse2", &tier, &err), INFERD_INVALID_ARGUMENT, err,
                 "known: ref, avx2, avxvnni, avx512, avx512vnni, avx512bf16, amx, neon, neondot, "
                 "neoni8mm, neonbf16");
    assert_fails(ifd_cpu_choose("AVX2", &tier, &err), INFERD_INVALID_ARGUMENT, err, "'AVX2'");
    setenv("INFERD_CPU", "fast\xFF", 1);
    assert_fails(ifd_cpu_choose(NULL, &tier, &err), INFERD_INVALID_ARGUMENT, err, "INFERD_CPU");
    assert_non_null(strstr(err.message, "'fast'"));
    unsetenv("INFERD_CPU");
    assert_int_equal(tier, IFD_TIER_COUNT);  /* untouched */
    for (int t = 0; t < IFD_TIER_COUNT; t++) /* one of another architecture is never there */
        if (!ifd_cpu_has((enum ifd_tier)t))
            assert_fails(ifd_cpu_choose(ifd_tier_name((enum ifd_tier)t), &tier, &err),
                         INFERD_CPU_UNSUPPORTED, err, "lacks");
    assert_int_equal(ifd_cpu_choose("nothing", &tier, NULL), INFERD_INVALID_ARGUMENT);
}

static void test_model_name(void **state)
{
    (void)state;
    char name[64] = "", tiny[4];
    ifd_cpu_model_name(name, sizeof(name));
    print_message("cpu: %s, best tier %s\n", name, ifd_tier_name(ifd_cpu_best()));
    assert_true(strlen(name) > 0 && name[0] != ' ');
    ifd_cpu_model_name(tiny, sizeof(tiny));
    assert_int_equal(strlen(tiny), 3);
    assert_memory_equal(tiny, name, 3);
    tiny[0] = 'x';
    ifd_cpu_model_name(tiny, 0);
    assert_int_equal(tiny[0], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_tiers_are_what_the_cpu_has),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_model_name),
#if defined(__x86_64__)
        cmocka_unit_test(test_best_without_tiles),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
