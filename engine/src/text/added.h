/* SPDX-License-Identifier: Apache-2.0
 *
 * added.h - added tokens: literals such as [SEP] that are cut out of a text before anything else.
 *
 * Two sets, as in the reference: tokens matched in the raw text, and tokens with `normalized`,
 * whose own text is normalised and which are matched in the normalised text between the first ones.
 * Matching is leftmost, then longest, without overlap; a match that a flag rejects is skipped
 * whole. Built by one thread, then read-only.
 */
#ifndef IFD_TEXT_ADDED_H
#define IFD_TEXT_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ifd_added_token {
    char *content; /* owned, NUL-terminated after size bytes */
    size_t size;
    uint32_t id;
    bool single_word; /* only where no \w touches it */
    bool lstrip;      /* takes the white space on its left with it */
    bool rstrip;
    bool normalized;
    bool special;
};

/* A trie over the bytes of some tokens' patterns. */
struct ifd_added_set {
    /* private */
    struct ifd_added_node *node;
    size_t nodes, capacity;
    uint32_t root[256];
};

struct ifd_added {
    struct ifd_added_token *token; /* in the order of addition */
    size_t count;
    bool split_special; /* special tokens are text like any other */
    /* private */
    size_t capacity;
    uint32_t *sorted; /* indices of token by content, for lookups while building */
    struct ifd_added_set raw, normal;
};

void ifd_added_init(struct ifd_added *a);
void ifd_added_fini(struct ifd_added *a);

/* Add a token (content is copied). One with the same content is replaced. */
IFD_MUST_CHECK inferd_status ifd_added_put(struct ifd_added *a, const struct ifd_added_token *token,
                                           inferd_error *err);
/* Id of a token by its content, or UINT32_MAX. */
uint32_t ifd_added_id(const struct ifd_added *a, const char *content, size_t size);
/* Make token `index` findable by `pattern`, its content or that normalised; an empty one never
 * matches. INFERD_MODEL_INVALID for one that another token of the same set has: the reference then
 * picks either by chance. */
IFD_MUST_CHECK inferd_status ifd_added_index(struct ifd_added *a, size_t index, const char *pattern,
                                             size_t size, inferd_error *err);

/* Walks over one text. Zero-initialise but for the first four. */
struct ifd_added_walk {
    const struct ifd_added *added;
    const struct ifd_added_set *set;
    const char *text; /* valid UTF-8 */
    size_t size;
    /* The piece before the match, and the match's id (UINT32_MAX: the rest, no match). */
    size_t piece_begin, piece_end;
    uint32_t id;
    /* private */
    size_t from; /* where matching goes on */
    size_t rest; /* end of the last token, spaces that it took included */
    bool done;
};

/* Next piece and match; false at the end. Pieces may be empty. */
bool ifd_added_next(struct ifd_added_walk *w);

static inline bool ifd_added_set_empty(const struct ifd_added_set *set)
{
    return set->nodes == 0;
}

#endif
