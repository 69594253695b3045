/* SPDX-License-Identifier: Apache-2.0
 *
 * weights_alloc.h - the memory of a loaded encoder: one block, carved into 64-byte aligned parts,
 * so that all weights can lie on huge pages.
 */
#ifndef IFD_MODEL_WEIGHTS_ALLOC_H
#define IFD_MODEL_WEIGHTS_ALLOC_H

#include "model/config.h"
#include "model/weights.h"

/* Weights of the configuration's sizes, all zero. NULL when out of memory or past the address
 * space. Free with ifd_weights_free. */
IFD_MUST_CHECK struct ifd_weights *ifd_weights_create(const struct ifd_config *c,
                                                      const struct ifd_kernels *kernels,
                                                      enum ifd_dtype dtype, enum ifd_storage words);
/* Packs rows [panel * nr, + count), contiguous [count][l->k], into the layer's panel `panel`. */
void ifd_linear_pack(const struct ifd_linear *l, size_t nr, size_t panel, const float *rows,
                     size_t count);
size_t ifd_storage_bytes(enum ifd_storage storage);

#endif
