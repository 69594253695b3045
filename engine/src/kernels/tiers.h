/* SPDX-License-Identifier: Apache-2.0
 *
 * tiers.h - the table of each tier that is compiled in, and what their files agree on.
 * Private to this room: others ask ifd_kernels_get.
 */
#ifndef IFD_KERNELS_TIERS_H
#define IFD_KERNELS_TIERS_H

#include "kernels/kernels.h"

#if defined(__x86_64__)
#define IFD_KERNELS_X86 1
#else
#define IFD_KERNELS_X86 0
#endif
#if defined(__aarch64__) && defined(__AARCH64EL__)
#define IFD_KERNELS_ARM64 1
#else
#define IFD_KERNELS_ARM64 0
#endif

/* Queries that attention takes at a time, so that their scores stay in cache (56 x 512 floats are
 * 112 KiB). Results do not depend on it: each query's row is computed on its own. */
#define IFD_ATTENTION_ROWS 56u

/* Four bytes of a row or of a panel, whatever their dtype: one float, two bf16 or four int8. */
typedef float ifd_unit __attribute__((__may_alias__));

extern const struct ifd_kernels ifd_kernels_ref;
#if IFD_KERNELS_X86
extern const struct ifd_kernels ifd_kernels_avx2;
extern const struct ifd_kernels ifd_kernels_avxvnni;
extern const struct ifd_kernels ifd_kernels_avx512;
extern const struct ifd_kernels ifd_kernels_avx512vnni;
extern const struct ifd_kernels ifd_kernels_avx512bf16;
extern const struct ifd_kernels ifd_kernels_amx;
#elif IFD_KERNELS_ARM64
extern const struct ifd_kernels ifd_kernels_neon;
extern const struct ifd_kernels ifd_kernels_neondot;
extern const struct ifd_kernels ifd_kernels_neoni8mm;
extern const struct ifd_kernels ifd_kernels_neonbf16;
#endif

#endif
