/* SPDX-License-Identifier: Apache-2.0
 *
 * load_json.c - tokenizer.json to a tokenizer.
 *
 * Accepts what the reference accepts for BERT: BertNormalizer, BertPreTokenizer, WordPiece, and
 * TemplateProcessing or BertProcessing with one special token on each side. Refuses the rest by its
 * name. `truncation`, `padding` and `decoder` do not bear on the ids of one text and are not read.
 */
#include "text/tokenizer.h"

#include <string.h>

#include "base/jsondoc.h"
#include "text/build.h"
#include "text/shown.h"

#define TREE_BYTES_MAX ((size_t)512 << 20)

static inferd_status invalid(inferd_error *err, const char *what, const char *want)
{
    return ifd_fail(err, INFERD_MODEL_INVALID, "%s is not %s", what, want);
}

/* A section that must be an object of one of the types that we have. */
static inferd_status check_type(const struct ifd_json_node *node, const char *section,
                                const char *type, const char *other, inferd_error *err)
{
    if (!node || node->type == IFD_JSON_T_NULL)
        return ifd_fail(err, INFERD_MODEL_UNSUPPORTED,
                        "a tokenizer without a %s is not implemented, only %s", section, type);
    const struct ifd_json_node *name = ifd_json_get(node, "type");
    if (node->type != IFD_JSON_T_OBJECT || !name || name->type != IFD_JSON_T_STRING)
        return ifd_fail(err, INFERD_MODEL_INVALID, "%s is not an object with a \"type\"", section);
    if (!ifd_json_is_str(name, type) && !(other && ifd_json_is_str(name, other)))
        return ifd_fail(
            err, INFERD_MODEL_UNSUPPORTED, "%s \"%.*s\" is not implemented, only %s%s%s", section,
            IFD_SHOWN(name->text, name->size), type, other ? " and " : "", other ? other : "");
    return INFERD_OK;
}

static inferd_status get_bool(const struct ifd_json_node *object, const char *where,
                              const char *key, bool *out, inferd_error *err)
{
    const struct ifd_json_node *node = ifd_json_get(object, key);
    if (!node || node->type != IFD_JSON_T_BOOL)
        return ifd_fail(err, INFERD_MODEL_INVALID, "%s.%s is not true or false", where, key);
    *out = node->boolean;
    return INFERD_OK;
}

static inferd_status read_normalizer(struct ifd_tokenizer *t, const struct ifd_json_node *root,
                                     inferd_error *err)
{
    const struct ifd_json_node *node = ifd_json_get(root, "normalizer");
    struct ifd_normalize_options *o = &t->normalize;
    inferd_status status = check_type(node, "normalizer", "BertNormalizer", NULL, err);
    if (!status)
        status = get_bool(node, "normalizer", "clean_text", &o->clean_text, err);
    if (!status)
        status =
            get_bool(node, "normalizer", "handle_chinese_chars", &o->handle_chinese_chars, err);
    if (!status)
        status = get_bool(node, "normalizer", "lowercase", &o->lowercase, err);
    if (status)
        return status;
    const struct ifd_json_node *strip = ifd_json_get(node, "strip_accents");
    o->strip_accents = o->lowercase;
    if (strip && strip->type != IFD_JSON_T_NULL)
        return get_bool(node, "normalizer", "strip_accents", &o->strip_accents, err);
    return INFERD_OK;
}

static inferd_status read_vocab(struct ifd_tokenizer *t, const struct ifd_json_node *vocab,
                                inferd_error *err)
{
    if (vocab->type != IFD_JSON_T_OBJECT)
        return invalid(err, "model.vocab", "an object of tokens and ids");
    for (const struct ifd_json_node *n = vocab->first; n; n = n->next) {
        uint64_t id;
        if (!ifd_json_u64(n, &id) || id >= IFD_VOCAB_IDS_MAX)
            return ifd_fail(err, INFERD_MODEL_INVALID,
                            "model.vocab: the id of \"%.*s\" is not an integer below %u",
                            IFD_SHOWN(n->key, n->key_size), IFD_VOCAB_IDS_MAX);
        inferd_status status =
            ifd_vocab_add(&t->model.vocab, n->key, n->key_size, (uint32_t)id, err);
        if (status)
            return status;
    }
    return INFERD_OK;
}

