/* SPDX-License-Identifier: Apache-2.0 */
#include "text/vocab.h"

#include <string.h>

#include "base/mem.h"
#include "base/pace.h"
#include "text/shown.h"

#define NEXT_BIT 0x80000000u /* in slot.token: the piece is the token without its prefix */
#define PACE_TOKENS 256u     /* between two calls of ifd_pace */
#define TEXT_MAX ((size_t)1 << 30)

struct ifd_vocab_token {
    uint32_t at, size; /* in v->text */
    uint32_t id;
    uint32_t prefix; /* bytes to skip for the continuing piece */
};

struct ifd_vocab_slot {
    uint32_t hash;
    uint32_t token; /* index + 1 (0: free), with NEXT_BIT */
};

void ifd_vocab_init(struct ifd_vocab *v)
{
    memset(v, 0, sizeof *v);
}

void ifd_vocab_fini(struct ifd_vocab *v)
{
    ifd_free(v->text);
    ifd_free(v->token);
    ifd_free(v->slot);
    ifd_free(v->by_id);
    ifd_vocab_init(v);
}

static uint32_t hash_of(enum ifd_piece kind, const char *s, size_t n)
{
    uint32_t h = ifd_vocab_hash_begin(kind);
    for (size_t i = 0; i < n; i++)
        h = ifd_vocab_hash_byte(h, s[i]);
    return h;
}

/* FNV leaves little in its low bits on short keys; spread the hash before masking. */
static size_t first_slot(const struct ifd_vocab *v, uint32_t hash)
{
    return (hash * 0x9E3779B1u >> 7) & (v->slots - 1);
}

static const struct ifd_vocab_slot *find(const struct ifd_vocab *v, enum ifd_piece kind,
                                         uint32_t hash, const char *s, size_t n)
{
    if (!v->slots)
        return NULL;
    for (size_t i = first_slot(v, hash);; i = (i + 1) & (v->slots - 1)) {
        const struct ifd_vocab_slot *slot = &v->slot[i];
        if (!slot->token)
            return NULL;
        if (slot->hash != hash || !(slot->token & NEXT_BIT) != (kind == IFD_PIECE_FIRST))
            continue;
        const struct ifd_vocab_token *t = &v->token[(slot->token & ~NEXT_BIT) - 1];
        uint32_t skip = kind == IFD_PIECE_FIRST ? 0 : t->prefix;
        if (t->size - skip == n && memcmp(v->text + t->at + skip, s, n) == 0)
            return slot;
    }
}

static void put(struct ifd_vocab *v, uint32_t hash, uint32_t token)
{
    size_t i = first_slot(v, hash);
    while (v->slot[i].token)
        i = (i + 1) & (v->slots - 1);
    v->slot[i] = (struct ifd_vocab_slot){.hash = hash, .token = token};
    v->slots_used++;
}

/* Room for `more` slots at a load of at most one half. */
static bool reserve_slots(struct ifd_vocab *v, size_t more)
{
    size_t want = v->slots ? v->slots : 256;
    while (want / 2 < v->slots_used + more)
        want *= 2;
    if (want == v->slots)
        return true;
    struct ifd_vocab_slot *old = v->slot;
    size_t old_slots = v->slots;
    struct ifd_vocab_slot *grown = ifd_zalloc_array(want, sizeof *grown);
    if (!grown)
        return false;
    v->slot = grown;
    v->slots = want;
    v->slots_used = 0;
    for (size_t i = 0; i < old_slots; i++)
        if (old[i].token)
            put(v, old[i].hash, old[i].token);
    ifd_free(old);
    return true;
}

static bool reserve_token(struct ifd_vocab *v, size_t size)
{
    if (v->count == v->token_capacity) {
        size_t n = v->token_capacity ? 2 * v->token_capacity : 1024;
        size_t bytes;
        void *p = ifd_size_mul(n, sizeof *v->token, &bytes) ? ifd_realloc(v->token, bytes) : NULL;
        if (!p)
            return false;
        v->token = p;
        v->token_capacity = n;
    }
    if (v->text_capacity - v->text_size < size + 1) {
        size_t n = v->text_capacity ? v->text_capacity : 4096;
        while (n - v->text_size < size + 1)
            n *= 2;
        char *p = ifd_realloc(v->text, n);
        if (!p)
            return false;
        v->text = p;
        v->text_capacity = n;
    }
    return reserve_slots(v, 1);
}

