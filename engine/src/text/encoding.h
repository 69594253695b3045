/* SPDX-License-Identifier: Apache-2.0
 *
 * encoding.h - the token ids of a request's texts, end to end, in buffers that are used again.
 *
 * A text is one sequence, or several where it is longer than the model takes and is computed in
 * windows. The one place where texts become ids, for the server's requests and the library's.
 *
 *     texts      0            1                    2
 *     first      0            1                    4            5
 *     sequences  [CLS] .. SEP | window | window | window | [CLS] .. [SEP]
 *
 * A pair of texts is one sequence, [CLS] A [SEP] B [SEP], whatever its length: what is too much is
 * cut from the longer of the two, as `longest_first` of PyPI `tokenizers` has it. From the right,
 * but with truncation "left" from the left, and with "none" it is refused.
 *
 * One owner at a time. A use after the first allocates nothing unless it needs more room.
 */
#ifndef IFD_TEXT_ENCODING_H
#define IFD_TEXT_ENCODING_H

#include "base/truncation.h"
#include "text/tokenizer.h"

struct ifd_encoding {
    uint32_t texts, sequences;
    int32_t *ids;
    uint32_t *offsets; /* [sequences + 1]: sequence s is ids[offsets[s]] .. ids[offsets[s + 1] - 1]
                        */
    uint32_t *first;   /* [texts + 1]: text i is sequences first[i] .. first[i + 1] - 1 */
    uint32_t *second;  /* [sequences] with has_pairs: tokens of sequence s before the second text of
                        * a pair; all of them where it is none */
    bool has_pairs;
    inferd_result *results; /* [sequences]; after fill, [i] has text i's tokens (those computed, of
                             * all its windows) and truncated (1 if some were cut) */
    /* private */
    size_t ids_capacity, capacity;
};

/* Text i of a request; its `data` is not NULL. */
typedef inferd_text ifd_text_at(const void *texts, uint32_t i);

/* How to encode. */
struct ifd_encoding_rules {
    const struct ifd_tokenizer *tokenizer;
    uint32_t max_length;    /* tokens of a sequence, >= 3 */
    uint32_t sequences_max; /* windows count as texts do */
    uint8_t truncation;     /* enum ifd_truncation */
    ifd_text_at *second;    /* where texts may be pairs: the second text of i, `data` NULL if there
                             * is none; else NULL. Needs ifd_tokenizer_takes_pairs. */
};

void ifd_encoding_fini(struct ifd_encoding *e); /* accepts a zeroed one */
/* Room for so many sequences, or texts. Content stays. */
IFD_MUST_CHECK inferd_status ifd_encoding_reserve(struct ifd_encoding *e, size_t sequences,
                                                  inferd_error *err);
/* Encode texts 0 .. count - 1. INFERD_INVALID_UTF8, INFERD_TEXT_TOO_LONG (truncation "none") and
 * INFERD_TOO_MANY_INPUTS (windows) name the text. On failure the content is unspecified. */
IFD_MUST_CHECK inferd_status ifd_encoding_fill(struct ifd_encoding *e,
                                               const struct ifd_encoding_rules *rules,
                                               struct ifd_tokenizer_scratch *scratch,
                                               ifd_text_at *at, const void *texts, uint32_t count,
                                               inferd_error *err);
/* Heap bytes held. */
size_t ifd_encoding_memory(const struct ifd_encoding *e);
/* As a job takes it: NULL without pairs. */
static inline const uint32_t *ifd_encoding_second(const struct ifd_encoding *e)
{
    return e->has_pairs ? e->second : NULL;
}
static inline bool ifd_encoding_has_windows(const struct ifd_encoding *e)
{
    return e->sequences != e->texts;
}

#endif
