/* SPDX-License-Identifier: Apache-2.0
 *
 * binding.h - which tensor of a checkpoint is which part of the encoder.
 *
 * For a configuration there is a fixed list of slots, each with the name and the shape that
 * transformers saves. Every slot must find its tensor and every tensor its slot; both kinds of
 * mismatch are refused by name. Allowed besides the names of today:
 * - no "bert." or "distilbert." in front of the encoder's names (all of them or none);
 * - LayerNorm.gamma and LayerNorm.beta for weight and bias;
 * - embeddings.position_ids, a buffer that old versions saved: ignored.
 */
#ifndef IFD_MODEL_BINDING_H
#define IFD_MODEL_BINDING_H

#include "model/checkpoint.h"
#include "model/config.h"

#define IFD_SLOT_NAME_BYTES 96u

enum ifd_part {
    IFD_PART_WORDS,
    IFD_PART_POSITIONS,
    IFD_PART_TYPES,
    IFD_PART_NORM0,
    IFD_PART_QUERY,
    IFD_PART_KEY,
    IFD_PART_VALUE,
    IFD_PART_OUT,
    IFD_PART_NORM1,
    IFD_PART_FFN1,
    IFD_PART_FFN2,
    IFD_PART_NORM2,
    IFD_PART_PRE,
    IFD_PART_HEAD,
};

struct ifd_slot {
    enum ifd_part part;
    bool bias;      /* of a linear or norm; otherwise its weight */
    uint32_t layer; /* of QUERY .. NORM2 */
    uint32_t rank;  /* 1 or 2 */
    uint64_t shape[2];
    char name[IFD_SLOT_NAME_BYTES];
    const struct ifd_checkpoint_tensor *tensor; /* borrowed from the checkpoint */
};

/* *out: [*count] bound slots, free with ifd_free; they live no longer than the checkpoint. Every
 * bound tensor is F32, F16 or BF16. Messages name file and tensor. */
IFD_MUST_CHECK inferd_status ifd_binding_create(const struct ifd_config *config,
                                                const struct ifd_checkpoint *checkpoint,
                                                struct ifd_slot **out, size_t *count,
                                                inferd_error *err);

#endif
