/* SPDX-License-Identifier: Apache-2.0 */
#include "text/build.h"

#include <string.h>

#include "base/mem.h"
#include "text/shown.h"
#include "text/unicode.h"

inferd_status ifd_tokenizer_new(struct ifd_tokenizer **out, inferd_error *err)
{
    inferd_status status = ifd_unicode_check(err);
    if (status)
        return status;
    struct ifd_tokenizer *t = ifd_zalloc(sizeof *t);
    if (!t)
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for a tokenizer");
    ifd_vocab_init(&t->model.vocab);
    ifd_added_init(&t->added);
    *out = t;
    return INFERD_OK;
}

void ifd_tokenizer_free(struct ifd_tokenizer *t)
{
    if (!t)
        return;
    ifd_vocab_fini(&t->model.vocab);
    ifd_added_fini(&t->added);
    ifd_free(t);
}

inferd_status ifd_tokenizer_model(struct ifd_tokenizer *t,
                                  const struct ifd_tokenizer_params *params, inferd_error *err)
{
    struct ifd_vocab *v = &t->model.vocab;
    if (v->count == 0)
        return ifd_fail(err, INFERD_MODEL_INVALID, "the vocabulary is empty");
    t->model.unk = ifd_vocab_id(v, params->unk, params->unk_size);
    if (t->model.unk == IFD_VOCAB_NONE)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "the vocabulary lacks the unknown token \"%.*s\"",
                        IFD_SHOWN(params->unk, params->unk_size));
    t->model.chars_max = params->chars_max;
    t->ids = v->ids;
    return ifd_vocab_seal(v, params->prefix, params->prefix_size, err);
}

/* The reference counts new ids from the number of distinct tokens, or past the largest added id. */
static uint32_t next_id(const struct ifd_tokenizer *t)
{
    uint32_t next = (uint32_t)t->model.vocab.count;
    for (size_t i = 0; i < t->added.count; i++)
        if (t->added.token[i].id >= next)
            next = t->added.token[i].id + 1;
    return next;
}

inferd_status ifd_tokenizer_add(struct ifd_tokenizer *t, struct ifd_added_token *token,
                                inferd_error *err)
{
    if (token->size == 0)
        return INFERD_OK;
    uint32_t id = ifd_added_id(&t->added, token->content, token->size);
    if (id == IFD_VOCAB_NONE)
        id = ifd_vocab_id(&t->model.vocab, token->content, token->size);
    if (id == IFD_VOCAB_NONE) {
        id = next_id(t);
        /* With a line twice in vocab.txt the reference would give an id away that is taken. */
        const char *taken = ifd_vocab_token(&t->model.vocab, id);
        if (id >= IFD_VOCAB_IDS_MAX)
            return ifd_fail(err, INFERD_MODEL_INVALID, "the vocabulary is too large");
        if (taken)
            return ifd_fail(err, INFERD_MODEL_INVALID,
                            "the vocabulary lacks the added token \"%.*s\", and the next id, %u, "
                            "is that of \"%.*s\": the vocabulary has duplicate lines or holes",
                            IFD_SHOWN(token->content, token->size), id,
                            IFD_SHOWN(taken, strlen(taken)));
    }
    token->id = id;
    if (id >= t->ids)
        t->ids = id + 1;
    return ifd_added_put(&t->added, token, err);
}

/* Index an added token under its normalised content. */
static inferd_status index_normalized(struct ifd_tokenizer *t, size_t index,
                                      struct ifd_normalizer *n, inferd_error *err)
{
    const struct ifd_added_token *token = &t->added.token[index];
    /* a scalar yields at most 13 bytes for each of its own */
    size_t room;
    if (!ifd_size_mul(token->size, 16, &room) || !ifd_size_add(room, IFD_NORMALIZE_ROOM, &room))
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for added tokens");
    char *pattern = ifd_alloc(room);
    if (!pattern)
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for added tokens");
    size_t size = 0, used;
    ifd_normalizer_start(n, &t->normalize, token->content, token->size);
    inferd_status status;
    while (!(status = ifd_normalizer_next(n, pattern + size, room - size, &used, err)) && used)
        size += used;
    if (!status)
        status = ifd_added_index(&t->added, index, pattern, size, err);
    ifd_free(pattern);
    return status;
}

inferd_status ifd_tokenizer_finish(struct ifd_tokenizer *t, inferd_error *err)
{
    struct ifd_normalizer n;
    ifd_normalizer_init(&n);
    inferd_status status = INFERD_OK;
    for (size_t i = 0; i < t->added.count && !status; i++) {
        const struct ifd_added_token *token = &t->added.token[i];
        if (token->normalized)
            status = index_normalized(t, i, &n, err);
        else
            status = ifd_added_index(&t->added, i, token->content, token->size, err);
    }
    ifd_normalizer_fini(&n);
    if (status)
        return status;
    if (t->open >= t->ids || t->close >= t->ids)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "the special tokens around a text have ids %u and %u, but the vocabulary "
                        "ends at %u",
                        t->open, t->close, t->ids - 1);
    return INFERD_OK;
}
