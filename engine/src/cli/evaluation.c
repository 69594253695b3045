/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/evaluation.h"

#include <math.h>

#include "base/mem.h"

inferd_status ifd_eval_init(struct ifd_eval *e, uint32_t labels, inferd_error *err)
{
    if (labels == 0 || labels > IFD_EVAL_LABELS_MAX)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "--eval takes models of up to %u labels; this one has %u",
                        IFD_EVAL_LABELS_MAX, labels);
    uint64_t *confusion = ifd_zalloc_array((size_t)labels * labels, sizeof(*confusion));
    if (!confusion)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for the confusion of %u labels", labels);
    *e = (struct ifd_eval){.labels = labels, .confusion = confusion};
    return INFERD_OK;
}

void ifd_eval_fini(struct ifd_eval *e)
{
    ifd_free(e->confusion);
    *e = (struct ifd_eval){0};
}

static unsigned bin_of(double confidence)
{
    double bin = ceil(confidence * IFD_EVAL_BINS) - 1;
    if (!(bin > 0)) /* also not a number */
        return 0;
    return bin > IFD_EVAL_BINS - 1 ? IFD_EVAL_BINS - 1 : (unsigned)bin;
}

void ifd_eval_add(struct ifd_eval *e, uint32_t truth, uint32_t predicted, float confidence,
                  const float *scores)
{
    IFD_ASSERT(truth < e->labels && predicted < e->labels);
    const bool right = truth == predicted;
    struct ifd_eval_bin *bin = &e->bin[bin_of((double)confidence)];
    e->count++;
    e->correct += right;
    e->confusion[(size_t)truth * e->labels + predicted]++;
    bin->count++;
    bin->correct += right;
    bin->confidence_sum += (double)confidence;
    e->confidence_sum += (double)confidence;
    for (uint32_t i = 0; i < e->labels; i++) {
        double d = (double)scores[i] - (i == truth);
        e->brier_sum += d * d;
    }
    /* a score of 0 for what was true would make the mean infinite: take float's least instead */
    e->loss_sum -= log(fmax((double)scores[truth], 1e-38));
}

static double per_text(const struct ifd_eval *e, double sum)
{
    return e->count ? sum / (double)e->count : 0;
}

double ifd_eval_accuracy(const struct ifd_eval *e)
{
    return per_text(e, (double)e->correct);
}

double ifd_eval_confidence(const struct ifd_eval *e)
{
    return per_text(e, e->confidence_sum);
}

double ifd_eval_ece(const struct ifd_eval *e)
{
    double sum = 0; /* count * |correct / count - confidence / count| */
    for (unsigned i = 0; i < IFD_EVAL_BINS; i++)
        sum += fabs((double)e->bin[i].correct - e->bin[i].confidence_sum);
    return per_text(e, sum);
}

double ifd_eval_brier(const struct ifd_eval *e)
{
    return per_text(e, e->brier_sum);
}

double ifd_eval_log_loss(const struct ifd_eval *e)
{
    return per_text(e, e->loss_sum);
}

struct ifd_eval_label ifd_eval_label(const struct ifd_eval *e, uint32_t label)
{
    struct ifd_eval_label out = {.correct = e->confusion[(size_t)label * e->labels + label]};
    for (uint32_t i = 0; i < e->labels; i++) {
        out.support += e->confusion[(size_t)label * e->labels + i];
        out.predicted += e->confusion[(size_t)i * e->labels + label];
    }
    double right = (double)out.correct;
    out.precision = out.predicted ? right / (double)out.predicted : 0;
    out.recall = out.support ? right / (double)out.support : 0;
    uint64_t both = out.predicted + out.support;
    out.f1 = both ? 2 * right / (double)both : 0;
    return out;
}

double ifd_eval_macro_f1(const struct ifd_eval *e)
{
    double sum = 0;
    unsigned seen = 0;
    for (uint32_t i = 0; i < e->labels; i++) {
        struct ifd_eval_label l = ifd_eval_label(e, i);
        if (l.support + l.predicted == 0)
            continue;
        sum += l.f1;
        seen++;
    }
    return seen ? sum / seen : 0;
}
