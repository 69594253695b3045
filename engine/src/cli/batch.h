/* SPDX-License-Identifier: Apache-2.0
 *
 * batch.h - texts collected until there are enough to classify them together.
 *
 * Memory is bounded: at most IFD_BATCH_TEXTS texts, and no more are taken once they have a MiB.
 * Belongs to one thread.
 */
#ifndef IFD_CLI_BATCH_H
#define IFD_CLI_BATCH_H

#include "base/buf.h"
#include "base/err.h"

#define IFD_BATCH_TEXTS 256u

struct ifd_batch {
    size_t count;
    inferd_result result[IFD_BATCH_TEXTS]; /* after ifd_batch_run, [count] */
    float *logits;                         /* [count][labels] */
    uint32_t tag[IFD_BATCH_TEXTS];         /* the caller's, e.g. the true label */
    uint32_t labels;
    /* private */
    inferd_session *session;
    struct ifd_buf bytes; /* all texts, one after the other */
    size_t size[IFD_BATCH_TEXTS];
};

/* threads 0: what this process may use. text_max: bytes of the longest text. */
IFD_MUST_CHECK inferd_status ifd_batch_open(struct ifd_batch *b, inferd_model *model,
                                            uint32_t threads, uint32_t batch_tokens,
                                            size_t text_max, inferd_error *err);
/* Accepts a zeroed one. */
void ifd_batch_close(struct ifd_batch *b);
/* Only while it is not full. The text is copied. */
IFD_MUST_CHECK inferd_status ifd_batch_add(struct ifd_batch *b, const char *text, size_t size,
                                           uint32_t tag, inferd_error *err);
bool ifd_batch_full(const struct ifd_batch *b);
/* Classify what is there; then read result and logits, and ifd_batch_clear. */
IFD_MUST_CHECK inferd_status ifd_batch_run(struct ifd_batch *b, inferd_error *err);
void ifd_batch_clear(struct ifd_batch *b);

#endif
