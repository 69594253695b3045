/* SPDX-License-Identifier: Apache-2.0 */
#include "model/load.h"

#include <string.h>

#include "base/mem.h"
#include "model/balance.h"
#include "model/binding.h"
#include "model/checkpoint.h"
#include "model/weights_alloc.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors are little-endian");

/* Elements read at once where the layout asks for no other number. */
#define PIECE_ELEMENTS ((size_t)1 << 16)

struct loader {
    struct ifd_weights *w;
    const struct ifd_slot *slot; /* [count] */
    size_t count;
    float *panel;     /* [nr * widest k] and at least PIECE_ELEMENTS */
    uint16_t *narrow; /* [PIECE_ELEMENTS] of a 16-bit dtype, before widening */
    /* For int8 (balance.h), each [widest k]: */
    double *squares;
    float *reach_norm, *reach_gelu;
};

static inferd_status refuse_value(const struct ifd_slot *s, inferd_error *err)
{
    return ifd_fail(err, INFERD_MODEL_INVALID,
                    "%s: tensor %s holds a NaN or infinity: damaged, or saved from a training that "
                    "went wrong",
                    s->tensor->shard->file.path, s->tensor->st->name);
}

/* All exponent bits set: infinity or NaN. */
static bool all_finite_f32(const float *x, size_t n)
{
    uint32_t worst = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof(bits));
        bits &= 0x7FFFFFFFu;
        worst = bits > worst ? bits : worst;
    }
    return worst < 0x7F800000u;
}

static bool all_finite_16(const uint16_t *x, size_t n, uint32_t infinity)
{
    uint32_t worst = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = x[i] & 0x7FFFu;
        worst = bits > worst ? bits : worst;
    }
    return worst < infinity;
}

/* Elements [first, first + n) of a slot's tensor, widened to fp32 and checked. */
static inferd_status read_floats(const struct loader *l, const struct ifd_slot *s, uint64_t first,
                                 size_t n, float *to, inferd_error *err)
{
    const struct ifd_kernels *k = l->w->kernels;
    enum ifd_st_dtype dtype = s->tensor->st->dtype;
    while (n > 0) {
        size_t piece = n < PIECE_ELEMENTS ? n : PIECE_ELEMENTS;
        size_t size = ifd_st_dtype_bytes(dtype);
        void *raw = dtype == IFD_ST_F32 ? (void *)to : (void *)l->narrow;
        inferd_status st = ifd_checkpoint_read(s->tensor, first * size, raw, piece * size, err);
        if (st)
            return st;
        if (dtype == IFD_ST_F16)
            k->f16_to_f32(l->narrow, piece, to);
        else if (dtype == IFD_ST_BF16)
            k->bf16_to_f32(l->narrow, piece, to);
        if (!all_finite_f32(to, piece))
            return refuse_value(s, err);
        first += piece;
        to += piece;
        n -= piece;
    }
    return INFERD_OK;
}

/* The word table keeps its dtype: rows are widened when they are looked up. */
static inferd_status load_words(const struct loader *l, const struct ifd_slot *s, inferd_error *err)
{
    const struct ifd_table *table = &l->w->words;
    size_t size = ifd_storage_bytes(table->storage);
    size_t n = table->rows * l->w->hidden;
    for (size_t at = 0; at < n;) {
        size_t piece = n - at < PIECE_ELEMENTS ? n - at : PIECE_ELEMENTS;
        char *to = (char *)table->data + at * size;
        inferd_status st = ifd_checkpoint_read(s->tensor, at * size, to, piece * size, err);
        if (st)
            return st;
        bool finite = table->storage == IFD_STORE_F32
                          ? all_finite_f32((const float *)(const void *)to, piece)
                          : all_finite_16((const uint16_t *)(const void *)to, piece,
                                          table->storage == IFD_STORE_F16 ? 0x7C00u : 0x7F80u);
        if (!finite)
            return refuse_value(s, err);
        at += piece;
    }
    return INFERD_OK;
}

