/* SPDX-License-Identifier: Apache-2.0
 *
 * The choice of a tier: what it may be called, who wins, and what is refused.
 */
#include "base/cpu.h"
#include "test.h"

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
        cmocka_unit_test(test_names),      cmocka_unit_test(test_tiers_are_what_the_cpu_has),
        cmocka_unit_test(test_choice),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_model_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
