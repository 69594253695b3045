/* SPDX-License-Identifier: Apache-2.0
 *
 * eval_report.h - an evaluation as text for people and as one JSON object. Pure.
 */
#ifndef IFD_CLI_EVAL_REPORT_H
#define IFD_CLI_EVAL_REPORT_H

#include "base/buf.h"
#include "cli/evaluation.h"

/* labels: [e->labels] names. truncated: texts that were cut at max_length. */
void ifd_eval_report_text(const struct ifd_eval *e, const char *const *labels, uint64_t truncated,
                          double seconds, struct ifd_buf *b);
void ifd_eval_report_json(const struct ifd_eval *e, const char *const *labels, uint64_t truncated,
                          double seconds, struct ifd_buf *b);

#endif
