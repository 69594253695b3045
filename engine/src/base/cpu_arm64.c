/* SPDX-License-Identifier: Apache-2.0
 *
 * ARM64: Linux says in the auxiliary vector what user space may execute, which covers the processor
 * and the saved state alike. Advanced SIMD has no state of its own beyond what every process has.
 */
#include <stdio.h>
#include <sys/auxv.h>

#include "base/cpu.h"
#include "base/cpu_arch.h"

uint32_t ifd_cpu_tiers(void)
{
    const unsigned long has = getauxval(AT_HWCAP), has2 = getauxval(AT_HWCAP2);
    uint32_t tiers = 1u << IFD_TIER_REF;
    if (!(has & HWCAP_ASIMD))
        return tiers;
    tiers |= 1u << IFD_TIER_NEON;
    if (!(has & HWCAP_ASIMDDP))
        return tiers;
    tiers |= 1u << IFD_TIER_NEONDOT;
    if (!(has2 & HWCAP2_I8MM))
        return tiers;
    tiers |= 1u << IFD_TIER_NEONI8MM;
    if (has2 & HWCAP2_BF16)
        tiers |= 1u << IFD_TIER_NEONBF16;
    return tiers;
}

/* Part numbers of implementer 0x41, Arm. Source: MIDR_EL1 in each core's manual. */
static const struct {
    unsigned part;
    const char *name;
} arm_cores[] = {
    {0xD03, "Cortex-A53"},  {0xD07, "Cortex-A57"},  {0xD08, "Cortex-A72"},  {0xD0B, "Cortex-A76"},
    {0xD0C, "Neoverse N1"}, {0xD40, "Neoverse V1"}, {0xD49, "Neoverse N2"}, {0xD4F, "Neoverse V2"},
};

/* Linux answers for the core that asks, and only where HWCAP_CPUID says so: elsewhere the
 * instruction is a fault. */
uint32_t ifd_cpu_tiers_slow(void)
{
    return 0;
}

void ifd_cpu_model_name(char *out, size_t size)
{
    if (!(getauxval(AT_HWCAP) & HWCAP_CPUID)) {
        snprintf(out, size, "unknown");
        return;
    }
    uint64_t midr;
    __asm__("mrs %0, midr_el1" : "=r"(midr));
    const unsigned implementer = (unsigned)(midr >> 24) & 0xFFu,
                   part = (unsigned)(midr >> 4) & 0xFFFu;
    for (size_t i = 0; implementer == 0x41 && i < sizeof(arm_cores) / sizeof(arm_cores[0]); i++) {
        if (arm_cores[i].part == part) {
            snprintf(out, size, "Arm %s", arm_cores[i].name);
            return;
        }
    }
    snprintf(out, size, "ARM64 implementer 0x%02X part 0x%03X", implementer, part);
}
