/* SPDX-License-Identifier: Apache-2.0
 *
 * config.c - reading config.json. Defaults are those of transformers 5.23 (BertConfig,
 * DistilBertConfig); tests/model/tools/make_golden.py makes directories that lean on them.
 * Labels have their own file, labels.c.
 */
#include "model/config.h"

#include <string.h>

#include "base/jsondoc.h"
#include "base/mem.h"
#include "model/excerpt.h"
#include "model/labels.h"

/* A size of the model: its key, the same thing's other name in transformers (NULL if none), what
 * an absent key means, and the bounds. */
struct size_key {
    const char *key, *alias;
    uint32_t absent, least, most;
    size_t offset; /* of the uint32_t in struct ifd_config */
};

#define FIELD(name) offsetof(struct ifd_config, name)
static const struct size_key bert_sizes[] = {
    {"vocab_size", NULL, 30522, 1, IFD_CONFIG_VOCAB_MAX, FIELD(vocab)},
    {"hidden_size", NULL, 768, 1, IFD_CONFIG_HIDDEN_MAX, FIELD(hidden)},
    {"num_hidden_layers", NULL, 12, 1, IFD_CONFIG_LAYERS_MAX, FIELD(layers)},
    {"num_attention_heads", NULL, 12, 1, IFD_CONFIG_HIDDEN_MAX, FIELD(heads)},
    {"intermediate_size", NULL, 3072, 1, IFD_CONFIG_FFN_MAX, FIELD(ffn)},
    {"max_position_embeddings", NULL, 512, IFD_CONFIG_POSITIONS_MIN, IFD_CONFIG_POSITIONS_MAX,
     FIELD(positions)},
    {"type_vocab_size", NULL, 2, 1, IFD_CONFIG_TYPES_MAX, FIELD(types)},
};
static const struct size_key distilbert_sizes[] = {
    {"vocab_size", NULL, 30522, 1, IFD_CONFIG_VOCAB_MAX, FIELD(vocab)},
    {"dim", "hidden_size", 768, 1, IFD_CONFIG_HIDDEN_MAX, FIELD(hidden)},
    {"n_layers", "num_hidden_layers", 6, 1, IFD_CONFIG_LAYERS_MAX, FIELD(layers)},
    {"n_heads", "num_attention_heads", 12, 1, IFD_CONFIG_HIDDEN_MAX, FIELD(heads)},
    {"hidden_dim", NULL, 3072, 1, IFD_CONFIG_FFN_MAX, FIELD(ffn)},
    {"max_position_embeddings", NULL, 512, IFD_CONFIG_POSITIONS_MIN, IFD_CONFIG_POSITIONS_MAX,
     FIELD(positions)},
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct architecture {
    const char *name, *model_type, *activation_key;
    const struct size_key *sizes;
    size_t size_count;
} architectures[] = {
    [IFD_ARCH_BERT] = {"BertForSequenceClassification", "bert", "hidden_act", bert_sizes,
                       COUNT(bert_sizes)},
    [IFD_ARCH_DISTILBERT] = {"DistilBertForSequenceClassification", "distilbert", "activation",
                             distilbert_sizes, COUNT(distilbert_sizes)},
};

const char *ifd_arch_name(enum ifd_arch arch)
{
    return architectures[arch].name;
}

static inferd_status unsupported(inferd_error *err, const char *key,
                                 const struct ifd_json_node *node, const char *have)
{
    static const char *const type_name[] = {"null",     "a boolean", "a number",
                                            "a string", "a list",    "an object"};
    if (node->type == IFD_JSON_T_STRING)
        return ifd_fail(err, INFERD_MODEL_UNSUPPORTED, "%s is \"%s\", which is not implemented; %s",
                        key, ifd_excerpt(node->text).s, have);
    return ifd_fail(err, INFERD_MODEL_UNSUPPORTED, "%s is %s, which is not implemented; %s", key,
                    type_name[node->type], have);
}

static inferd_status read_architecture(const struct ifd_json_node *root, enum ifd_arch *out,
                                       inferd_error *err)
{
    static const char remedy[] = "implemented are BertForSequenceClassification and "
                                 "DistilBertForSequenceClassification";
    const struct ifd_json_node *list = ifd_json_get(root, "architectures");
    if (!list || list->type == IFD_JSON_T_NULL)
        return ifd_fail(err, INFERD_MODEL_INVALID, "there is no \"architectures\"; %s", remedy);
    if (list->type != IFD_JSON_T_ARRAY || list->size != 1 || list->first->type != IFD_JSON_T_STRING)
        return ifd_fail(err, INFERD_MODEL_INVALID, "architectures must be a list of one name; %s",
                        remedy);
    for (size_t i = 0; i < COUNT(architectures); i++) {
        if (!ifd_json_is_str(list->first, architectures[i].name))
            continue;
        const struct ifd_json_node *type = ifd_json_get(root, "model_type");
        if (type && !ifd_json_is_str(type, architectures[i].model_type))
            return ifd_fail(err, INFERD_MODEL_INVALID,
                            "model_type must be \"%s\" for %s, found \"%s\"",
                            architectures[i].model_type, architectures[i].name,
                            type->type == IFD_JSON_T_STRING ? ifd_excerpt(type->text).s
                                                            : "another type of value");
        *out = (enum ifd_arch)i;
        return INFERD_OK;
    }
    return unsupported(err, "architectures", list->first, remedy);
}

static inferd_status read_size(const struct ifd_json_node *root, const struct size_key *s,
                               uint32_t *out, inferd_error *err)
{
    const char *key = s->key;
    const struct ifd_json_node *node = ifd_json_get(root, key);
    const struct ifd_json_node *other = s->alias ? ifd_json_get(root, s->alias) : NULL;
    uint64_t value, value_other;
    if (!node && !other) {
        *out = s->absent;
        return INFERD_OK;
    }
    if (node && other &&
        (!ifd_json_u64(node, &value) || !ifd_json_u64(other, &value_other) || value != value_other))
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "%s and %s name the same size and differ; keep one", s->key, s->alias);
    if (!node) {
        node = other;
        key = s->alias;
    }
    if (!ifd_json_u64(node, &value) || value < s->least || value > s->most)
        return ifd_fail(err, INFERD_MODEL_INVALID, "%s must be a whole number from %u to %u", key,
                        s->least, s->most);
    *out = (uint32_t)value;
    return INFERD_OK;
}

