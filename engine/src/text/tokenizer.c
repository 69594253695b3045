/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/build.h"
#include "text/words.h"

#define BLOCK_BYTES 4096u

struct ifd_tokenizer_scratch {
    struct ifd_normalizer normalizer;
    struct ifd_words words;
    char *normal; /* a whole normalised piece, only when there are tokens to match in it */
    size_t normal_capacity;
    char block[BLOCK_BYTES];
};

uint32_t ifd_tokenizer_vocab_size(const struct ifd_tokenizer *t)
{
    return t->ids;
}

const char *ifd_tokenizer_token(const struct ifd_tokenizer *t, int32_t id)
{
    if (id < 0 || (uint32_t)id >= t->ids)
        return NULL;
    const char *token = ifd_vocab_token(&t->model.vocab, (uint32_t)id);
    for (size_t i = 0; !token && i < t->added.count; i++)
        if (t->added.token[i].id == (uint32_t)id)
            token = t->added.token[i].content;
    return token;
}

bool ifd_tokenizer_lowercases(const struct ifd_tokenizer *t)
{
    return t->normalize.lowercase;
}

bool ifd_tokenizer_takes_pairs(const struct ifd_tokenizer *t)
{
    return t->takes_pairs;
}

struct ifd_tokenizer_scratch *ifd_tokenizer_scratch_create(void)
{
    struct ifd_tokenizer_scratch *s = ifd_zalloc(sizeof *s);
    if (!s)
        return NULL;
    ifd_normalizer_init(&s->normalizer);
    ifd_words_init(&s->words);
    return s;
}

void ifd_tokenizer_scratch_free(struct ifd_tokenizer_scratch *s)
{
    if (!s)
        return;
    ifd_normalizer_fini(&s->normalizer);
    ifd_words_fini(&s->words);
    ifd_free(s->normal);
    ifd_free(s);
}

static bool is_full(const struct ifd_ids *out)
{
    return out->count > out->capacity;
}

/* Text without added tokens, normalised and split block by block. */
static inferd_status stream_piece(const struct ifd_tokenizer *t, struct ifd_tokenizer_scratch *s,
                                  const char *text, size_t size, struct ifd_ids *out,
                                  inferd_error *err)
{
    inferd_status status;
    size_t used;
    ifd_normalizer_start(&s->normalizer, &t->normalize, text, size);
    while (!(status = ifd_normalizer_next(&s->normalizer, s->block, sizeof s->block, &used, err)) &&
           used && !is_full(out)) {
        status = ifd_words_feed(&s->words, s->block, used, err);
        if (status)
            break;
    }
    ifd_words_end(&s->words);
    return status;
}

static inferd_status normalize_whole(const struct ifd_tokenizer *t, struct ifd_tokenizer_scratch *s,
                                     const char *text, size_t size, size_t *out_size,
                                     inferd_error *err)
{
    size_t have = 0, used;
    inferd_status status;
    ifd_normalizer_start(&s->normalizer, &t->normalize, text, size);
    do {
        if (s->normal_capacity - have < BLOCK_BYTES) {
            size_t want = s->normal_capacity ? 2 * s->normal_capacity : 4 * (size_t)BLOCK_BYTES;
            char *grown = ifd_realloc(s->normal, want);
            if (!grown)
                return ifd_fail(err, INFERD_NO_MEMORY, "out of memory while normalising a text");
            s->normal = grown;
            s->normal_capacity = want;
        }
        status = ifd_normalizer_next(&s->normalizer, s->normal + have, s->normal_capacity - have,
                                     &used, err);
        if (status)
            return status;
        have += used;
    } while (used);
    *out_size = have;
    return INFERD_OK;
}

/* Text without raw added tokens, but where normalised ones may be. */
static inferd_status match_piece(const struct ifd_tokenizer *t, struct ifd_tokenizer_scratch *s,
                                 const char *text, size_t size, struct ifd_ids *out,
                                 inferd_error *err)
{
    size_t normal_size = 0;
    inferd_status status = normalize_whole(t, s, text, size, &normal_size, err);
    struct ifd_added_walk walk = {
        .added = &t->added, .set = &t->added.normal, .text = s->normal, .size = normal_size};
    while (!status && !is_full(out) && ifd_added_next(&walk)) {
        status = ifd_words_feed(&s->words, s->normal + walk.piece_begin,
                                walk.piece_end - walk.piece_begin, err);
        ifd_words_end(&s->words);
        if (walk.id != IFD_VOCAB_NONE)
            ifd_ids_push(out, walk.id);
    }
    return status;
}

inferd_status ifd_tokenizer_encode(const struct ifd_tokenizer *t, struct ifd_tokenizer_scratch *s,
                                   const char *text, size_t size, uint32_t max_length, int32_t *ids,
                                   size_t *count, bool *truncated, inferd_error *err)
{
    if (max_length < 3)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "max_length is %u; at least 3 are needed, two of them special tokens",
                        max_length);
    if (size == 0)
        text = ""; /* it may be NULL */
    size_t bad = ifd_utf8_check(text, size);
    if (bad < size)
        return ifd_fail(err, INFERD_INVALID_UTF8, "the text is not valid UTF-8 at byte %zu", bad);
    struct ifd_ids out = {.id = ids + 1, .capacity = max_length - 2};
    inferd_status status = ifd_words_start(&s->words, &t->model, &out, err);
    struct ifd_added_walk walk = {
        .added = &t->added, .set = &t->added.raw, .text = text, .size = size};
    bool streams = ifd_added_set_empty(&t->added.normal);
    while (!status && !is_full(&out) && ifd_added_next(&walk)) {
        const char *piece = text + walk.piece_begin;
        size_t piece_size = walk.piece_end - walk.piece_begin;
        if (piece_size > 0)
            status = streams ? stream_piece(t, s, piece, piece_size, &out, err)
                             : match_piece(t, s, piece, piece_size, &out, err);
        if (walk.id != IFD_VOCAB_NONE)
            ifd_ids_push(&out, walk.id);
    }
    if (status)
        return status;
    size_t kept = out.count < out.capacity ? out.count : out.capacity;
    ids[0] = (int32_t)t->open;
    ids[kept + 1] = (int32_t)t->close;
    *count = kept + 2;
    *truncated = is_full(&out);
    return INFERD_OK;
}
