/* SPDX-License-Identifier: Apache-2.0
 *
 * CPUID says what the processor can decode, XCR0 what the operating system saves at a task switch:
 * a tier needs both. Read afresh on each call: no state here, and nobody asks on a hot path.
 */
#include "base/cpu.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

static const char *const tier_names[IFD_TIER_COUNT] = {
    [IFD_TIER_REF] = "ref",
    [IFD_TIER_AVX2] = "avx2",
    [IFD_TIER_AVXVNNI] = "avxvnni",
    [IFD_TIER_AVX512] = "avx512",
    [IFD_TIER_AVX512VNNI] = "avx512vnni",
    [IFD_TIER_AVX512BF16] = "avx512bf16",
    [IFD_TIER_AMX] = "amx",
};

const char *ifd_tier_name(enum ifd_tier tier)
{
    return (unsigned)tier < IFD_TIER_COUNT ? tier_names[tier] : "unknown";
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* leaf 1 ECX */
#define BIT_FMA (1u << 12)
#define BIT_OSXSAVE (1u << 27)
#define BIT_AVX (1u << 28)
#define BIT_F16C (1u << 29)
/* leaf 7 subleaf 0 EBX */
#define BIT_AVX2 (1u << 5)
#define BIT_AVX512F (1u << 16)
#define BIT_AVX512DQ (1u << 17)
#define BIT_AVX512BW (1u << 30)
#define BIT_AVX512VL (1u << 31)
/* leaf 7 subleaf 0 ECX */
#define BIT_AVX512VNNI (1u << 11)
/* leaf 7 subleaf 0 EDX */
#define BIT_AMX_BF16 (1u << 22)
#define BIT_AMX_TILE (1u << 24)
#define BIT_AMX_INT8 (1u << 25)
/* leaf 7 subleaf 1 EAX */
#define BIT_AVXVNNI (1u << 4)
#define BIT_AVX512BF16 (1u << 5)
/* XCR0 */
#define STATE_YMM 0x06u     /* XMM and the upper halves of YMM */
#define STATE_ZMM 0xE0u     /* opmask, the upper halves of ZMM0-15, ZMM16-31 */
#define STATE_TILE 0x60000u /* tile configuration and data */
/* arch_prctl(2) */
#define REQUEST_STATE 0x1023
#define STATE_NUMBER_TILE_DATA 18

static uint32_t saved_state(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* The kernel keeps tile state out of processes that do not ask; asking again is harmless. */
static bool tiles_permitted(void)
{
    return syscall(SYS_arch_prctl, REQUEST_STATE, STATE_NUMBER_TILE_DATA) == 0;
}

/* Bit t: tier t can run. */
static uint32_t tiers_here(void)
{
    uint32_t a, b, c, d, a1 = 0, unused[3];
    uint32_t tiers = 1u << IFD_TIER_REF;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return tiers;
    const uint32_t avx = BIT_FMA | BIT_OSXSAVE | BIT_AVX | BIT_F16C;
    if ((c & avx) != avx) /* xgetbv itself needs OSXSAVE */
        return tiers;
    uint32_t state = saved_state();
    if ((state & STATE_YMM) != STATE_YMM || !__get_cpuid_count(7, 0, &a, &b, &c, &d) ||
        !(b & BIT_AVX2))
        return tiers;
    tiers |= 1u << IFD_TIER_AVX2;
    if (a >= 1) /* the highest subleaf */
        __get_cpuid_count(7, 1, &a1, &unused[0], &unused[1], &unused[2]);
    if (a1 & BIT_AVXVNNI)
        tiers |= 1u << IFD_TIER_AVXVNNI;
    const uint32_t avx512 = BIT_AVX512F | BIT_AVX512DQ | BIT_AVX512BW | BIT_AVX512VL;
    if ((b & avx512) != avx512 || (state & STATE_ZMM) != STATE_ZMM)
        return tiers;
    tiers |= 1u << IFD_TIER_AVX512;
    if (!(c & BIT_AVX512VNNI))
        return tiers;
    tiers |= 1u << IFD_TIER_AVX512VNNI;
    if (!(a1 & BIT_AVX512BF16))
        return tiers;
    tiers |= 1u << IFD_TIER_AVX512BF16;
    const uint32_t amx = BIT_AMX_TILE | BIT_AMX_INT8 | BIT_AMX_BF16;
    if ((d & amx) == amx && (state & STATE_TILE) == STATE_TILE && tiles_permitted())
        tiers |= 1u << IFD_TIER_AMX;
    return tiers;
}

void ifd_cpu_model_name(char *out, size_t size)
{
    if (!size)
        return;
    uint32_t regs[12];
    char brand[sizeof(regs) + 1] = {0};
    uint32_t a, b, c, d;
    if (__get_cpuid(0x80000000u, &a, &b, &c, &d) && a >= 0x80000004u) {
        for (uint32_t i = 0; i < 3; i++)
            __cpuid(0x80000002u + i, regs[4 * i], regs[4 * i + 1], regs[4 * i + 2],
                    regs[4 * i + 3]);
        memcpy(brand, regs, sizeof(regs));
    }
    /* A hypervisor may have put anything there; logs and /info want printable text. */
    const char *text = brand + strspn(brand, " ");
    size_t n = strlen(text);
    while (n && text[n - 1] == ' ')
        n--;
    for (size_t i = 0; i < n; i++)
        if (text[i] < 0x20 || text[i] > 0x7E)
            n = 0;
    snprintf(out, size, "%.*s", n ? (int)n : 7, n ? text : "unknown");
}
#else
static uint32_t tiers_here(void)
{
    return 1u << IFD_TIER_REF;
}

void ifd_cpu_model_name(char *out, size_t size)
{
    snprintf(out, size, "unknown");
}
#endif

bool ifd_cpu_has(enum ifd_tier tier)
{
    return (unsigned)tier < IFD_TIER_COUNT && (tiers_here() >> tier & 1u);
}

enum ifd_tier ifd_cpu_best(void)
{
    uint32_t tiers = tiers_here();
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