static inferd_status read_sizes(const struct ifd_json_node *root, const struct architecture *arch,
                                struct ifd_config *c, inferd_error *err)
{
    for (size_t i = 0; i < arch->size_count; i++) {
        const struct size_key *s = &arch->sizes[i];
        inferd_status st = read_size(root, s, (uint32_t *)(void *)((char *)c + s->offset), err);
        if (st)
            return st;
    }
    if (c->hidden % c->heads != 0)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "the hidden size %u is not a multiple of the %u attention heads", c->hidden,
                        c->heads);
    return INFERD_OK;
}

/* A key whose presence with a true-like value means other arithmetic than ours. */
static inferd_status refuse_set(const struct ifd_json_node *root, const char *key,
                                inferd_error *err)
{
    const struct ifd_json_node *node = ifd_json_get(root, key);
    if (!node || node->type == IFD_JSON_T_NULL ||
        (node->type == IFD_JSON_T_BOOL && !node->boolean) ||
        ((node->type == IFD_JSON_T_OBJECT || node->type == IFD_JSON_T_ARRAY) && node->size == 0))
        return INFERD_OK;
    return ifd_fail(err, INFERD_MODEL_UNSUPPORTED,
                    "%s is set, which is not implemented; only plain encoders are", key);
}

static inferd_status refuse_other_than(const struct ifd_json_node *root, const char *key,
                                       const char *only, const char *have, inferd_error *err)
{
    const struct ifd_json_node *node = ifd_json_get(root, key);
    if (!node || ifd_json_is_str(node, only))
        return INFERD_OK;
    return unsupported(err, key, node, have);
}

static inferd_status check_features(const struct ifd_json_node *root,
                                    const struct architecture *arch, inferd_error *err)
{
    static const char *const must_be_unset[] = {
        "is_decoder",          "add_cross_attention", "is_encoder_decoder",
        "quantization_config", "pruned_heads",        "per_layer_config",
    };
    inferd_status st = refuse_other_than(root, arch->activation_key, "gelu",
                                         "only \"gelu\", the exact erf form, is", err);
    if (!st)
        st = refuse_other_than(root, "position_embedding_type", "absolute", "only \"absolute\" is",
                               err);
    for (size_t i = 0; i < COUNT(must_be_unset) && !st; i++)
        st = refuse_set(root, must_be_unset[i], err);
    return st;
}

