/* SPDX-License-Identifier: Apache-2.0
 *
 * x86-64: CPUID says what the processor can decode, XCR0 what the operating system saves at a task
 * switch; a tier needs both.
 */
#include <cpuid.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/cpu_arch.h"

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
/* leaf 1 EAX: of family 6, shared with processors that have no BF16 */
#define MODEL_COOPER_LAKE 0x55u
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

uint32_t ifd_cpu_tiers(void)
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

/* vdpbf16ps does two multiply-adds a lane. Intel's processors with a matrix unit leave bf16 to
 * that: on the one measured vdpbf16ps takes as long as four FMAs, so without the tiles' permission
 * FMAs do the same in half the time (docs/speed.md). Cooper Lake, and AMD's, are said to have it at
 * FMA's rate. By what is not Cooper Lake, since a hypervisor may hide the unit and show another
 * model. */
uint32_t ifd_cpu_tiers_slow(void)
{
    uint32_t a, b, c, d;
    __cpuid(0, a, b, c, d);
    if (b != signature_INTEL_ebx || c != signature_INTEL_ecx || d != signature_INTEL_edx ||
        !__get_cpuid(1, &a, &b, &c, &d))
        return 0;
    const uint32_t family = a >> 8 & 15u, model = (a >> 12 & 0xF0u) | (a >> 4 & 15u);
    return family == 6 && model == MODEL_COOPER_LAKE ? 0 : 1u << IFD_TIER_AVX512BF16;
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
