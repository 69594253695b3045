/* SPDX-License-Identifier: Apache-2.0
 *
 * evaluation.h - how good a classifier is on labelled texts: accuracy, confusion, calibration.
 *
 * Pure arithmetic over results that are added one by one; memory is labels squared.
 * Calibration, over the confidence of the predicted label: the expected calibration error is the
 * mean over 15 equal bins (a, b] of |accuracy - mean confidence|, weighted by the bin's share
 * (Guo et al. 2017, arXiv:1706.04599). The Brier score is the mean over texts of the sum over
 * labels of (score - truth)^2. One owner at a time.
 */
#ifndef IFD_CLI_EVALUATION_H
#define IFD_CLI_EVALUATION_H

#include <stdint.h>

#include "base/err.h"

#define IFD_EVAL_BINS 15u
#define IFD_EVAL_LABELS_MAX 1024u

struct ifd_eval_bin {
    uint64_t count, correct;
    double confidence_sum;
};

struct ifd_eval {
    uint32_t labels;
    uint64_t count, correct;
    uint64_t *confusion; /* [truth][predicted] */
    struct ifd_eval_bin bin[IFD_EVAL_BINS];
    double confidence_sum, brier_sum, loss_sum;
};

/* Free with ifd_eval_fini. INFERD_INVALID_ARGUMENT for more labels than IFD_EVAL_LABELS_MAX. */
IFD_MUST_CHECK inferd_status ifd_eval_init(struct ifd_eval *e, uint32_t labels, inferd_error *err);
void ifd_eval_fini(struct ifd_eval *e);
/* truth and predicted < labels; scores: [labels]. */
void ifd_eval_add(struct ifd_eval *e, uint32_t truth, uint32_t predicted, float confidence,
                  const float *scores);

/* Of nothing each is 0. */
double ifd_eval_accuracy(const struct ifd_eval *e);
double ifd_eval_confidence(const struct ifd_eval *e);
double ifd_eval_ece(const struct ifd_eval *e);
double ifd_eval_brier(const struct ifd_eval *e);
double
ifd_eval_log_loss(const struct ifd_eval *e); /* natural logarithm of the true label's score */
double ifd_eval_macro_f1(const struct ifd_eval *e); /* over labels that occur as truth or answer */

struct ifd_eval_label {
    uint64_t support, predicted, correct;
    double precision, recall, f1; /* 0 where undefined */
};
struct ifd_eval_label ifd_eval_label(const struct ifd_eval *e, uint32_t label);

#endif
