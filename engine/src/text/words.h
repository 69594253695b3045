/* SPDX-License-Identifier: Apache-2.0
 *
 * words.h - BertPreTokenizer as a stream: normalised UTF-8 in pieces, ids of its words out.
 *
 * White space ends a word and disappears; a punctuation scalar is a word of its own. Each finished
 * word goes through WordPiece. A word that lies inside one piece of input is not copied; one that
 * is cut by pieces is gathered, up to the model's limit of characters, past which it is unknown
 * anyway.
 *
 * One owner at a time.
 */
#ifndef IFD_TEXT_WORDS_H
#define IFD_TEXT_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "text/wordpiece.h"

struct ifd_words {
    /* private */
    const struct ifd_wordpiece *model;
    struct ifd_ids *out;
    uint32_t *hashes; /* [span] */
    size_t span;
    char *word; /* the open word's bytes from earlier pieces */
    size_t size, capacity;
    size_t chars; /* of the open word, also those that are not kept */
    bool no_memory;
};

void ifd_words_init(struct ifd_words *w); /* zeroes */
void ifd_words_fini(struct ifd_words *w);

/* Ids are appended to `out` until the next start. */
IFD_MUST_CHECK inferd_status ifd_words_start(struct ifd_words *w, const struct ifd_wordpiece *model,
                                             struct ifd_ids *out, inferd_error *err);
/* A piece of text, whole scalars. Stops early once `out` has more ids than it can keep. */
IFD_MUST_CHECK inferd_status ifd_words_feed(struct ifd_words *w, const char *text, size_t size,
                                            inferd_error *err);
/* End the open word, if any. */
void ifd_words_end(struct ifd_words *w);

#endif
