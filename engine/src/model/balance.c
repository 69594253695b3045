/* SPDX-License-Identifier: Apache-2.0 */
#include "model/balance.h"

#include <math.h>

/* a: how much of a channel's size goes into the weights. 0.5 to 0.9 were tried. */
#define TO_WEIGHTS 0.65
#define DEVIATIONS 3.0
#define GELU_LEAST 0.17 /* the depth of its dip: what any channel may reach */
#define TINY 1e-6       /* of what is never used: keeps the logarithm finite */

void ifd_balance_after_norm(const struct ifd_norm *norm, size_t n, float *reach)
{
    for (size_t i = 0; i < n; i++)
        reach[i] = fabsf(norm->beta[i]) + (float)DEVIATIONS * fabsf(norm->gamma[i]);
}

void ifd_balance_after_gelu(const struct ifd_norm *norm, const float *w, const float *bias,
                            size_t count, size_t k, float *reach)
{
    for (size_t j = 0; j < count; j++) {
        double mean = (double)bias[j], variance = 0;
        for (size_t i = 0; i < k; i++) {
            double spread = (double)w[j * k + i] * (double)norm->gamma[i];
            mean += (double)w[j * k + i] * (double)norm->beta[i];
            variance += spread * spread;
        }
        reach[j] = (float)fmax(GELU_LEAST, mean + DEVIATIONS * sqrt(variance));
    }
}

static double log_factor(double reach, double squares, size_t n)
{
    double weight = sqrt(squares / (double)n);
    return TO_WEIGHTS * log(fmax(reach, TINY)) - (1 - TO_WEIGHTS) * log(fmax(weight, TINY));
}

void ifd_balance_factors(const float *reach, const double *squares, size_t n, size_t k, float *by)
{
    double mean = 0;
    for (size_t i = 0; i < k; i++)
        mean += log_factor(reach ? (double)reach[i] : 1.0, squares[i], n) / (double)k;
    for (size_t i = 0; i < k; i++)
        by[i] = (float)exp(mean - log_factor(reach ? (double)reach[i] : 1.0, squares[i], n));
}
