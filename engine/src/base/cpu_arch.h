/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu_arch.h - what each architecture's file answers: cpu_x86.c, cpu_arm64.c, or cpu_other.c. That
 * file also has ifd_cpu_model_name. Private to cpu*.c.
 */
#ifndef IFD_BASE_CPU_ARCH_H
#define IFD_BASE_CPU_ARCH_H

#include <stdint.h>

/* Bit t: tier t can run here. IFD_TIER_REF always can. */
uint32_t ifd_cpu_tiers(void);
/* Bit t: tier t has an instruction that is slower here than what the tier below it does without, so
 * t is used only when it is named. */
uint32_t ifd_cpu_tiers_slow(void);

#endif
