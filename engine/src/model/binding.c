/* SPDX-License-Identifier: Apache-2.0 */
#include "model/binding.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/excerpt.h"

enum dimension { NONE, DIM_V, DIM_P, DIM_T, DIM_H, DIM_F, DIM_C };

/* A module with a weight, and a bias unless it is an embedding. */
struct module {
    enum ifd_part part;
    bool encoder; /* its name has the encoder's prefix */
    bool in_layer;
    const char *name;             /* in a layer: after "layer.N." */
    enum dimension rows, columns; /* columns NONE: a vector (norms) */
    bool has_bias;
};

static const struct module bert_modules[] = {
    {IFD_PART_WORDS, true, false, "embeddings.word_embeddings", DIM_V, DIM_H, false},
    {IFD_PART_POSITIONS, true, false, "embeddings.position_embeddings", DIM_P, DIM_H, false},
    {IFD_PART_TYPES, true, false, "embeddings.token_type_embeddings", DIM_T, DIM_H, false},
    {IFD_PART_NORM0, true, false, "embeddings.LayerNorm", DIM_H, NONE, true},
    {IFD_PART_QUERY, true, true, "attention.self.query", DIM_H, DIM_H, true},
    {IFD_PART_KEY, true, true, "attention.self.key", DIM_H, DIM_H, true},
    {IFD_PART_VALUE, true, true, "attention.self.value", DIM_H, DIM_H, true},
    {IFD_PART_OUT, true, true, "attention.output.dense", DIM_H, DIM_H, true},
    {IFD_PART_NORM1, true, true, "attention.output.LayerNorm", DIM_H, NONE, true},
    {IFD_PART_FFN1, true, true, "intermediate.dense", DIM_F, DIM_H, true},
    {IFD_PART_FFN2, true, true, "output.dense", DIM_H, DIM_F, true},
    {IFD_PART_NORM2, true, true, "output.LayerNorm", DIM_H, NONE, true},
    {IFD_PART_PRE, true, false, "pooler.dense", DIM_H, DIM_H, true},
    {IFD_PART_HEAD, false, false, "classifier", DIM_C, DIM_H, true},
};
static const struct module distilbert_modules[] = {
    {IFD_PART_WORDS, true, false, "embeddings.word_embeddings", DIM_V, DIM_H, false},
    {IFD_PART_POSITIONS, true, false, "embeddings.position_embeddings", DIM_P, DIM_H, false},
    {IFD_PART_NORM0, true, false, "embeddings.LayerNorm", DIM_H, NONE, true},
    {IFD_PART_QUERY, true, true, "attention.q_lin", DIM_H, DIM_H, true},
    {IFD_PART_KEY, true, true, "attention.k_lin", DIM_H, DIM_H, true},
    {IFD_PART_VALUE, true, true, "attention.v_lin", DIM_H, DIM_H, true},
    {IFD_PART_OUT, true, true, "attention.out_lin", DIM_H, DIM_H, true},
    {IFD_PART_NORM1, true, true, "sa_layer_norm", DIM_H, NONE, true},
    {IFD_PART_FFN1, true, true, "ffn.lin1", DIM_F, DIM_H, true},
    {IFD_PART_FFN2, true, true, "ffn.lin2", DIM_H, DIM_F, true},
    {IFD_PART_NORM2, true, true, "output_layer_norm", DIM_H, NONE, true},
    {IFD_PART_PRE, false, false, "pre_classifier", DIM_H, DIM_H, true},
    {IFD_PART_HEAD, false, false, "classifier", DIM_C, DIM_H, true},
};

static const struct naming {
    const char *prefix, *layer;
    const struct module *modules;
    size_t count;
} namings[] = {
    [IFD_ARCH_BERT] = {"bert.", "encoder.layer.", bert_modules,
                       sizeof(bert_modules) / sizeof(bert_modules[0])},
    [IFD_ARCH_DISTILBERT] = {"distilbert.", "transformer.layer.", distilbert_modules,
                             sizeof(distilbert_modules) / sizeof(distilbert_modules[0])},
};

static uint64_t dimension(const struct ifd_config *c, enum dimension d)
{
    switch (d) {
    case DIM_V:
        return c->vocab;
    case DIM_P:
        return c->positions;
    case DIM_T:
        return c->types;
    case DIM_H:
        return c->hidden;
    case DIM_F:
        return c->ffn;
    case DIM_C:
        return c->labels;
    case NONE:
        break;
    }
    return 1;
}

static void add_slot(const struct ifd_config *c, const char *prefix, const struct module *m,
                     uint32_t layer, bool bias, struct ifd_slot *slot)
{
    char place[32] = "";
    if (m->in_layer)
        snprintf(place, sizeof(place), "%s%u.", namings[c->arch].layer, layer);
    int n = snprintf(slot->name, sizeof(slot->name), "%s%s%s.%s", m->encoder ? prefix : "", place,
                     m->name, bias ? "bias" : "weight");
    IFD_ASSERT(n > 0 && (size_t)n < sizeof(slot->name));
    slot->part = m->part;
    slot->bias = bias;
    slot->layer = layer;
    slot->rank = bias || m->columns == NONE ? 1 : 2;
    slot->shape[0] = dimension(c, m->rows);
    slot->shape[1] = bias ? 1 : dimension(c, m->columns);
}