/* Nearly every token is of type 0, so its row is added to each position's once and for all; the
 * second text of a pair adds the step from it to type 1. Other rows are read only to be checked.
 * Runs after the positions are loaded. */
static inferd_status load_types(const struct loader *l, const struct ifd_slot *s, inferd_error *err)
{
    size_t h = l->w->hidden;
    for (uint64_t type = s->shape[0]; type-- > 0;) { /* row 0 last: it stays in the panel */
        inferd_status st = read_floats(l, s, type * h, h, l->panel, err);
        if (st)
            return st;
        if (type == 1)
            memcpy(l->w->type_step, l->panel, h * sizeof(float));
    }
    for (size_t i = 0; l->w->type_step && i < h; i++)
        l->w->type_step[i] -= l->panel[i];
    for (size_t p = 0; p < l->w->positions; p++)
        for (size_t i = 0; i < h; i++)
            l->w->positions_types[p * h + i] += l->panel[i];
    return INFERD_OK;
}

/* Where a linear layer's input comes from. */
struct source {
    const struct ifd_norm *norm; /* its input is this norm's output, or NULL */
    bool gelu;                   /* its input is the GELU of the matrix loaded before it */
    bool into_gelu;              /* its output goes into GELU */
};

/* A matrix in the checkpoint: its rows are those of slots of `rows` rows each, one after the other;
 * of their `columns` a linear layer takes its k from `column` on. */
struct matrix {
    const struct ifd_slot *slot[3];
    size_t rows, columns, column;
};

/* Rows [panel * nr, + count) into the staging panel. They may begin in one slot and end in another.
 */
static inferd_status read_panel(const struct loader *l, const struct matrix *m,
                                const struct ifd_linear *to, size_t panel, size_t *count,
                                inferd_error *err)
{
    size_t nr = l->w->kernels->nr, row = panel * nr;
    *count = to->n - row < nr ? to->n - row : nr;
    for (size_t done = 0; done < *count;) {
        size_t within = (row + done) % m->rows, left = m->rows - within;
        size_t take = *count - done < left ? *count - done : left;
        if (to->k < m->columns) /* a part of each row */
            take = 1;
        inferd_status st =
            read_floats(l, m->slot[(row + done) / m->rows], within * m->columns + m->column,
                        take * to->k, l->panel + done * to->k, err);
        if (st)
            return st;
        done += take;
    }
    return INFERD_OK;
}

/* The factors of an int8 layer, which need all its weights once before any is packed. */
static inferd_status balance(const struct loader *l, const struct matrix *m,
                             const struct ifd_linear *to, const struct source *from,
                             inferd_error *err)
{
    size_t nr = l->w->kernels->nr, count;
    memset(l->squares, 0, to->k * sizeof(*l->squares));
    for (size_t panel = 0; panel * nr < to->n; panel++) {
        inferd_status st = read_panel(l, m, to, panel, &count, err);
        if (st)
            return st;
        for (size_t i = 0; i < count * to->k; i++)
            l->squares[i % to->k] += (double)l->panel[i] * (double)l->panel[i];
        if (from->into_gelu)
            ifd_balance_after_gelu(from->norm, l->panel, to->bias + panel * nr, count, to->k,
                                   l->reach_gelu + panel * nr);
    }
    if (from->norm)
        ifd_balance_after_norm(from->norm, to->k, l->reach_norm);
    ifd_balance_factors(from->gelu   ? l->reach_gelu + m->column
                        : from->norm ? l->reach_norm
                                     : NULL,
                        l->squares, to->n, to->k, to->by);
    return INFERD_OK;
}

