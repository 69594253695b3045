/* SPDX-License-Identifier: Apache-2.0
 *
 * balance.h - which factor each input channel of an int8 product gets.
 *
 * One step of a row's scale serves all its channels, so channels that are always large (two of
 * MiniLM's 384 reach five times the rest) cost the others their precision; the same is true of a
 * weight row. x W = (x / s)(s W) for any factor s per channel, chosen between the two:
 *
 *   s[i] = A[i]^a / W[i]^(1 - a), then divided by the mean (of logarithms) over i
 *
 * with W[i] the root mean square of channel i's weights and A[i] how large its input gets, known
 * without data: after a layer norm, |beta| + 3 |gamma|; after the feed-forward's GELU, mean + 3
 * deviations of what the norm before it lets through. Where neither is known, W alone decides.
 * Source of the form: Xiao et al. 2022 (SmoothQuant), there with maxima seen on data.
 * What it gave and what else was tried: docs/speed.md. At load only.
 */
#ifndef IFD_MODEL_BALANCE_H
#define IFD_MODEL_BALANCE_H

#include <stddef.h>

#include "model/weights.h"

/* reach[i] = |beta[i]| + 3 |gamma[i]|, i < n. */
void ifd_balance_after_norm(const struct ifd_norm *norm, size_t n, float *reach);

/* reach[j] of GELU(x w_j + bias_j) for `count` outputs with rows w [count][k], x from `norm`. */
void ifd_balance_after_gelu(const struct ifd_norm *norm, const float *w, const float *bias,
                            size_t count, size_t k, float *reach);

/* squares[i]: the sum of the squares of channel i's weights over n outputs. reach: [k] or NULL.
 * by[i] = 1 / s[i]. by and squares may not alias. */
void ifd_balance_factors(const float *reach, const double *squares, size_t n, size_t k, float *by);

#endif
