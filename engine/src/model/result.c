/* SPDX-License-Identifier: Apache-2.0
 *
 * result.c - from logits to scores and a label. Exponentials are taken in double, so that the same
 * logits give the same scores in every tier. Pure functions.
 */
#include <math.h>

#include "model/handle.h"

static double sigmoid(double x)
{
    /* exp of a negative number only: no overflow */
    double e = exp(-fabs(x));
    return x >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}

static uint32_t argmax(const float *logits, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* Sum of exp(logit - max), between 1 and n for finite logits. */
static double softmax_sum(const float *logits, uint32_t n, float max)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - (double)max);
    return sum;
}

void inferd_scores(const inferd_model *model, const float *logits, float *scores)
{
    uint32_t n = model->config.labels;
    if (model->config.problem == IFD_PROBLEM_MULTI_LABEL) {
        for (uint32_t i = 0; i < n; i++)
            scores[i] = (float)sigmoid((double)logits[i]);
        return;
    }
    float max = logits[argmax(logits, n)];
    double sum = softmax_sum(logits, n, max);
    for (uint32_t i = 0; i < n; i++)
        scores[i] = (float)(exp((double)logits[i] - (double)max) / sum);
}

void ifd_model_result(const inferd_model *model, const float *logits, inferd_result *out)
{
    uint32_t n = model->config.labels;
    /* Of the logits, as scores that round to 1 would hide which one is higher. */
    out->label = argmax(logits, n);
    float max = logits[out->label];
    out->confidence = model->config.problem == IFD_PROBLEM_MULTI_LABEL
                          ? (float)sigmoid((double)max)
                          : (float)(1.0 / softmax_sum(logits, n, max));
}
