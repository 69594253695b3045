/* SPDX-License-Identifier: Apache-2.0
 *
 * vocab.h - the word-piece vocabulary: token <-> id, and the lookups of greedy longest match.
 *
 * One hash table sized by the vocabulary serves both kinds of piece: those that begin a word (the
 * token as it stands) and those that continue one (the token without its prefix, "##"). The caller
 * hashes a word's bytes one after the other, so every prefix of the word has its hash for free, and
 * asks from the longest prefix down.
 *
 * Owns the token texts. Built by one thread, then read-only.
 */
#ifndef IFD_TEXT_VOCAB_H
#define IFD_TEXT_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Ids below this; bounds the table of tokens by id that a damaged file can make us allocate. */
#define IFD_VOCAB_IDS_MAX (UINT32_C(1) << 22)
#define IFD_VOCAB_NONE UINT32_MAX

enum ifd_piece { IFD_PIECE_FIRST, IFD_PIECE_NEXT };

struct ifd_vocab {
    size_t count;      /* distinct tokens */
    uint32_t ids;      /* largest id + 1; 0 when empty */
    size_t longest[2]; /* bytes of the longest piece of each kind, prefix not counted */
    /* private */
    char *text;
    size_t text_size, text_capacity;
    struct ifd_vocab_token *token;
    size_t token_capacity;
    struct ifd_vocab_slot *slot;
    size_t slots, slots_used;
    uint32_t *by_id; /* [ids] index of a token, or NONE */
};

/* Hash of the empty piece, and of a piece with one more byte. */
static inline uint32_t ifd_vocab_hash_begin(enum ifd_piece kind)
{
    return kind == IFD_PIECE_FIRST ? 0x811C9DC5u : 0x2B5AD4CDu;
}
static inline uint32_t ifd_vocab_hash_byte(uint32_t h, char byte)
{
    return (h ^ (uint8_t)byte) * 0x01000193u;
}

void ifd_vocab_init(struct ifd_vocab *v);
void ifd_vocab_fini(struct ifd_vocab *v);

/* Add a token, or give a known one a new id (the last wins, as in the reference). Only
 * INFERD_NO_MEMORY and, for id >= IFD_VOCAB_IDS_MAX or too much text, INFERD_MODEL_INVALID. */
IFD_MUST_CHECK inferd_status ifd_vocab_add(struct ifd_vocab *v, const char *token, size_t size,
                                           uint32_t id, inferd_error *err);
/* No more tokens come: index the continuing pieces and the ids. INFERD_MODEL_INVALID, naming both,
 * when two tokens have one id. */
IFD_MUST_CHECK inferd_status ifd_vocab_seal(struct ifd_vocab *v, const char *prefix,
                                            size_t prefix_size, inferd_error *err);

/* Id of a whole token, or IFD_VOCAB_NONE; any time. */
uint32_t ifd_vocab_id(const struct ifd_vocab *v, const char *token, size_t size);
/* After sealing: id of the piece with that hash, or IFD_VOCAB_NONE. */
uint32_t ifd_vocab_piece(const struct ifd_vocab *v, enum ifd_piece kind, uint32_t hash,
                         const char *piece, size_t size);
/* After sealing: NUL-terminated text of an id, or NULL. */
const char *ifd_vocab_token(const struct ifd_vocab *v, uint32_t id);

#endif
