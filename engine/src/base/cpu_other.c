/* SPDX-License-Identifier: Apache-2.0
 *
 * Processors that no tier but `ref` was written for.
 */
#include <stdio.h>

#include "base/cpu.h"
#include "base/cpu_arch.h"

uint32_t ifd_cpu_tiers(void)
{
    return 1u << IFD_TIER_REF;
}

uint32_t ifd_cpu_tiers_slow(void)
{
    return 0;
}

void ifd_cpu_model_name(char *out, size_t size)
{
    snprintf(out, size, "unknown");
}