/* Fill slots (NULL: only count them). */
static size_t list_slots(const struct ifd_config *c, const char *prefix, struct ifd_slot *slots)
{
    const struct naming *naming = &namings[c->arch];
    size_t count = 0;
    for (size_t i = 0; i < naming->count; i++) {
        const struct module *m = &naming->modules[i];
        for (uint32_t layer = 0; layer < (m->in_layer ? c->layers : 1); layer++) {
            for (unsigned bias = 0; bias <= (m->has_bias ? 1u : 0u); bias++) {
                if (slots)
                    add_slot(c, prefix, m, layer, bias != 0, &slots[count]);
                count++;
            }
        }
    }
    return count;
}

/* Either every encoder tensor has the prefix or none: its word embeddings tell which. */
static const char *choose_prefix(const struct ifd_config *c, const struct ifd_checkpoint *ck)
{
    static const char words[] = "embeddings.word_embeddings.weight";
    char name[IFD_SLOT_NAME_BYTES];
    snprintf(name, sizeof(name), "%s%s", namings[c->arch].prefix, words);
    if (!ifd_checkpoint_find(ck, name) && ifd_checkpoint_find(ck, words))
        return "";
    return namings[c->arch].prefix;
}

static const struct ifd_checkpoint_tensor *find_tensor(const struct ifd_checkpoint *ck,
                                                       const struct ifd_slot *slot)
{
    static const char today[] = "LayerNorm.";
    const struct ifd_checkpoint_tensor *t = ifd_checkpoint_find(ck, slot->name);
    const char *at = strstr(slot->name, today);
    if (t || !at)
        return t;
    char old[IFD_SLOT_NAME_BYTES];
    snprintf(old, sizeof(old), "%.*s%s", (int)(at - slot->name + (ptrdiff_t)strlen(today)),
             slot->name, slot->bias ? "beta" : "gamma");
    return ifd_checkpoint_find(ck, old);
}

static inferd_status check_tensor(const struct ifd_slot *slot, inferd_error *err)
{
    const struct ifd_st_tensor *st = slot->tensor->st;
    const char *path = slot->tensor->shard->file.path;
    bool same = st->rank == slot->rank;
    for (uint32_t i = 0; same && i < slot->rank; i++)
        same = st->shape[i] == slot->shape[i];
    if (!same) {
        char found[8 * 24] = "", want[2 * 24] = "";
        for (uint32_t i = 0, n = 0; i < st->rank; i++)
            n += (uint32_t)snprintf(found + n, sizeof(found) - n, "%s%llu", i ? ", " : "",
                                    (unsigned long long)st->shape[i]);
        for (uint32_t i = 0, n = 0; i < slot->rank; i++)
            n += (uint32_t)snprintf(want + n, sizeof(want) - n, "%s%llu", i ? ", " : "",
                                    (unsigned long long)slot->shape[i]);
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "%s: tensor %s has shape [%s], config.json asks for [%s]; the two files "
                        "are not of the same model",
                        path, st->name, found, want);
    }
    if (st->dtype != IFD_ST_F32 && st->dtype != IFD_ST_F16 && st->dtype != IFD_ST_BF16)
        return ifd_fail(err, INFERD_MODEL_UNSUPPORTED,
                        "%s: tensor %s is %s; F32, F16 and BF16 weights are implemented", path,
                        st->name, ifd_st_dtype_name(st->dtype));
    return INFERD_OK;
}

static bool may_be_ignored(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(name, prefix, n) == 0 && strcmp(name + n, "embeddings.position_ids") == 0;
}

/* Every tensor that is no slot's must be one that may be ignored. */
static inferd_status check_unused(const struct ifd_checkpoint *ck, const struct ifd_slot *slots,
                                  size_t count, const char *prefix, inferd_error *err)
{
    inferd_status st = INFERD_OK;
    unsigned char *used = ifd_zalloc(ck->count);
    if (!used)
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for the list of tensors");
    for (size_t i = 0; i < count; i++)
        used[slots[i].tensor - ck->tensor] = 1;
    for (size_t i = 0; i < ck->count && !st; i++) {
        const char *name = ck->tensor[i].st->name;
        if (!used[i] && !may_be_ignored(name, prefix))
            st = ifd_fail(err, INFERD_MODEL_INVALID,
                          "%s: tensor %s is unknown: config.json describes no such part",
                          ck->tensor[i].shard->file.path, ifd_excerpt(name).s);
    }
    ifd_free(used);
    return st;
}

inferd_status ifd_binding_create(const struct ifd_config *config,
                                 const struct ifd_checkpoint *checkpoint, struct ifd_slot **out,
                                 size_t *count, inferd_error *err)
{
    const char *prefix = choose_prefix(config, checkpoint);
    size_t n = list_slots(config, prefix, NULL);
    struct ifd_slot *slots = ifd_zalloc_array(n, sizeof(*slots));
    inferd_status st = INFERD_OK;
    if (!slots)
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for the list of tensors");
    list_slots(config, prefix, slots);
    for (size_t i = 0; i < n && !st; i++) {
        slots[i].tensor = find_tensor(checkpoint, &slots[i]);
        if (!slots[i].tensor)
            st = ifd_fail(err, INFERD_MODEL_INVALID,
                          "%s: tensor %s is missing; the weights are not of the model that "
                          "config.json describes",
                          checkpoint->shard[0].file.path, slots[i].name);
        else
            st = check_tensor(&slots[i], err);
    }
    if (!st)
        st = check_unused(checkpoint, slots, n, prefix, err);
    if (st) {
        ifd_free(slots);
        return st;
    }
    *out = slots;
    *count = n;
    return INFERD_OK;
}
