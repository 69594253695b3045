/* SPDX-License-Identifier: Apache-2.0
 *
 * Sizes and lifetime of a forward pass's memory: all of it is allocated here, none later.
 */
#include "model/forward_scratch.h"

#include "base/mem.h"

size_t ifd_row_stride(size_t n)
{
    const size_t line = IFD_CACHE_LINE / sizeof(float);
    return n > SIZE_MAX / 8 ? 0 : ((n + line - 1) / line | 1u) * line;
}

static float *floats(struct ifd_scratch *s, size_t rows, size_t ld)
{
    size_t count, bytes;
    if (!ld || !ifd_size_mul(rows, ld, &count) || !ifd_size_mul(count, sizeof(float), &bytes))
        return NULL;
    float *p = ifd_zalloc_aligned(bytes);
    if (p)
        s->bytes += bytes;
    return p;
}

/* Rows of n elements in the dtype of the weights; true with nothing taken in fp32. */
static bool narrow_rows(struct ifd_scratch *s, size_t n, struct ifd_narrow *out)
{
    if (s->w->dtype == IFD_DTYPE_FP32)
        return true;
    size_t rows = s->rows_max < IFD_NARROW_ROWS_MIN ? IFD_NARROW_ROWS_MIN : s->rows_max;
    size_t row_floats =
        ifd_row_stride(ifd_narrow_row_bytes(s->w->kernels, s->w->dtype, n) / sizeof(float));
    out->ld = row_floats * sizeof(float);
    out->data = floats(s, rows, row_floats);
    out->scale = floats(s, 1, rows);
    out->zero = floats(s, 1, rows);
    return out->data && out->scale && out->zero;
}

static void narrow_free(struct ifd_narrow *n)
{
    ifd_free(n->data);
    ifd_free(n->scale);
    ifd_free(n->zero);
}

static bool allocate_lane(struct ifd_scratch *s, struct ifd_lane *lane)
{
    const struct ifd_weights *w = s->w;
    size_t length = s->rows_max < w->positions ? s->rows_max : w->positions;
    size_t work = ifd_attention_work_floats(length, length, w->hidden / w->heads, w->kernels->nr);
    lane->scratch = s;
    lane->parts = 1;
    lane->x = floats(s, s->rows_max, s->ld_h);
    lane->qkv = floats(s, s->rows_max, s->ld_qkv);
    lane->context = floats(s, s->rows_max, s->ld_h);
    lane->ffn = floats(s, s->rows_max, s->ld_f);
    lane->work = floats(s, 1, work);
    return lane->x && lane->qkv && lane->context && lane->ffn && lane->work &&
           narrow_rows(s, w->hidden, &lane->narrow_h) &&
           narrow_rows(s, w->ffn_slice, &lane->narrow_f) &&
           narrow_rows(s, w->hidden, &lane->narrow_first);
}

static struct ifd_lane view_of(const struct ifd_scratch *s, unsigned part)
{
    struct ifd_lane view = s->lane[part];
    view.part = part;
    view.parts = s->members;
    view.x = s->lane[0].x;
    view.context = s->lane[0].context;
    view.narrow_h = s->lane[0].narrow_h;
    view.narrow_first = s->lane[0].narrow_first;
    return view;
}

inferd_status ifd_scratch_create(const struct ifd_weights *w, size_t tokens_max, size_t texts_max,
                                 struct ifd_team *team, struct ifd_scratch **out, inferd_error *err)
{
    IFD_ASSERT(w->kernels && w->heads && w->hidden && w->hidden % w->heads == 0);
    if (!tokens_max || !texts_max)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "a batch needs room for at least one token and one text");
    struct ifd_scratch *s = ifd_zalloc(sizeof(*s));
    if (!s)
        goto no_memory;
    s->w = w;
    s->team = team;
    s->members = team ? ifd_team_size(team) : 1;
    s->tokens_max = tokens_max;
    s->texts_max = texts_max;
    size_t rows = w->positions > IFD_CHUNK_TOKENS ? w->positions : IFD_CHUNK_TOKENS;
    s->rows_max = rows < tokens_max ? rows : tokens_max;
    s->ld_h = ifd_row_stride(w->hidden);
    s->ld_qkv = ifd_row_stride(3 * (size_t)w->hidden);
    s->ld_f = ifd_row_stride(w->ffn_slice);
    s->lane = ifd_zalloc_array(s->members, sizeof(*s->lane));
    s->view = ifd_zalloc_array(s->members, sizeof(*s->view));
    s->share = ifd_zalloc_array((size_t)s->members + 1, sizeof(*s->share));
    s->first_x = floats(s, texts_max, s->ld_h);
    s->first_context = floats(s, texts_max, s->ld_h);
    if (!s->lane || !s->view || !s->share || !s->first_x || !s->first_context)
        goto no_memory;
    for (unsigned i = 0; i < s->members; i++)
        if (!allocate_lane(s, &s->lane[i]))
            goto no_memory;
    for (unsigned i = 0; i < s->members; i++)
        s->view[i] = view_of(s, i);
    *out = s;
    return INFERD_OK;
no_memory:
    ifd_scratch_free(s);
    return ifd_fail(err, INFERD_NO_MEMORY,
                    "no memory for the scratch of a batch of %zu tokens in %zu texts; ask for a "
                    "smaller batch",
                    tokens_max, texts_max);
}

void ifd_scratch_free(struct ifd_scratch *s)
{
    if (!s)
        return;
    for (unsigned i = 0; s->lane && i < s->members; i++) {
        ifd_free(s->lane[i].x);
        ifd_free(s->lane[i].qkv);
        ifd_free(s->lane[i].context);
        ifd_free(s->lane[i].ffn);
        ifd_free(s->lane[i].work);
        narrow_free(&s->lane[i].narrow_h);
        narrow_free(&s->lane[i].narrow_f);
        narrow_free(&s->lane[i].narrow_first);
    }
    ifd_free(s->lane);
    ifd_free(s->view);
    ifd_free(s->share);
    ifd_free(s->first_x);
    ifd_free(s->first_context);
    ifd_free(s);
}

size_t ifd_scratch_bytes(const struct ifd_scratch *s)
{
    return s->bytes;
}

void ifd_scratch_set_full_last_layer(struct ifd_scratch *s, bool full)
{
    s->full_last_layer = full;
}

void ifd_scratch_set_pause(struct ifd_scratch *s, ifd_pause_fn *pause, void *arg)
{
    s->pause = pause;
    s->pause_arg = arg;
}
