/* SPDX-License-Identifier: Apache-2.0
 *
 * Products, norms and narrowing of rows: table calls for a part of a step.
 */
#include "model/forward_steps.h"

/* A third of a millisecond of one core in fp32, and less in a narrow dtype: how long something
 * urgent waits at most. */
#define PAUSE_MULTIPLY_ADDS ((size_t)16 << 20)

static bool pauses(const struct ifd_lane *lane)
{
    return lane->scratch->pause && lane->scratch->members == 1;
}

void ifd_step_pause(const struct ifd_lane *lane)
{
    if (pauses(lane))
        lane->scratch->pause(lane->scratch->pause_arg);
}

/* ---- products ---- */

struct product_step {
    const struct ifd_kernels *kernels;
    enum ifd_dtype dtype;
    struct ifd_gemm_f32 f32;
    struct ifd_gemm_narrow narrow;
    size_t rows, panels;
};

static void product_run(const struct product_step *s, size_t row_begin, size_t row_end,
                        size_t panel_begin, size_t panel_end)
{
    switch (s->dtype) {
    case IFD_DTYPE_INT8:
        s->kernels->gemm_int8(&s->narrow, row_begin, row_end, panel_begin, panel_end);
        break;
    case IFD_DTYPE_BF16:
        s->kernels->gemm_bf16(&s->narrow, row_begin, row_end, panel_begin, panel_end);
        break;
    case IFD_DTYPE_FP32:
    case IFD_DTYPE_COUNT:
        s->kernels->gemm_f32(&s->f32, row_begin, row_end, panel_begin, panel_end);
        break;
    }
}

/* By panels (weights are read once) or by rows, whichever leaves the busiest part fewer tiles. */
static void product_share(const struct ifd_lane *part, const struct product_step *s, size_t mr)
{
    const size_t parts = part->parts, tiles = ifd_ceil_div(s->rows, mr);
    size_t begin, end;
    if (s->panels * ifd_ceil_div(tiles, parts) < ifd_ceil_div(s->panels, parts) * tiles) {
        ifd_step_share(part, s->rows, &begin, &end);
        product_run(s, begin, end, 0, s->panels);
        return;
    }
    ifd_step_share(part, s->panels, &begin, &end);
    product_run(s, 0, s->rows, begin, end);
}

/* One thread: a product that takes long pauses after every few panels. The cut is by columns, of
 * which each is computed alone, so no bit changes. */
static void product_alone(const struct ifd_lane *lane, const struct product_step *s, size_t k)
{
    size_t panels = s->panels, step = panels;
    if (pauses(lane))
        step = 1 + PAUSE_MULTIPLY_ADDS / (s->rows * k * s->kernels->nr);
    for (size_t i = 0; i < panels; i += step) {
        size_t most = panels - i < step ? panels - i : step;
        product_run(s, 0, s->rows, i, i + most);
        ifd_step_pause(lane);
    }
}

void ifd_step_product(const struct ifd_lane *part, const struct ifd_product *p)
{
    const struct ifd_kernels *kernels = part->scratch->w->kernels;
    const struct ifd_linear *l = p->l;
    const size_t n = p->end - p->begin, panels = ifd_ceil_div(n, kernels->nr);
    const size_t skipped = ifd_packed_bytes(l->dtype, p->begin, l->k, kernels->nr);
    const void *packed = (const char *)l->packed + skipped;
    struct product_step s = {
        .kernels = kernels, .dtype = l->dtype, .rows = p->rows, .panels = panels};
    IFD_ASSERT(p->begin % kernels->nr == 0 && p->end <= l->n);
    if (l->dtype == IFD_DTYPE_FP32)
        s.f32 = (struct ifd_gemm_f32){.m = p->rows,
                                      .n = n,
                                      .k = l->k,
                                      .a = p->x,
                                      .lda = p->ldx,
                                      .b = packed,
                                      .c = p->y,
                                      .ldc = p->ldy,
                                      .bias = l->bias + p->begin,
                                      .residual = p->residual,
                                      .ldr = p->ldy,
                                      .epilogue = p->epilogue};
    else
        s.narrow = (struct ifd_gemm_narrow){.m = p->rows,
                                            .n = n,
                                            .k = l->k,
                                            .a = *p->narrow,
                                            .b = packed,
                                            .bias = l->bias + p->begin,
                                            .c = p->y,
                                            .ldc = p->ldy,
                                            .residual = p->residual,
                                            .ldr = p->ldy,
                                            .epilogue = p->epilogue};
    if (l->dtype == IFD_DTYPE_INT8) {
        s.narrow.b_scale = l->scale + p->begin;
        s.narrow.b_sum = l->sum + p->begin;
    }
    if (part->parts == 1)
        product_alone(part, &s, l->k);
    else
        product_share(part, &s, l->dtype == IFD_DTYPE_FP32 ? kernels->mr : kernels->mr_narrow);
}

/* ---- rows ---- */

static void rows_share(const struct ifd_lane *part, const struct ifd_norm *norm, float *x,
                       const float *from, size_t ld, size_t rows, const struct ifd_linear *l,
                       const struct ifd_narrow *to)
{
    const struct ifd_weights *w = part->scratch->w;
    const struct ifd_kernels *kernels = w->kernels;
    ifd_narrow_fn *narrow = l->dtype == IFD_DTYPE_INT8   ? kernels->narrow_int8
                            : l->dtype == IFD_DTYPE_BF16 ? kernels->narrow_bf16
                                                         : NULL;
    size_t begin, end;
    ifd_step_share(part, rows, &begin, &end);
    for (size_t r = begin; r < end; r++) { /* row by row: narrowing finds the norm's row in L1 */
        if (norm)
            kernels->layer_norm_f32(x + r * ld, ld, norm->gamma, norm->beta, w->norm_eps, 1, l->k,
                                    x + r * ld, ld);
        if (narrow)
            narrow(from, ld, l->k, r, r + 1, l->by, to);
    }
}

void ifd_step_narrow(const struct ifd_lane *part, const float *x, size_t ld, size_t rows,
                     const struct ifd_linear *l, const struct ifd_narrow *to)
{
    rows_share(part, NULL, NULL, x, ld, rows, l, to);
}

void ifd_step_norm(const struct ifd_lane *part, const struct ifd_norm *norm, float *x, size_t rows,
                   const struct ifd_linear *l, const struct ifd_narrow *to)
{
    rows_share(part, norm, x, x, part->scratch->ld_h, rows, l, to);
}
