/* SPDX-License-Identifier: Apache-2.0
 *
 * config.h - config.json of a model directory: bytes in, validated sizes and labels out.
 *
 * Keys that are absent (or null where transformers allows it) take transformers' defaults of their
 * architecture. What would change the arithmetic and is not implemented is refused by its name and
 * value; keys that only matter for training are not looked at. Every size is bounded, so products
 * of two of them fit in 64 bits with room to spare.
 *
 * A pure function over bytes: no I/O, no globals. The result is read-only.
 */
#ifndef IFD_MODEL_CONFIG_H
#define IFD_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/weights.h"

#define IFD_CONFIG_LAYERS_MAX 256u
#define IFD_CONFIG_HIDDEN_MAX 16384u
#define IFD_CONFIG_FFN_MAX 65536u
#define IFD_CONFIG_VOCAB_MAX (1u << 22)
#define IFD_CONFIG_POSITIONS_MIN 3u /* [CLS], one token, [SEP] */
#define IFD_CONFIG_POSITIONS_MAX (1u << 16)
#define IFD_CONFIG_TYPES_MAX 1024u
#define IFD_CONFIG_LABELS_MAX 65536u
#define IFD_CONFIG_LABEL_BYTES_MAX 1024u
#define IFD_CONFIG_FILE_BYTES_MAX ((size_t)8 << 20)

struct ifd_config {
    enum ifd_arch arch;
    enum ifd_problem problem; /* one label without problem_type: MULTI_LABEL, a sigmoid */
    uint32_t layers, hidden, heads, ffn, vocab, positions, types, labels;
    float norm_eps;
    char **label; /* [labels], unique, not empty */
};

/* `name` is the file's name for messages. On success free with ifd_config_free. */
IFD_MUST_CHECK inferd_status ifd_config_parse(const char *name, const char *json, size_t size,
                                              struct ifd_config *out, inferd_error *err);
/* Accepts a zeroed one. */
void ifd_config_free(struct ifd_config *c);

/* "BertForSequenceClassification", "DistilBertForSequenceClassification". */
const char *ifd_arch_name(enum ifd_arch arch);

#endif