static inferd_status load_matrix(const struct loader *l, const struct matrix *m,
                                 const struct ifd_linear *to, const struct source *from,
                                 inferd_error *err)
{
    size_t nr = l->w->kernels->nr, count;
    inferd_status st = INFERD_OK;
    if (to->by)
        st = balance(l, m, to, from, err);
    for (size_t panel = 0; panel * nr < to->n && !st; panel++) {
        if ((st = read_panel(l, m, to, panel, &count, err)))
            break;
        for (size_t i = 0; to->by && i < count * to->k; i++)
            l->panel[i] /= to->by[i % to->k];
        ifd_linear_pack(to, nr, panel, l->panel, count);
    }
    return st;
}

static const struct ifd_slot *find_slot(const struct loader *l, enum ifd_part part, uint32_t layer,
                                        bool bias)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->slot[i].part == part && l->slot[i].layer == layer && l->slot[i].bias == bias)
            return &l->slot[i];
    return NULL;
}

/* `parts` consecutive parts from `first` on, stacked into one linear layer. */
static inferd_status load_linear(const struct loader *l, enum ifd_part first, size_t parts,
                                 uint32_t layer, const struct ifd_linear *to,
                                 const struct source *from, inferd_error *err)
{
    struct matrix m = {.rows = to->n / parts, .columns = to->k};
    inferd_status st = INFERD_OK;
    IFD_ASSERT(parts <= 3);
    for (size_t i = 0; i < parts && !st; i++) {
        enum ifd_part part = (enum ifd_part)((size_t)first + i);
        m.slot[i] = find_slot(l, part, layer, false);
        st = read_floats(l, find_slot(l, part, layer, true), 0, m.rows, to->bias + i * m.rows, err);
    }
    return st ? st : load_matrix(l, &m, to, from, err);
}

static inferd_status load_ffn2(const struct loader *l, uint32_t layer, inferd_error *err)
{
    const struct ifd_weights *w = l->w;
    const struct ifd_linear *to = w->layer[layer].ffn2;
    const struct source gelu = {.gelu = true};
    struct matrix m = {
        .slot = {find_slot(l, IFD_PART_FFN2, layer, false)}, .rows = w->hidden, .columns = w->ffn};
    inferd_status st =
        read_floats(l, find_slot(l, IFD_PART_FFN2, layer, true), 0, w->hidden, to->bias, err);
    for (uint32_t s = 0; s < w->ffn_slices && !st; s++) {
        m.column = (size_t)s * w->ffn_slice;
        st = load_matrix(l, &m, &to[s], &gelu, err);
    }
    return st;
}

static inferd_status load_norm(const struct loader *l, enum ifd_part part, uint32_t layer,
                               const struct ifd_norm *to, inferd_error *err)
{
    size_t h = l->w->hidden;
    inferd_status st = read_floats(l, find_slot(l, part, layer, false), 0, h, to->gamma, err);
    return st ? st : read_floats(l, find_slot(l, part, layer, true), 0, h, to->beta, err);
}

static inferd_status load_embeddings(const struct loader *l, inferd_error *err)
{
    struct ifd_weights *w = l->w;
    const struct ifd_slot *types = find_slot(l, IFD_PART_TYPES, 0, false);
    inferd_status st = load_words(l, find_slot(l, IFD_PART_WORDS, 0, false), err);
    if (!st)
        st = read_floats(l, find_slot(l, IFD_PART_POSITIONS, 0, false), 0,
                         (size_t)w->positions * w->hidden, w->positions_types, err);
    if (!st && types)
        st = load_types(l, types, err);
    return st ? st : load_norm(l, IFD_PART_NORM0, 0, &w->norm0, err);
}