/* Old files leave the model's type out; then it is known by its members, as in the reference. */
static inferd_status check_model_type(const struct ifd_json_node *model, inferd_error *err)
{
    if (!model || model->type != IFD_JSON_T_OBJECT)
        return invalid(err, "model", "an object");
    if (ifd_json_get(model, "type"))
        return check_type(model, "model", "WordPiece", NULL, err);
    if (ifd_json_get(model, "merges"))
        return ifd_fail(err, INFERD_MODEL_UNSUPPORTED,
                        "model without a type has merges, so it is BPE: not implemented, only "
                        "WordPiece");
    if (!ifd_json_get(model, "continuing_subword_prefix") ||
        !ifd_json_get(model, "max_input_chars_per_word"))
        return ifd_fail(err, INFERD_MODEL_UNSUPPORTED,
                        "model without a type lacks the members of WordPiece: not implemented");
    return INFERD_OK;
}

static inferd_status read_model(struct ifd_tokenizer *t, const struct ifd_json_node *root,
                                inferd_error *err)
{
    const struct ifd_json_node *model = ifd_json_get(root, "model");
    inferd_status status = check_model_type(model, err);
    if (status)
        return status;
    const struct ifd_json_node *unk = ifd_json_get(model, "unk_token");
    const struct ifd_json_node *prefix = ifd_json_get(model, "continuing_subword_prefix");
    const struct ifd_json_node *vocab = ifd_json_get(model, "vocab");
    uint64_t chars_max;
    if (!unk || unk->type != IFD_JSON_T_STRING)
        return invalid(err, "model.unk_token", "a string");
    if (!prefix || prefix->type != IFD_JSON_T_STRING)
        return invalid(err, "model.continuing_subword_prefix", "a string");
    if (!ifd_json_u64(ifd_json_get(model, "max_input_chars_per_word"), &chars_max))
        return invalid(err, "model.max_input_chars_per_word", "a non-negative integer");
    if (!vocab)
        return invalid(err, "model.vocab", "there");
    status = read_vocab(t, vocab, err);
    if (status)
        return status;
    return ifd_tokenizer_model(t,
                               &(struct ifd_tokenizer_params){
                                   .unk = unk->text,
                                   .unk_size = unk->size,
                                   .prefix = prefix->text,
                                   .prefix_size = prefix->size,
                                   .chars_max = (size_t)chars_max,
                               },
                               err);
}

static inferd_status read_added(struct ifd_tokenizer *t, const struct ifd_json_node *root,
                                inferd_error *err)
{
    const struct ifd_json_node *list = ifd_json_get(root, "added_tokens");
    if (!list)
        return INFERD_OK;
    if (list->type != IFD_JSON_T_ARRAY)
        return invalid(err, "added_tokens", "an array");
    for (const struct ifd_json_node *n = list->first; n; n = n->next) {
        const struct ifd_json_node *content = ifd_json_get(n, "content");
        uint64_t id;
        if (!content || content->type != IFD_JSON_T_STRING)
            return invalid(err, "an item of added_tokens", "an object with a \"content\"");
        if (!ifd_json_u64(ifd_json_get(n, "id"), &id))
            return ifd_fail(err, INFERD_MODEL_INVALID, "added token \"%.*s\" has no integer \"id\"",
                            IFD_SHOWN(content->text, content->size));
        struct ifd_added_token token = {.content = (char *)(uintptr_t)content->text,
                                        .size = content->size};
        inferd_status status = get_bool(n, "added_tokens", "single_word", &token.single_word, err);
        if (!status)
            status = get_bool(n, "added_tokens", "lstrip", &token.lstrip, err);
        if (!status)
            status = get_bool(n, "added_tokens", "rstrip", &token.rstrip, err);
        if (!status)
            status = get_bool(n, "added_tokens", "normalized", &token.normalized, err);
        if (!status)
            status = get_bool(n, "added_tokens", "special", &token.special, err);
        if (!status)
            status = ifd_tokenizer_add(t, &token, err);
        if (status)
            return status;
        if (token.size && token.id != id)
            return ifd_fail(
                err, INFERD_MODEL_INVALID, "added token \"%.*s\" claims id %llu, but its id is %u",
                IFD_SHOWN(content->text, content->size), (unsigned long long)id, token.id);
    }
    return INFERD_OK;
}

