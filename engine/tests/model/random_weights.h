/* SPDX-License-Identifier: Apache-2.0
 *
 * random_weights.h - encoders with random weights, built without a model directory, for tests and
 * benchmarks of the forward pass. The numbers depend on the seed and the shape alone, not on the
 * tier that they are packed for. Values are small enough for activations to stay near 1.
 */
#ifndef IFD_TESTS_RANDOM_WEIGHTS_H
#define IFD_TESTS_RANDOM_WEIGHTS_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/weights.h"
#include "model/weights_alloc.h"

struct random_shape {
    enum ifd_arch arch;
    enum ifd_storage storage; /* of the word table */
    uint32_t layers, hidden, heads, ffn, vocab, positions, labels;
};

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* uniform in -scale .. scale */
static inline float random_float(uint64_t *state, float scale)
{
    return ((float)(random_next(state) >> 40) * 0x1p-23f - 1.0f) * scale;
}

static inline uint32_t random_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(random_next(state) % n);
}

/* One matrix [n][k], cut over k into as many layers as it takes; the bias is the first one's. */
static inline void random_slices(const struct ifd_linear *l, size_t slices, size_t nr,
                                 uint64_t *state)
{
    size_t k = 0, column = 0;
    for (size_t s = 0; s < slices; s++)
        k += l[s].k;
    const float scale = 1.5f / sqrtf((float)k);
    float *rows = ifd_alloc_array(nr * k, sizeof(*rows));
    float *part = ifd_alloc_array(nr * k, sizeof(*part));
    if (!rows || !part)
        exit((fputs("out of memory\n", stderr), 1));
    for (size_t p = 0; p * nr < l->n; p++, column = 0) {
        size_t count = l->n - p * nr < nr ? l->n - p * nr : nr;
        for (size_t i = 0; i < count * k; i++)
            rows[i] = random_float(state, scale);
        for (size_t s = 0; s < slices; column += l[s++].k) {
            for (size_t i = 0; i < count; i++)
                memcpy(part + i * l[s].k, rows + i * k + column, l[s].k * sizeof(*part));
            ifd_linear_pack(&l[s], nr, p, part, count);
        }
    }
    ifd_free(rows);
    ifd_free(part);
    for (size_t s = 0; s < slices; s++)
        for (size_t i = 0; l[s].by && i < l[s].k; i++)
            l[s].by[i] = 1.0f;
    for (size_t i = 0; i < l->n; i++)
        l->bias[i] = random_float(state, 0.2f);
}

static inline void random_linear(const struct ifd_linear *l, size_t nr, uint64_t *state)
{
    random_slices(l, 1, nr, state);
}

static inline void random_norm(struct ifd_norm *norm, size_t hidden, uint64_t *state)
{
    for (size_t i = 0; i < hidden; i++) {
        norm->gamma[i] = 1.0f + random_float(state, 0.3f);
        norm->beta[i] = random_float(state, 0.2f);
    }
}

static inline void random_table(struct ifd_table *table, size_t hidden, uint64_t *state)
{
    for (size_t i = 0; i < table->rows * hidden; i++) {
        if (table->storage == IFD_STORE_F32) {
            ((float *)table->data)[i] = random_float(state, 1.0f);
            continue;
        }
        /* any sign and fraction, exponents below that of 1 */
        uint32_t r = random_below(state, 0x10000u);
        uint32_t bits = table->storage == IFD_STORE_F16 ? (r & 0x83FFu) | (8u + r % 6u) << 10
                                                        : (r & 0x807Fu) | (120u + r % 6u) << 7;
        ((uint16_t *)table->data)[i] = (uint16_t)bits;
    }
}

/* In the same memory as a loaded model's (huge pages matter to speed). Free with ifd_weights_free.
 * Tests and benchmarks have no use for going on without memory. */
static inline struct ifd_weights *random_weights_new(const struct random_shape *shape,
                                                     const struct ifd_kernels *kernels,
                                                     enum ifd_dtype dtype, uint64_t seed)
{
    const struct ifd_config config = {.arch = shape->arch,
                                      .layers = shape->layers,
                                      .hidden = shape->hidden,
                                      .heads = shape->heads,
                                      .ffn = shape->ffn,
                                      .vocab = shape->vocab,
                                      .positions = shape->positions,
                                      .labels = shape->labels,
                                      .norm_eps = 1e-12f};
    uint64_t state = seed;
    struct ifd_weights *w = ifd_weights_create(&config, kernels, dtype, shape->storage);
    if (!w)
        exit((fputs("out of memory\n", stderr), 1));
    random_table(&w->words, w->hidden, &state);
    for (size_t i = 0; i < (size_t)w->positions * w->hidden; i++)
        w->positions_types[i] = random_float(&state, 0.5f);
    random_norm(&w->norm0, w->hidden, &state);
    for (uint32_t i = 0; i < w->layers; i++) {
        struct ifd_layer *l = &w->layer[i];
        random_linear(&l->qkv, kernels->nr, &state);
        random_linear(&l->out, kernels->nr, &state);
        random_norm(&l->norm1, w->hidden, &state);
        random_linear(&l->ffn1, kernels->nr, &state);
        random_slices(l->ffn2, w->ffn_slices, kernels->nr, &state);
        random_norm(&l->norm2, w->hidden, &state);
    }
    random_linear(&w->pre, kernels->nr, &state);
    random_linear(&w->head, kernels->nr, &state);
    return w;
}

#endif