static inferd_status load_layer(const struct loader *l, uint32_t i, inferd_error *err)
{
    const struct ifd_layer *to = &l->w->layer[i];
    const struct source into_qkv = {.norm = i ? &to[-1].norm2 : &l->w->norm0}, unknown = {0};
    const struct source into_ffn1 = {.norm = &to->norm1, .into_gelu = true};
    inferd_status st;
    if ((st = load_linear(l, IFD_PART_QUERY, 3, i, &to->qkv, &into_qkv, err)) ||
        (st = load_linear(l, IFD_PART_OUT, 1, i, &to->out, &unknown, err)) ||
        (st = load_norm(l, IFD_PART_NORM1, i, &to->norm1, err)) ||
        (st = load_linear(l, IFD_PART_FFN1, 1, i, &to->ffn1, &into_ffn1, err)) ||
        (st = load_ffn2(l, i, err)))
        return st;
    return load_norm(l, IFD_PART_NORM2, i, &to->norm2, err);
}

static inferd_status load_all(struct loader *l, inferd_error *err)
{
    struct ifd_weights *w = l->w;
    size_t k = w->hidden > w->ffn ? w->hidden : w->ffn, floats = k * w->kernels->nr;
    l->panel = ifd_alloc_array(floats > PIECE_ELEMENTS ? floats : PIECE_ELEMENTS, sizeof(float));
    l->narrow = ifd_alloc_array(PIECE_ELEMENTS, sizeof(uint16_t));
    if (w->dtype == IFD_DTYPE_INT8) {
        l->squares = ifd_alloc_array(k, sizeof(*l->squares));
        l->reach_norm = ifd_alloc_array(k, sizeof(*l->reach_norm));
        l->reach_gelu = ifd_alloc_array(k, sizeof(*l->reach_gelu));
    }
    if (!l->panel || !l->narrow ||
        (w->dtype == IFD_DTYPE_INT8 && (!l->squares || !l->reach_norm || !l->reach_gelu)))
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for reading weights");
    for (size_t i = 0; i < l->count; i++)
        w->parameters += l->slot[i].shape[0] * l->slot[i].shape[1];
    const struct source unknown = {0};
    const struct source into_pre = {.norm = w->layers ? &w->layer[w->layers - 1].norm2 : &w->norm0};
    inferd_status st = load_embeddings(l, err);
    for (uint32_t i = 0; i < w->layers && !st; i++)
        st = load_layer(l, i, err);
    if (!st)
        st = load_linear(l, IFD_PART_PRE, 1, 0, &w->pre, &into_pre, err);
    return st ? st : load_linear(l, IFD_PART_HEAD, 1, 0, &w->head, &unknown, err);
}

static enum ifd_storage storage_of(const struct ifd_slot *s)
{
    enum ifd_st_dtype dtype = s->tensor->st->dtype;
    return dtype == IFD_ST_F32   ? IFD_STORE_F32
           : dtype == IFD_ST_F16 ? IFD_STORE_F16
                                 : IFD_STORE_BF16;
}

inferd_status ifd_load(const char *dir, const struct ifd_config *config,
                       const struct ifd_kernels *kernels, enum ifd_dtype dtype,
                       struct ifd_weights **out, inferd_error *err)
{
    struct ifd_checkpoint checkpoint = {0};
    struct ifd_slot *slots = NULL;
    struct loader l = {0};
    inferd_status st = ifd_checkpoint_open(dir, &checkpoint, err);
    if (st || (st = ifd_binding_create(config, &checkpoint, &slots, &l.count, err)))
        goto out;
    l.slot = slots;
    l.w = ifd_weights_create(config, kernels, dtype,
                             storage_of(find_slot(&l, IFD_PART_WORDS, 0, false)));
    if (!l.w) {
        st = ifd_fail(err, INFERD_NO_MEMORY, "%s: out of memory for the weights", dir);
        goto out;
    }
    if ((st = load_all(&l, err)))
        goto out;
    *out = l.w;
    l.w = NULL;
out:
    ifd_weights_free(l.w);
    ifd_free(l.panel);
    ifd_free(l.narrow);
    ifd_free(l.squares);
    ifd_free(l.reach_norm);
    ifd_free(l.reach_gelu);
    ifd_free(slots);
    ifd_checkpoint_close(&checkpoint);
    return st;
}