static inferd_status get_special_id(const struct ifd_json_node *node, const char *what,
                                    uint32_t *out, inferd_error *err)
{
    uint64_t id;
    if (!ifd_json_u64(node, &id) || id >= IFD_VOCAB_IDS_MAX)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "post_processor: the id of %s is not an integer "
                        "in the vocabulary",
                        what);
    *out = (uint32_t)id;
    return INFERD_OK;
}

/* {"SpecialToken":{"id":NAME}} whose NAME has exactly one id in `specials`. */
static inferd_status template_special(const struct ifd_json_node *piece,
                                      const struct ifd_json_node *specials, uint32_t *out,
                                      inferd_error *err)
{
    const struct ifd_json_node *name = ifd_json_get(ifd_json_get(piece, "SpecialToken"), "id");
    if (!name || name->type != IFD_JSON_T_STRING)
        return ifd_fail(err, INFERD_MODEL_UNSUPPORTED,
                        "post_processor: only templates of the form [special] A [special] are "
                        "implemented");
    const struct ifd_json_node *ids = ifd_json_get(ifd_json_get(specials, name->text), "ids");
    if (!ids || ids->type != IFD_JSON_T_ARRAY || ids->size == 0)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "post_processor.special_tokens has no ids for \"%.*s\"",
                        IFD_SHOWN(name->text, name->size));
    if (ids->size != 1)
        return ifd_fail(err, INFERD_MODEL_UNSUPPORTED,
                        "post_processor: special token \"%.*s\" stands for %zu ids, one is "
                        "implemented",
                        IFD_SHOWN(name->text, name->size), ids->size);
    return get_special_id(ids->first, "a special token", out, err);
}

/* A piece {"KIND":{"id":ID,"type_id":TYPE}} of a template? */
static bool is_piece(const struct ifd_json_node *piece, const char *kind,
                     const struct ifd_json_node *id, const char *name, uint64_t type)
{
    const struct ifd_json_node *body = ifd_json_get(piece, kind), *is = ifd_json_get(body, "id");
    uint64_t number;
    if (!is || is->type != IFD_JSON_T_STRING ||
        !ifd_json_u64(ifd_json_get(body, "type_id"), &number))
        return false;
    const bool same = id ? id->size == is->size && memcmp(id->text, is->text, id->size) == 0
                         : ifd_json_is_str(is, name);
    return same && number == type;
}

/* [open] A [close] B [close], token types 0 0 0 1 1? Any other template says that the model was
 * not trained on pairs of that form. `single` is known to be [open] A [close]. */
static bool is_pair_template(const struct ifd_json_node *pair, const struct ifd_json_node *single)
{
    const struct ifd_json_node *piece[5];
    const struct ifd_json_node *open = ifd_json_get(single->first, "SpecialToken");
    const struct ifd_json_node *close = ifd_json_get(single->first->next->next, "SpecialToken");
    if (!pair || pair->type != IFD_JSON_T_ARRAY || pair->size != 5)
        return false;
    piece[0] = pair->first;
    for (unsigned i = 1; i < 5; i++)
        piece[i] = piece[i - 1]->next;
    open = ifd_json_get(open, "id");
    close = ifd_json_get(close, "id");
    return is_piece(piece[0], "SpecialToken", open, NULL, 0) &&
           is_piece(piece[1], "Sequence", NULL, "A", 0) &&
           is_piece(piece[2], "SpecialToken", close, NULL, 0) &&
           is_piece(piece[3], "Sequence", NULL, "B", 1) &&
           is_piece(piece[4], "SpecialToken", close, NULL, 1);
}