/* DistilBERT's layers are written with this value and have no key for it. */
static inferd_status read_norm_eps(const struct ifd_json_node *root, enum ifd_arch arch, float *out,
                                   inferd_error *err)
{
    double eps = 1e-12;
    const struct ifd_json_node *node =
        arch == IFD_ARCH_BERT ? ifd_json_get(root, "layer_norm_eps") : NULL;
    if (node && (!ifd_json_double(node, &eps) || !(eps >= 1e-30) || eps > 1.0))
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "layer_norm_eps must be a number from 1e-30 to 1");
    *out = (float)eps;
    return INFERD_OK;
}

static inferd_status read_problem(const struct ifd_json_node *root, uint32_t labels,
                                  enum ifd_problem *out, inferd_error *err)
{
    const struct ifd_json_node *node = ifd_json_get(root, "problem_type");
    if (!node || node->type == IFD_JSON_T_NULL) {
        /* What transformers' text-classification pipeline does: a lone logit has no softmax. */
        *out = labels == 1 ? IFD_PROBLEM_MULTI_LABEL : IFD_PROBLEM_SINGLE_LABEL;
        return INFERD_OK;
    }
    if (ifd_json_is_str(node, "multi_label_classification")) {
        *out = IFD_PROBLEM_MULTI_LABEL;
        return INFERD_OK;
    }
    if (ifd_json_is_str(node, "single_label_classification")) {
        if (labels == 1)
            return ifd_fail(err, INFERD_MODEL_INVALID,
                            "problem_type \"single_label_classification\" needs at least two "
                            "labels; remove problem_type for one label with a sigmoid");
        *out = IFD_PROBLEM_SINGLE_LABEL;
        return INFERD_OK;
    }
    return unsupported(err, "problem_type", node,
                       "single_label_classification (softmax) and multi_label_classification "
                       "(sigmoid) are; a regression has no confidence to report");
}

static inferd_status read_root(const struct ifd_json_node *root, struct ifd_config *c,
                               inferd_error *err)
{
    if (root->type != IFD_JSON_T_OBJECT)
        return ifd_fail(err, INFERD_MODEL_INVALID, "it must be a JSON object");
    inferd_status st = read_architecture(root, &c->arch, err);
    if (st)
        return st;
    const struct architecture *arch = &architectures[c->arch];
    if ((st = check_features(root, arch, err)) || (st = read_sizes(root, arch, c, err)) ||
        (st = read_norm_eps(root, c->arch, &c->norm_eps, err)) ||
        (st = ifd_labels_read(root, &c->label, &c->labels, err)))
        return st;
    return read_problem(root, c->labels, &c->problem, err);
}

inferd_status ifd_config_parse(const char *name, const char *json, size_t size,
                               struct ifd_config *out, inferd_error *err)
{
    struct ifd_config c = {.arch = IFD_ARCH_BERT};
    struct ifd_jsondoc *doc = NULL;
    inferd_error local = {INFERD_OK, ""};
    if (!err)
        err = &local;
    inferd_status st;
    if (size > IFD_CONFIG_FILE_BYTES_MAX)
        st = ifd_fail(err, INFERD_MODEL_INVALID, "%zu bytes are more than the %zu allowed", size,
                      IFD_CONFIG_FILE_BYTES_MAX);
    else
        st = ifd_jsondoc_parse(json, size, 32 * IFD_CONFIG_FILE_BYTES_MAX, &doc, err);
    if (st == INFERD_INVALID_JSON || st == INFERD_INVALID_UTF8 || st == INFERD_INVALID_REQUEST)
        st = err->status = INFERD_MODEL_INVALID;
    if (!st)
        st = read_root(ifd_jsondoc_root(doc), &c, err);
    ifd_jsondoc_free(doc);
    if (st) {
        ifd_config_free(&c);
        return ifd_fail_prefix(err, "%s", name);
    }
    *out = c;
    return INFERD_OK;
}

void ifd_config_free(struct ifd_config *c)
{
    ifd_labels_free(c->label, c->labels);
    c->label = NULL;
    c->labels = 0;
}
