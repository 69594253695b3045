/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenizer.h - BERT WordPiece: text to token ids, the same ids as PyPI `tokenizers`.
 *
 * The way of a text: added tokens are cut out literally -> clean-up, CJK spacing, accent stripping
 * (NFD), lower-casing -> split at white space and punctuation -> greedy longest-match word pieces
 * -> [CLS] ... [SEP], truncated. Sources: the BERT paper's tokenization, and the behaviour of
 * `tokenizers` 0.23 (BertNormalizer, BertPreTokenizer, WordPiece, TemplateProcessing).
 *
 * Built from the bytes of a model directory's files; this room does no I/O. Immutable after
 * creation: any number of threads may encode at once, each with its own scratch.
 */
#ifndef IFD_TEXT_TOKENIZER_H
#define IFD_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ifd_tokenizer;

/* From the content of tokenizer.json. What it needs and we lack is refused by its name
 * (INFERD_MODEL_UNSUPPORTED); what is damaged is INFERD_MODEL_INVALID. */
IFD_MUST_CHECK inferd_status ifd_tokenizer_from_json(const char *json, size_t size,
                                                     struct ifd_tokenizer **out, inferd_error *err);

/* From vocab.txt, one token a line, and tokenizer_config.json (config may be NULL: then uncased
 * BERT defaults, as transformers' BertTokenizer). */
IFD_MUST_CHECK inferd_status ifd_tokenizer_from_vocab(const char *vocab, size_t vocab_size,
                                                      const char *config, size_t config_size,
                                                      struct ifd_tokenizer **out,
                                                      inferd_error *err);
void ifd_tokenizer_free(struct ifd_tokenizer *t);

/* Number of ids (largest id + 1), and the token of an id (NULL for an id without one). */
uint32_t ifd_tokenizer_vocab_size(const struct ifd_tokenizer *t);
const char *ifd_tokenizer_token(const struct ifd_tokenizer *t, int32_t id);
bool ifd_tokenizer_lowercases(const struct ifd_tokenizer *t);
/* Two texts may be one sequence: [CLS] A [SEP] B [SEP], with token type 1 from B on. */
bool ifd_tokenizer_takes_pairs(const struct ifd_tokenizer *t);

/* Working memory of one encoding thread: buffers that grow to the largest text seen, bounded by
 * the text's size times a constant, and are reused (no allocation in steady state). */
struct ifd_tokenizer_scratch;
IFD_MUST_CHECK struct ifd_tokenizer_scratch *ifd_tokenizer_scratch_create(void);
void ifd_tokenizer_scratch_free(struct ifd_tokenizer_scratch *s);

/* Encode UTF-8 `text` with special tokens into ids[capacity], capacity >= max_length >= 3; tokens
 * past max_length are cut from the right, keeping the closing special token. *count is at most
 * max_length; *truncated tells whether anything was cut. The work is O(text), and stops early once
 * max_length tokens are certain. INFERD_INVALID_UTF8 names the byte offset of the first bad byte
 * (the whole text is checked, also past the cut). */
IFD_MUST_CHECK inferd_status ifd_tokenizer_encode(const struct ifd_tokenizer *t,
                                                  struct ifd_tokenizer_scratch *s, const char *text,
                                                  size_t size, uint32_t max_length, int32_t *ids,
                                                  size_t *count, bool *truncated,
                                                  inferd_error *err);

#endif
