/* SPDX-License-Identifier: Apache-2.0
 *
 * model.h - what the rooms above see of a loaded model beyond the public header.
 */
#ifndef IFD_MODEL_MODEL_H
#define IFD_MODEL_MODEL_H

#include "model/forward.h"
#include "model/weights.h"
#include "text/tokenizer.h"

const struct ifd_weights *ifd_model_weights(const inferd_model *model);
const struct ifd_tokenizer *ifd_model_tokenizer(const inferd_model *model);
uint32_t ifd_model_max_length(const inferd_model *model); /* in force */

/* Whether the model takes pairs of texts; INFERD_INVALID_REQUEST says why not. */
IFD_MUST_CHECK inferd_status ifd_model_check_pairs(const inferd_model *model, inferd_error *err);

/* The result of one text from its logits [labels]: label and confidence (tokens, truncated: not
 * set). */
void ifd_model_result(const inferd_model *model, const float *logits, inferd_result *out);

#endif
