/* SPDX-License-Identifier: Apache-2.0
 *
 * build.h - what a tokenizer is made of, for this room only: the two loaders fill it, tokenizer.c
 * encodes with it.
 */
#ifndef IFD_TEXT_BUILD_H
#define IFD_TEXT_BUILD_H

#include "text/added.h"
#include "text/normalize.h"
#include "text/tokenizer.h"
#include "text/wordpiece.h"

struct ifd_tokenizer {
    struct ifd_normalize_options normalize;
    struct ifd_wordpiece model;
    struct ifd_added added;
    uint32_t open, close; /* ids around a text: [CLS], [SEP] */
    bool takes_pairs;     /* two texts are open A close B close, the types 0 0 0 1 1 */
    uint32_t ids;         /* largest id + 1, added tokens included */
};

/* What a loader fills before ifd_tokenizer_finish: model.vocab (not sealed) and, by
 * ifd_tokenizer_model, its parameters; then added tokens in the file's order; then open, close
 * and takes_pairs. */
IFD_MUST_CHECK inferd_status ifd_tokenizer_new(struct ifd_tokenizer **out, inferd_error *err);

struct ifd_tokenizer_params {
    const char *unk;
    size_t unk_size;
    const char *prefix;
    size_t prefix_size;
    size_t chars_max;
};
/* Seal the vocabulary. INFERD_MODEL_INVALID when it is empty, lacks `unk`, or has an id twice. */
IFD_MUST_CHECK inferd_status ifd_tokenizer_model(struct ifd_tokenizer *t,
                                                 const struct ifd_tokenizer_params *params,
                                                 inferd_error *err);
/* Add a token; token->id is set to the vocabulary's id of its content or, for a new one, to the
 * next free id as the reference counts. A token without content is ignored. */
IFD_MUST_CHECK inferd_status ifd_tokenizer_add(struct ifd_tokenizer *t,
                                               struct ifd_added_token *token, inferd_error *err);
/* Check and index everything. */
IFD_MUST_CHECK inferd_status ifd_tokenizer_finish(struct ifd_tokenizer *t, inferd_error *err);

#endif
