/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pooling.h"

#include <string.h>

/* Of one label over `windows` rows; summed in double, in their order: the same on every tier. */
static float pooled(const float *at, uint32_t windows, size_t stride, bool mean)
{
    double sum = 0;
    float largest = at[0];
    for (uint32_t i = 0; i < windows; i++) {
        const float x = at[i * stride];
        sum += (double)x;
        largest = x > largest ? x : largest;
    }
    return mean ? (float)(sum / windows) : largest;
}

void ifd_model_pool(const inferd_model *model, struct ifd_encoding *e, enum ifd_truncation how,
                    float *logits)
{
    const size_t labels = ifd_model_weights(model)->labels;
    for (uint32_t i = 0; i < e->texts; i++) {
        /* first[i] >= i: what is read has not been overwritten */
        const float *rows = logits + e->first[i] * labels;
        float *out = logits + i * labels;
        for (size_t c = 0; c < labels; c++)
            out[c] = pooled(rows + c, e->first[i + 1] - e->first[i], labels,
                            how == IFD_TRUNCATION_WINDOW_MEAN);
        ifd_model_result(model, out, &e->results[i]);
    }
}
