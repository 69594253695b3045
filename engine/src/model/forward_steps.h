/* SPDX-License-Identifier: Apache-2.0
 *
 * forward_steps.h - the row-wise steps of a forward pass, in whatever dtype the weights have.
 * Private to forward.c and forward_steps.c.
 *
 * Called with a view, each does that part of the step, by columns or rows. A step that reads what
 * other parts wrote, or writes what they read, is a step of its own (IFD_STEP_PARTS).
 *
 * Rows that go into a product exist in fp32 and, in a narrow mode, once more as the product takes
 * them; who makes the fp32 rows makes the narrow ones right after, while they are in cache.
 */
#ifndef IFD_MODEL_FORWARD_STEPS_H
#define IFD_MODEL_FORWARD_STEPS_H

#include "model/forward_scratch.h"

/* One step: the parts of it that fall to the caller, one after the other; NULL when all are done,
 * by whomever. A lane is its only part. */
#define IFD_STEP_PARTS(lane, of) \
    for (const struct ifd_lane *(of) = NULL; ((of) = ifd_step_next((lane), (of))) != NULL;)

static inline const struct ifd_lane *ifd_step_next(const struct ifd_lane *lane,
                                                   const struct ifd_lane *previous)
{
    unsigned part;
    if (!lane->walk)
        return previous ? NULL : lane;
    return ifd_team_part(lane->walk, &part) ? &lane->scratch->view[part] : NULL;
}

/* [begin, end): the part's nearly even share of n. */
static inline void ifd_step_share(const struct ifd_lane *part, size_t n, size_t *begin, size_t *end)
{
    *begin = n * part->part / part->parts;
    *end = n * (part->part + 1) / part->parts;
}

static inline size_t ifd_ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* Between two steps that take long: lets who asked for it do something urgent (forward.h). */
void ifd_step_pause(const struct ifd_lane *lane);

/* y[rows][n] = epilogue(x[rows][l->k] W^T + b). */
struct ifd_product {
    const struct ifd_linear *l;
    enum ifd_epilogue epilogue;
    size_t rows;
    const float *x; /* read in fp32 */
    size_t ldx;
    const struct ifd_narrow *narrow; /* the same rows; read in a narrow dtype */
    const float *residual;           /* [rows], ldy apart; may be y */
    float *y;
    size_t ldy;
    /* Outputs [begin, end) of l, the first of them in y's column 0; begin a multiple of nr. */
    size_t begin, end;
};
void ifd_step_product(const struct ifd_lane *part, const struct ifd_product *p);

/* Rows of x, ld apart, into `to` as the product with `l` takes them; nothing to do in fp32. */
void ifd_step_narrow(const struct ifd_lane *part, const float *x, size_t ld, size_t rows,
                     const struct ifd_linear *l, const struct ifd_narrow *to);

/* x = norm(x) in place, rows of hidden, ld_h apart; and narrowed into `to` for `l`. Split by rows
 * as ifd_step_narrow and nothing else is. */
void ifd_step_norm(const struct ifd_lane *part, const struct ifd_norm *norm, float *x, size_t rows,
                   const struct ifd_linear *l, const struct ifd_narrow *to);

#endif