static inferd_status read_template(struct ifd_tokenizer *t, const struct ifd_json_node *node,
                                   inferd_error *err)
{
    const struct ifd_json_node *single = ifd_json_get(node, "single");
    const struct ifd_json_node *specials = ifd_json_get(node, "special_tokens");
    if (!single || single->type != IFD_JSON_T_ARRAY)
        return invalid(err, "post_processor.single", "an array");
    const struct ifd_json_node *first = single->first;
    const struct ifd_json_node *middle = first ? first->next : NULL;
    const struct ifd_json_node *last = middle ? middle->next : NULL;
    const struct ifd_json_node *sequence = ifd_json_get(middle, "Sequence");
    if (single->size != 3 || !ifd_json_is_str(ifd_json_get(sequence, "id"), "A"))
        return ifd_fail(err, INFERD_MODEL_UNSUPPORTED,
                        "post_processor: only templates of the form [special] A [special] are "
                        "implemented");
    inferd_status status = template_special(first, specials, &t->open, err);
    if (!status)
        status = template_special(last, specials, &t->close, err);
    t->takes_pairs = !status && is_pair_template(ifd_json_get(node, "pair"), single);
    return status;
}

/* ["[SEP]", 102] */
static inferd_status bert_special(const struct ifd_json_node *node, const char *key, uint32_t *out,
                                  inferd_error *err)
{
    const struct ifd_json_node *pair = ifd_json_get(node, key);
    if (!pair || pair->type != IFD_JSON_T_ARRAY || pair->size != 2 ||
        pair->first->type != IFD_JSON_T_STRING)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "post_processor.%s is not an array of a token and its id", key);
    return get_special_id(pair->first->next, key, out, err);
}

static inferd_status read_post_processor(struct ifd_tokenizer *t, const struct ifd_json_node *root,
                                         inferd_error *err)
{
    const struct ifd_json_node *node = ifd_json_get(root, "post_processor");
    inferd_status status =
        check_type(node, "post_processor", "TemplateProcessing", "BertProcessing", err);
    if (status)
        return status;
    if (ifd_json_is_str(ifd_json_get(node, "type"), "TemplateProcessing"))
        return read_template(t, node, err);
    t->takes_pairs = true;
    status = bert_special(node, "cls", &t->open, err);
    return status ? status : bert_special(node, "sep", &t->close, err);
}

static inferd_status read_root(struct ifd_tokenizer *t, const struct ifd_json_node *root,
                               inferd_error *err)
{
    if (root->type != IFD_JSON_T_OBJECT)
        return invalid(err, "the file", "a JSON object");
    const struct ifd_json_node *version = ifd_json_get(root, "version");
    if (!version || version->type != IFD_JSON_T_STRING)
        return invalid(err, "version", "a string");
    if (!ifd_json_is_str(version, "1.0"))
        return ifd_fail(err, INFERD_MODEL_UNSUPPORTED,
                        "version \"%.*s\" is not implemented, only 1.0",
                        IFD_SHOWN(version->text, version->size));
    inferd_status status = read_normalizer(t, root, err);
    if (!status)
        status = check_type(ifd_json_get(root, "pre_tokenizer"), "pre_tokenizer",
                            "BertPreTokenizer", NULL, err);
    if (!status)
        status = read_model(t, root, err);
    if (!status)
        status = read_added(t, root, err);
    if (!status)
        status = read_post_processor(t, root, err);
    return status ? status : ifd_tokenizer_finish(t, err);
}

inferd_status ifd_tokenizer_from_json(const char *json, size_t size, struct ifd_tokenizer **out,
                                      inferd_error *err)
{
    struct ifd_jsondoc *doc = NULL;
    struct ifd_tokenizer *t = NULL;
    inferd_error cause = {0}; /* the prefix needs a message even when the caller wants none */
    inferd_status status = ifd_jsondoc_parse(json, size, TREE_BYTES_MAX, &doc, &cause);
    if (status == INFERD_INVALID_JSON || status == INFERD_INVALID_UTF8)
        status = cause.status = INFERD_MODEL_INVALID; /* a file of ours, not a client's request */
    if (!status)
        status = ifd_tokenizer_new(&t, &cause);
    if (!status)
        status = read_root(t, ifd_jsondoc_root(doc), &cause);
    ifd_jsondoc_free(doc);
    if (status) {
        ifd_tokenizer_free(t);
        return ifd_fail(err, status, "tokenizer.json: %s", cause.message);
    }
    *out = t;
    return INFERD_OK;
}
