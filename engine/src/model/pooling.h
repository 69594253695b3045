/* SPDX-License-Identifier: Apache-2.0
 *
 * pooling.h - one result out of the windows of a long text. Pure.
 */
#ifndef IFD_MODEL_POOLING_H
#define IFD_MODEL_POOLING_H

#include "model/model.h"
#include "text/encoding.h"

/* logits: [e->sequences][labels] of all sequences, of which [e->texts][labels] of the texts are
 * left. A label's logit is the mean over the text's windows, or the largest of them (`how`);
 * e->results[0 .. texts) get label and confidence of what is left. */
void ifd_model_pool(const inferd_model *model, struct ifd_encoding *e, enum ifd_truncation how,
                    float *logits);

#endif
