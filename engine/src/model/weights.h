/* SPDX-License-Identifier: Apache-2.0
 *
 * weights.h - what a loaded encoder is, the same for BERT and DistilBERT: validated sizes and
 * packed weights. Written by the loader (load.c), read by the forward pass (forward.c).
 *
 * Names of dimensions: V vocabulary, P positions, H hidden, F feed-forward, C labels.
 * Immutable after loading.
 */
#ifndef IFD_MODEL_WEIGHTS_H
#define IFD_MODEL_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

enum ifd_arch { IFD_ARCH_BERT, IFD_ARCH_DISTILBERT };
enum ifd_storage { IFD_STORE_F32, IFD_STORE_F16, IFD_STORE_BF16 };
enum ifd_problem { IFD_PROBLEM_SINGLE_LABEL, IFD_PROBLEM_MULTI_LABEL };

/* y = x W^T + b, packed for the tier (kernels.h). The head is fp32 in every mode. */
struct ifd_linear {
    enum ifd_dtype dtype;
    size_t n, k;
    void *packed; /* ifd_packed_bytes(dtype, n, k, nr) */
    float *bias;  /* [n padded to nr], zero-padded */
    float *scale; /* int8: [n padded to nr], else NULL */
    float *sum;   /* int8: [n padded to nr], else NULL */
    float *by;    /* int8: [k], else NULL: x is multiplied by it and w was divided by it, see
                   * balance.h */
};

struct ifd_norm {
    float *gamma, *beta; /* [H] */
};

/* An embedding table stays in the dtype of its file and is widened row by row. */
struct ifd_table {
    enum ifd_storage storage;
    size_t rows;
    void *data; /* [rows][H] */
};

struct ifd_layer {
    struct ifd_linear qkv;  /* n = 3H: query, key, value outputs one after the other */
    struct ifd_linear out;  /* H -> H */
    struct ifd_norm norm1;  /* after attention */
    struct ifd_linear ffn1; /* H -> F, then GELU */
    /* F -> H, cut over F: slice s takes inputs from s * ffn_slice on, and x W^T + b is the sum over
     * the slices. Only slice 0 has a bias that is not zero. */
    struct ifd_linear *ffn2; /* [ffn_slices] */
    struct ifd_norm norm2;   /* after the feed-forward */
};

#define IFD_FFN_SLICE 768u

struct ifd_weights {
    enum ifd_arch arch;
    enum ifd_problem problem;
    const struct ifd_kernels *kernels; /* the tier that the panels are packed for */
    enum ifd_dtype dtype;              /* of all products but the head's */
    uint32_t layers, hidden, heads, ffn, vocab, positions, labels;
    uint32_t types; /* of tokens; DistilBERT has none: 0 */
    /* The feed-forward runs slice by slice: in a narrow dtype its inner rows then stay in L2 and
     * have a scale for each slice; in fp32 there is one, of all F. */
    uint32_t ffn_slice, ffn_slices; /* inputs of each but the last, a multiple of any nr */
    float norm_eps;
    struct ifd_table words;  /* [V][H] */
    float *positions_types;  /* [P][H]: position row + token type 0's row (none in DistilBERT) */
    float *type_step;        /* [H]: token type 1's row less type 0's; NULL if there is no type 1 */
    struct ifd_norm norm0;   /* of the embeddings */
    struct ifd_layer *layer; /* [layers] */
    struct ifd_linear *ffn2; /* [layers][ffn_slices], what layer[].ffn2 point to */
    struct ifd_linear pre;   /* BERT: pooler (tanh); DistilBERT: pre_classifier (relu). H -> H */
    struct ifd_linear head;  /* H -> C */
    uint64_t parameters;
    size_t bytes; /* of memory held by all of the above */
    /* private */
    void *arena; /* the one block that all the float and table memory above lies in */
    size_t arena_bytes;
};

/* Can the model tell two texts of a sequence apart as it was made to? DistilBERT does so by [SEP]
 * alone. */
static inline bool ifd_weights_take_pairs(const struct ifd_weights *w)
{
    return w->types != 1;
}

/* Accepts NULL and half-built weights. */
void ifd_weights_free(struct ifd_weights *w);

#endif
