/* SPDX-License-Identifier: Apache-2.0
 *
 * forward_scratch.h - the memory of a forward pass, shared by forward.c (the pass),
 * forward_steps.c (its steps) and forward_scratch.c (sizes and lifetime). Private to these.
 *
 * A lane is what one sequence of steps needs for one chunk of a batch: with a team, either texts
 * are cut into parts, each in its own lane, or each step is: then a part has a view, its lane with
 * the buffers that all read taken from lane 0.
 *
 *   lane:   x [rows][ld_h]        hidden states        qkv [rows][ld_qkv]  query | key | value
 *           context [rows][ld_h]  attention's output   ffn [rows][ld_f]    a slice of ffn1's output
 *           work                  attention's panels
 *           narrow_h, narrow_f, narrow_first: rows of x or context, of ffn, and of first tokens as
 *           products take them in a narrow dtype (not there in fp32)
 *   batch:  first_x, first_context [texts][ld_h]: the rows that the classifier will read
 *
 * Row strides are an odd number of cache lines: a tile reads one column of many rows at a time, and
 * strides such as 3072 or 4096 bytes would put these into very few sets of L1.
 */
#ifndef IFD_MODEL_FORWARD_SCRATCH_H
#define IFD_MODEL_FORWARD_SCRATCH_H

#include "model/forward.h"

/* Tokens that are taken through all layers together. Few enough for a chunk's activations to stay
 * in a 2 MiB L2, enough that weights are read rarely; docs/forward.md has the measurements. */
#define IFD_CHUNK_TOKENS 192u

/* n floats rounded up to an odd number of cache lines; 0 on overflow. */
size_t ifd_row_stride(size_t n);

struct ifd_lane {
    struct ifd_scratch *scratch;
    unsigned part, parts;                     /* of each step: 0 of 1 in a lane */
    struct ifd_team_walk *walk;               /* NULL: the caller does every part itself */
    float *x, *context;                       /* of lane 0 in a view */
    float *qkv, *ffn, *work;                  /* own */
    struct ifd_narrow narrow_h, narrow_first; /* of lane 0 in a view */
    struct ifd_narrow narrow_f;               /* own */
};

struct ifd_scratch {
    const struct ifd_weights *w;
    struct ifd_team *team; /* NULL: the caller alone */
    unsigned members;
    size_t tokens_max, texts_max;
    size_t rows_max; /* rows of a lane's buffers */
    size_t ld_h, ld_qkv, ld_f;
    struct ifd_lane *lane, *view; /* [members] */
    float *first_x, *first_context;
    uint32_t *share; /* [members + 1]: texts of member i are share[i] .. share[i + 1] - 1 */
    size_t bytes;
    bool full_last_layer;
    ifd_pause_fn *pause; /* NULL: none */
    void *pause_arg;
};

#endif
