/* SPDX-License-Identifier: Apache-2.0
 *
 * load.h - from a model directory's weight files to packed weights in memory.
 */
#ifndef IFD_MODEL_LOAD_H
#define IFD_MODEL_LOAD_H

#include "model/config.h"
#include "model/weights.h"

/* Everything is checked against the configuration before memory for weights is taken; then each
 * tensor is read in pieces, widened, checked for NaN and infinity, and packed for the tier of
 * `kernels` in `dtype`. At no time is there more than the weights and one staging panel. Files are
 * closed on return. On success free with ifd_weights_free. Thread-safe. */
IFD_MUST_CHECK inferd_status ifd_load(const char *dir, const struct ifd_config *config,
                                      const struct ifd_kernels *kernels, enum ifd_dtype dtype,
                                      struct ifd_weights **out, inferd_error *err);

#endif