inferd_status ifd_vocab_add(struct ifd_vocab *v, const char *token, size_t size, uint32_t id,
                            inferd_error *err)
{
    if (id >= IFD_VOCAB_IDS_MAX)
        return ifd_fail(err, INFERD_MODEL_INVALID, "token \"%.*s\" has id %u; ids must be below %u",
                        (int)(size < 64 ? size : 64), token, id, IFD_VOCAB_IDS_MAX);
    if (size >= TEXT_MAX - v->text_size || v->count >= IFD_VOCAB_IDS_MAX)
        return ifd_fail(err, INFERD_MODEL_INVALID, "the vocabulary is too large");
    uint32_t hash = hash_of(IFD_PIECE_FIRST, token, size);
    const struct ifd_vocab_slot *known = find(v, IFD_PIECE_FIRST, hash, token, size);
    if (known) {
        v->token[known->token - 1].id = id;
    } else {
        if (!reserve_token(v, size))
            return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for the vocabulary");
        v->token[v->count] = (struct ifd_vocab_token){
            .at = (uint32_t)v->text_size, .size = (uint32_t)size, .id = id};
        memcpy(v->text + v->text_size, token, size);
        v->text[v->text_size + size] = '\0';
        v->text_size += size + 1;
        v->count++;
        put(v, hash, (uint32_t)v->count);
        if (size > v->longest[IFD_PIECE_FIRST])
            v->longest[IFD_PIECE_FIRST] = size;
    }
    if (id >= v->ids)
        v->ids = id + 1;
    if (v->count % PACE_TOKENS == 0)
        ifd_pace();
    return INFERD_OK;
}

inferd_status ifd_vocab_seal(struct ifd_vocab *v, const char *prefix, size_t prefix_size,
                             inferd_error *err)
{
    v->by_id = ifd_alloc_array(v->ids, sizeof *v->by_id);
    if (!v->by_id || !reserve_slots(v, v->count))
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for the vocabulary");
    for (uint32_t id = 0; id < v->ids; id++)
        v->by_id[id] = IFD_VOCAB_NONE;
    for (uint32_t i = 0; i < v->count; i++) {
        struct ifd_vocab_token *t = &v->token[i];
        const char *s = v->text + t->at;
        if (v->by_id[t->id] != IFD_VOCAB_NONE) {
            const struct ifd_vocab_token *other = &v->token[v->by_id[t->id]];
            return ifd_fail(
                err, INFERD_MODEL_INVALID, "tokens \"%.*s\" and \"%.*s\" both have id %u",
                IFD_SHOWN(v->text + other->at, other->size), IFD_SHOWN(s, t->size), t->id);
        }
        v->by_id[t->id] = i;
        if (i % PACE_TOKENS == 0)
            ifd_pace();
        if (t->size > prefix_size && memcmp(s, prefix, prefix_size) == 0) {
            size_t size = t->size - prefix_size;
            t->prefix = (uint32_t)prefix_size;
            put(v, hash_of(IFD_PIECE_NEXT, s + prefix_size, size), (i + 1) | NEXT_BIT);
            if (size > v->longest[IFD_PIECE_NEXT])
                v->longest[IFD_PIECE_NEXT] = size;
        }
    }
    return INFERD_OK;
}

uint32_t ifd_vocab_id(const struct ifd_vocab *v, const char *token, size_t size)
{
    const struct ifd_vocab_slot *slot =
        find(v, IFD_PIECE_FIRST, hash_of(IFD_PIECE_FIRST, token, size), token, size);
    return slot ? v->token[slot->token - 1].id : IFD_VOCAB_NONE;
}

uint32_t ifd_vocab_piece(const struct ifd_vocab *v, enum ifd_piece kind, uint32_t hash,
                         const char *piece, size_t size)
{
    const struct ifd_vocab_slot *slot = find(v, kind, hash, piece, size);
    return slot ? v->token[(slot->token & ~NEXT_BIT) - 1].id : IFD_VOCAB_NONE;
}

const char *ifd_vocab_token(const struct ifd_vocab *v, uint32_t id)
{
    if (id >= v->ids || v->by_id[id] == IFD_VOCAB_NONE)
        return NULL;
    return v->text + v->token[v->by_id[id]].at;
}
