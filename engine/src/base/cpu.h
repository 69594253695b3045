/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu.h - what this processor can run, as tiers of instruction sets.
 *
 * x86-64: a tier is a group of CPUID bits *and* the register state that the operating system saves
 * (XCR0): a CPU with AVX-512 under a kernel that does not save ZMM registers has no AVX-512 tier.
 * AMX also needs the process to ask Linux for the tiles' state; asking which tiers there are does
 * that. ARM64: a tier is a group of Linux's hardware capabilities. Source: Intel SDM vol. 1 ch. 13
 * and vol. 2 CPUID; Linux Documentation/arch/x86/xstate.rst and
 * Documentation/arch/arm64/elf_hwcaps.rst.
 * Thread-safe, no allocation.
 */
#ifndef IFD_BASE_CPU_H
#define IFD_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* In order of preference: the best is the last one that a CPU has, but for AVX512BF16 where its own
 * instruction is the slower way (cpu_x86.c). A CPU has no tier of another architecture. */
enum ifd_tier {
    IFD_TIER_REF,        /* plain C, any machine */
    IFD_TIER_AVX2,       /* AVX2, FMA, F16C; YMM state */
    IFD_TIER_AVXVNNI,    /* and AVX-VNNI: client CPUs without AVX-512 */
    IFD_TIER_AVX512,     /* AVX2's and AVX-512 F, BW, DQ, VL; ZMM state */
    IFD_TIER_AVX512VNNI, /* and AVX-512 VNNI */
    IFD_TIER_AVX512BF16, /* and AVX-512 BF16 */
    IFD_TIER_AMX,        /* and AMX TILE, INT8, BF16; tile state, permitted by Linux */
    IFD_TIER_NEON,       /* ARM64: Advanced SIMD, which every ARMv8-A has */
    IFD_TIER_NEONDOT,    /* and FEAT_DotProd */
    IFD_TIER_NEONI8MM,   /* and FEAT_I8MM */
    IFD_TIER_NEONBF16,   /* and FEAT_BF16 */
    IFD_TIER_COUNT
};

const char *ifd_tier_name(enum ifd_tier tier);
bool ifd_cpu_has(enum ifd_tier tier);
enum ifd_tier ifd_cpu_best(void);
/* The tier to use: `name`, or $INFERD_CPU when name is NULL, or the best. INFERD_INVALID_ARGUMENT
 * for an unknown name (lists the known), INFERD_CPU_UNSUPPORTED for one that this CPU lacks. */
IFD_MUST_CHECK inferd_status ifd_cpu_choose(const char *name, enum ifd_tier *out,
                                            inferd_error *err);
/* "Intel(R) Xeon(R) ..." into out (NUL-terminated), or "unknown". */
void ifd_cpu_model_name(char *out, size_t size);

#endif
