/* SPDX-License-Identifier: Apache-2.0 */
#include "model/weights_alloc.h"

#include <stdbool.h>

#include "base/mem.h"

/* Runs over the parts twice: without a base to measure, with one to hand out. */
struct carver {
    char *base;
    size_t at;
    bool failed; /* a size did not fit */
};

static void *carve(struct carver *c, size_t count, size_t size)
{
    size_t bytes, end;
    void *part = c->base ? c->base + c->at : NULL;
    if (!ifd_size_mul(count, size, &bytes) || !ifd_size_add(bytes, IFD_CACHE_LINE - 1, &bytes) ||
        !ifd_size_add(c->at, bytes - bytes % IFD_CACHE_LINE, &end)) {
        c->failed = true;
        return NULL;
    }
    c->at = end;
    return part;
}

static void carve_linear(struct carver *c, struct ifd_linear *l, enum ifd_dtype dtype, size_t n,
                         size_t k, size_t nr)
{
    size_t bytes = ifd_packed_bytes(dtype, n, k, nr), columns = (n + nr - 1) / nr * nr;
    if (bytes == 0 || (dtype == IFD_DTYPE_INT8 && k > IFD_INT8_K_MAX))
        c->failed = true;
    l->dtype = dtype;
    l->n = n;
    l->k = k;
    l->packed = carve(c, bytes, 1);
    l->bias = carve(c, columns, sizeof(float));
    l->scale = l->sum = l->by = NULL;
    if (dtype == IFD_DTYPE_INT8) {
        l->scale = carve(c, columns, sizeof(float));
        l->sum = carve(c, columns, sizeof(float));
        l->by = carve(c, k, sizeof(float));
    }
}

static void carve_norm(struct carver *c, struct ifd_norm *norm, size_t h)
{
    norm->gamma = carve(c, h, sizeof(float));
    norm->beta = carve(c, h, sizeof(float));
}

static void carve_all(struct carver *c, struct ifd_weights *w)
{
    size_t h = w->hidden, nr = w->kernels->nr, elements;
    if (!ifd_size_mul(w->vocab, h, &elements))
        c->failed = true;
    else
        w->words.data = carve(c, elements, ifd_storage_bytes(w->words.storage));
    if (!ifd_size_mul(w->positions, h, &elements))
        c->failed = true;
    else
        w->positions_types = carve(c, elements, sizeof(float));
    if (w->types > 1)
        w->type_step = carve(c, h, sizeof(float));
    carve_norm(c, &w->norm0, h);
    for (uint32_t i = 0; i < w->layers; i++) {
        struct ifd_layer *l = &w->layer[i];
        carve_linear(c, &l->qkv, w->dtype, 3 * h, h, nr);
        carve_linear(c, &l->out, w->dtype, h, h, nr);
        carve_norm(c, &l->norm1, h);
        carve_linear(c, &l->ffn1, w->dtype, w->ffn, h, nr);
        for (uint32_t s = 0; s < w->ffn_slices; s++) {
            size_t first = (size_t)s * w->ffn_slice, left = w->ffn - first;
            carve_linear(c, &l->ffn2[s], w->dtype, h, left < w->ffn_slice ? left : w->ffn_slice,
                         nr);
        }
        carve_norm(c, &l->norm2, h);
    }
    carve_linear(c, &w->pre, w->dtype, h, h, nr);
    carve_linear(c, &w->head, IFD_DTYPE_FP32, w->labels, h, nr);
}

size_t ifd_storage_bytes(enum ifd_storage storage)
{
    return storage == IFD_STORE_F32 ? sizeof(float) : sizeof(uint16_t);
}

struct ifd_weights *ifd_weights_create(const struct ifd_config *c,
                                       const struct ifd_kernels *kernels, enum ifd_dtype dtype,
                                       enum ifd_storage words)
{
    struct ifd_weights *w = ifd_zalloc(sizeof(*w));
    if (!w)
        return NULL;
    w->arch = c->arch;
    w->problem = c->problem;
    w->kernels = kernels;
    w->dtype = dtype;
    w->layers = c->layers;
    w->hidden = c->hidden;
    w->heads = c->heads;
    w->ffn = c->ffn;
    w->vocab = c->vocab;
    w->positions = c->positions;
    w->labels = c->labels;
    w->types = c->arch == IFD_ARCH_BERT ? c->types : 0;
    w->norm_eps = c->norm_eps;
    w->words.storage = words;
    w->words.rows = c->vocab;
    w->ffn_slice = dtype == IFD_DTYPE_FP32 || c->ffn < IFD_FFN_SLICE ? c->ffn : IFD_FFN_SLICE;
    w->ffn_slices = (c->ffn + w->ffn_slice - 1) / w->ffn_slice;
    w->layer = ifd_zalloc_array(c->layers, sizeof(*w->layer));
    w->ffn2 = ifd_zalloc_array((size_t)c->layers * w->ffn_slices, sizeof(*w->ffn2));
    struct carver carver = {0};
    if (w->layer && w->ffn2) {
        for (uint32_t i = 0; i < c->layers; i++)
            w->layer[i].ffn2 = w->ffn2 + (size_t)i * w->ffn_slices;
        carve_all(&carver, w);
    }
    if (w->layer && w->ffn2 && !carver.failed) {
        w->arena = ifd_zalloc_aligned(carver.at);
        w->arena_bytes = carver.at;
        w->bytes = carver.at + sizeof(*w) +
                   c->layers * (sizeof(*w->layer) + w->ffn_slices * sizeof(*w->ffn2));
    }
    if (!w->arena) {
        ifd_weights_free(w);
        return NULL;
    }
    carver = (struct carver){.base = w->arena};
    carve_all(&carver, w);
    return w;
}

void ifd_linear_pack(const struct ifd_linear *l, size_t nr, size_t panel, const float *rows,
                     size_t count)
{
    switch (l->dtype) {
    case IFD_DTYPE_BF16:
        ifd_pack_panel_bf16(rows, count, l->k, nr, panel, l->packed);
        return;
    case IFD_DTYPE_INT8:
        ifd_pack_panel_int8(rows, count, l->k, nr, panel, l->packed, l->scale, l->sum);
        return;
    case IFD_DTYPE_FP32:
    case IFD_DTYPE_COUNT:
        break;
    }
    ifd_pack_panel_f32(rows, count, l->k, nr, panel, l->packed);
}

void ifd_weights_free(struct ifd_weights *w)
{
    if (!w)
        return;
    ifd_free_aligned(w->arena, w->arena_bytes);
    ifd_free(w->layer);
    ifd_free(w->ffn2);
    ifd_free(w);
}
