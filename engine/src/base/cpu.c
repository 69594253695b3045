/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of the tiers and the choice of one. What this processor has is read afresh on each call
 * (cpu_x86.c, cpu_arm64.c or cpu_other.c): no state here, and nobody asks on a hot path.
 */
#include "base/cpu.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu_arch.h"
#include "base/utf8.h"

static const char *const tier_names[IFD_TIER_COUNT] = {
    [IFD_TIER_REF] = "ref",
    [IFD_TIER_AVX2] = "avx2",
    [IFD_TIER_AVXVNNI] = "avxvnni",
    [IFD_TIER_AVX512] = "avx512",
    [IFD_TIER_AVX512VNNI] = "avx512vnni",
    [IFD_TIER_AVX512BF16] = "avx512bf16",
    [IFD_TIER_AMX] = "amx",
    [IFD_TIER_NEON] = "neon",
    [IFD_TIER_NEONDOT] = "neondot",
    [IFD_TIER_NEONI8MM] = "neoni8mm",
    [IFD_TIER_NEONBF16] = "neonbf16",
};

const char *ifd_tier_name(enum ifd_tier tier)
{
    return (unsigned)tier < IFD_TIER_COUNT ? tier_names[tier] : "unknown";
}

bool ifd_cpu_has(enum ifd_tier tier)
{
    return (unsigned)tier < IFD_TIER_COUNT && (ifd_cpu_tiers() >> tier & 1u);
}

enum ifd_tier ifd_cpu_best(void)
{
    const uint32_t tiers = ifd_cpu_tiers() & ~ifd_cpu_tiers_slow();
    int best = IFD_TIER_COUNT - 1;
    while (!(tiers >> best & 1u))
        best--;
    return (enum ifd_tier)best;
}

static void list_tiers(char *out, size_t size, bool (*has)(enum ifd_tier))
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < IFD_TIER_COUNT; i++) {
        enum ifd_tier t = (enum ifd_tier)i;
        if (has && !has(t))
            continue;
        int n = snprintf(out + used, size - used, "%s%s", used ? ", " : "", tier_names[t]);
        if (n < 0 || (size_t)n >= size - used)
            return;
        used += (size_t)n;
    }
}

inferd_status ifd_cpu_choose(const char *name, enum ifd_tier *out, inferd_error *err)
{
    const char *from = "the tier option";
    if (!name || !*name) {
        name = getenv("INFERD_CPU");
        from = "INFERD_CPU";
    }
    if (!name || !*name) {
        *out = ifd_cpu_best();
        return INFERD_OK;
    }
    char list[128];
    for (int i = 0; i < IFD_TIER_COUNT; i++) {
        enum ifd_tier t = (enum ifd_tier)i;
        if (strcmp(name, tier_names[t]) != 0)
            continue;
        if (!ifd_cpu_has(t)) {
            list_tiers(list, sizeof(list), ifd_cpu_has);
            return ifd_fail(err, INFERD_CPU_UNSUPPORTED,
                            "%s asks for tier %s, which this CPU (or its operating system) lacks; "
                            "it has: %s",
                            from, tier_names[t], list);
        }
        *out = t;
        return INFERD_OK;
    }
    list_tiers(list, sizeof(list), NULL);
    /* the name may be any bytes: show no more of it than is well-formed text */
    size_t shown = strnlen(name, 32);
    shown = ifd_utf8_check(name, shown);
    return ifd_fail(err, INFERD_INVALID_ARGUMENT, "%s: unknown CPU tier '%.*s'; known: %s", from,
                    (int)shown, name, list);
}
