/* SPDX-License-Identifier: Apache-2.0
 *
 * load_vocab.c - vocab.txt and tokenizer_config.json to a tokenizer, as transformers 5 builds its
 * BertTokenizer from a directory that has no tokenizer.json.
 *
 * A line's number is its token's id; white space at a line's end (CR too) is no part of the token;
 * of equal lines the last counts. Added tokens come in this order: added_tokens_decoder by id, the
 * named special tokens, extra special tokens. One already in vocab.txt keeps that id.
 */
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/jsondoc.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/build.h"
#include "text/shown.h"
#include "text/unicode.h"

#define TREE_BYTES_MAX ((size_t)64 << 20)
#define CHARS_MAX 100u

struct special {
    struct ifd_added_token token; /* content is borrowed */
    uint64_t order;
    bool has_normalized, seen;
};

/* Bytes of the line without white space at its end. */
static size_t trim_end(const char *line, size_t size)
{
    while (size > 0) {
        size_t n = 1;
        uint32_t c = 0;
        while (((uint8_t)line[size - n] & 0xC0u) == 0x80u)
            n++;
        (void)ifd_utf8_decode(line + size - n, n, &c);
        if (!ifd_unicode_is_space(c))
            break;
        size -= n;
    }
    return size;
}

static inferd_status read_vocab(struct ifd_tokenizer *t, const char *vocab, size_t size,
                                inferd_error *err)
{
    uint32_t id = 0;
    size_t bad = ifd_utf8_check(vocab, size);
    for (size_t at = 0; at < size; id++) {
        const char *lf = memchr(vocab + at, '\n', size - at);
        size_t end = lf ? (size_t)(lf - vocab) : size;
        if (bad <= end && bad < size)
            return ifd_fail(err, INFERD_MODEL_INVALID,
                            "vocab.txt: line %u is not valid UTF-8 (byte %zu of the file)", id + 1,
                            bad);
        inferd_status status =
            ifd_vocab_add(&t->model.vocab, vocab + at, trim_end(vocab + at, end - at), id, err);
        if (status)
            return ifd_fail_prefix(err, "vocab.txt");
        at = end + (lf != NULL);
    }
    return INFERD_OK;
}

/* true, false or absent; `nullable`: null leaves *out as it is. */
static inferd_status get_bool(const struct ifd_json_node *object, const char *key, bool nullable,
                              bool *out, inferd_error *err)
{
    const struct ifd_json_node *node = ifd_json_get(object, key);
    if (!node || (nullable && node->type == IFD_JSON_T_NULL))
        return INFERD_OK;
    if (node->type != IFD_JSON_T_BOOL)
        return ifd_fail(err, INFERD_MODEL_INVALID, "tokenizer_config.json: %s is not true or false",
                        key);
    *out = node->boolean;
    return INFERD_OK;
}

static inferd_status check_class(const struct ifd_json_node *config, inferd_error *err)
{
    static const char *const known[] = {"BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer",
                                        "DistilBertTokenizerFast"};
    const struct ifd_json_node *name = ifd_json_get(config, "tokenizer_class");
    if (!name || name->type == IFD_JSON_T_NULL)
        return INFERD_OK;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (ifd_json_is_str(name, known[i]))
            return INFERD_OK;
    if (name->type != IFD_JSON_T_STRING)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "tokenizer_config.json: tokenizer_class is not a string");
    return ifd_fail(err, INFERD_MODEL_UNSUPPORTED,
                    "tokenizer_config.json: tokenizer_class \"%.*s\" with a vocab.txt is not "
                    "implemented, only BertTokenizer and DistilBertTokenizer",
                    IFD_SHOWN(name->text, name->size));
}

static inferd_status read_options(struct ifd_tokenizer *t, const struct ifd_json_node *config,
                                  inferd_error *err)
{
    struct ifd_normalize_options *o = &t->normalize;
    *o = (struct ifd_normalize_options){
        .clean_text = true, .handle_chinese_chars = true, .lowercase = true};
    inferd_status status = check_class(config, err);
    if (!status)
        status = get_bool(config, "do_lower_case", false, &o->lowercase, err);
    o->strip_accents = o->lowercase;
    if (!status)
        status = get_bool(config, "strip_accents", true, &o->strip_accents, err);
    if (!status)
        status = get_bool(config, "tokenize_chinese_chars", false, &o->handle_chinese_chars, err);
    if (!status)
        status = get_bool(config, "split_special_tokens", false, &t->added.split_special, err);
    return status;
}

/* A token given as a string (special, matched raw) or as an object with content and flags. */
static inferd_status read_special(const struct ifd_json_node *node, const char *key,
                                  struct special *out, inferd_error *err)
{
    memset(out, 0, sizeof *out);
    const struct ifd_json_node *content =
        node->type == IFD_JSON_T_OBJECT ? ifd_json_get(node, "content") : node;
    if (!content || content->type != IFD_JSON_T_STRING)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "tokenizer_config.json: %.*s is neither a string nor an object with a "
                        "\"content\"",
                        IFD_SHOWN(key, strlen(key)));
    struct ifd_added_token *token = &out->token;
    token->content = (char *)(uintptr_t)content->text;
    token->size = content->size;
    if (node->type == IFD_JSON_T_STRING) {
        token->special = true;
        return INFERD_OK;
    }
    out->has_normalized = ifd_json_get(node, "normalized") != NULL;
    inferd_status status = get_bool(node, "single_word", false, &token->single_word, err);
    if (!status)
        status = get_bool(node, "lstrip", false, &token->lstrip, err);
    if (!status)
        status = get_bool(node, "rstrip", false, &token->rstrip, err);
    if (!status)
        status = get_bool(node, "normalized", false, &token->normalized, err);
    if (!status)
        status = get_bool(node, "special", false, &token->special, err);
    return status ? ifd_fail_prefix(err, "%.*s", IFD_SHOWN(key, strlen(key))) : INFERD_OK;
}

/* The tokens of added_tokens_decoder, then the named ones, then the extra ones. */
struct specials {
    struct special *item;
    size_t count, capacity;
    size_t decoder; /* the first so many are of added_tokens_decoder */
    size_t named;   /* and those after it up to here have names */
};

static inferd_status append(struct specials *list, const struct ifd_json_node *node,
                            const char *key, inferd_error *err)
{
    if (list->count == list->capacity) {
        size_t n = list->capacity ? 2 * list->capacity : 16;
        size_t bytes;
        void *p =
            ifd_size_mul(n, sizeof *list->item, &bytes) ? ifd_realloc(list->item, bytes) : NULL;
        if (!p)
            return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for added tokens");
        list->item = p;
        list->capacity = n;
    }
    struct special item;
    inferd_status status = read_special(node, key, &item, err);
    if (!status)
        list->item[list->count++] = item;
    return status;
}

static int by_order(const void *a, const void *b)
{
    uint64_t x = ((const struct special *)a)->order, y = ((const struct special *)b)->order;
    return (x > y) - (x < y);
}

static inferd_status read_decoder(struct specials *list, const struct ifd_json_node *config,
                                  inferd_error *err)
{
    const struct ifd_json_node *map = ifd_json_get(config, "added_tokens_decoder");
    if (!map)
        return INFERD_OK;
    if (map->type != IFD_JSON_T_OBJECT)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "tokenizer_config.json: added_tokens_decoder is not an object");
    for (const struct ifd_json_node *n = map->first; n; n = n->next) {
        uint64_t id = 0;
        size_t i = 0;
        for (; i < n->key_size && i < 10 && n->key[i] >= '0' && n->key[i] <= '9'; i++)
            id = 10 * id + (uint64_t)(n->key[i] - '0');
        if (i == 0 || i < n->key_size || n->type != IFD_JSON_T_OBJECT)
            return ifd_fail(err, INFERD_MODEL_INVALID,
                            "tokenizer_config.json: added_tokens_decoder[\"%.*s\"] is not an id "
                            "with a token object",
                            IFD_SHOWN(n->key, n->key_size));
        inferd_status status = append(list, n, "added_tokens_decoder", err);
        if (status)
            return status;
        list->item[list->count - 1].order = id;
    }
    if (list->count)
        qsort(list->item, list->count, sizeof *list->item, by_order);
    list->decoder = list->named = list->count;
    return INFERD_OK;
}

static const struct {
    const char *key, *token; /* NULL: none by default */
} attributes[] = {
    {"bos_token", NULL},      {"eos_token", NULL},    {"unk_token", "[UNK]"},
    {"sep_token", "[SEP]"},   {"pad_token", "[PAD]"}, {"cls_token", "[CLS]"},
    {"mask_token", "[MASK]"},
};
#define ATTRIBUTES (sizeof attributes / sizeof attributes[0])

static bool is_attribute(const char *key)
{
    for (size_t i = 0; i < ATTRIBUTES; i++)
        if (strcmp(attributes[i].key, key) == 0)
            return true;
    return false;
}

/* Members of the configuration that name a special token of the model's own ("image_token"). */
static inferd_status read_model_specific(struct specials *list, const struct ifd_json_node *config,
                                         enum ifd_json_type type, inferd_error *err)
{
    for (const struct ifd_json_node *n = config ? config->first : NULL; n; n = n->next) {
        static const char ending[] = "_token";
        size_t size = sizeof ending - 1;
        if (n->type != type || n->key_size < size || is_attribute(n->key) ||
            memcmp(n->key + n->key_size - size, ending, size) != 0)
            continue;
        if (type == IFD_JSON_T_OBJECT && !ifd_json_get(n, "content"))
            continue;
        inferd_status status = append(list, n, n->key, err);
        if (status)
            return status;
    }
    return INFERD_OK;
}

static inferd_status read_named(struct specials *list, const struct ifd_json_node *config,
                                inferd_error *err)
{
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        const struct ifd_json_node *node = ifd_json_get(config, attributes[i].key);
        struct ifd_json_node by_default = {.type = IFD_JSON_T_STRING, .text = attributes[i].token};
        if (!node && attributes[i].token) {
            by_default.size = strlen(attributes[i].token);
            node = &by_default;
        }
        if (!node || node->type == IFD_JSON_T_NULL)
            continue; /* cls, sep and unk are asked for again, by name */
        inferd_status status = append(list, node, attributes[i].key, err);
        if (status)
            return status;
    }
    inferd_status status = read_model_specific(list, config, IFD_JSON_T_OBJECT, err);
    return status ? status : read_model_specific(list, config, IFD_JSON_T_STRING, err);
}

static bool is_empty_list(const struct ifd_json_node *node)
{
    return !node || node->type == IFD_JSON_T_NULL ||
           ((node->type == IFD_JSON_T_ARRAY || node->type == IFD_JSON_T_OBJECT) && !node->first);
}

/* A list is of extra tokens; an object gives names, and so its tokens count as named. */
static inferd_status read_extra(struct specials *list, const struct ifd_json_node *config,
                                inferd_error *err)
{
    const struct ifd_json_node *extra = ifd_json_get(config, "extra_special_tokens");
    if (is_empty_list(extra))
        extra = ifd_json_get(config, "additional_special_tokens");
    list->named = list->count;
    if (is_empty_list(extra))
        return INFERD_OK;
    if (extra->type != IFD_JSON_T_ARRAY && extra->type != IFD_JSON_T_OBJECT)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "tokenizer_config.json: extra special tokens are not a list");
    for (const struct ifd_json_node *n = extra->first; n; n = n->next) {
        inferd_status status = append(list, n, "an extra special token", err);
        if (status)
            return status;
    }
    if (extra->type == IFD_JSON_T_OBJECT)
        list->named = list->count;
    return INFERD_OK;
}

static bool same_content(const struct special *a, const struct special *b)
{
    return a->token.size == b->token.size &&
           memcmp(a->token.content, b->token.content, a->token.size) == 0;
}

static inferd_status add_all(struct ifd_tokenizer *t, struct specials *list, inferd_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        struct special *s = &list->item[i];
        bool skip = false;
        for (size_t k = 0; i >= list->decoder && k < list->decoder && !skip; k++)
            skip = same_content(s, &list->item[k]); /* the decoder's flags count */
        for (size_t k = list->decoder; k < list->named && !s->token.special; k++)
            s->token.special = same_content(s, &list->item[k]);
        if (skip)
            continue;
        if (!s->has_normalized)
            s->token.normalized = !s->token.special;
        inferd_status status = ifd_tokenizer_add(t, &s->token, err);
        if (status)
            return status;
    }
    return INFERD_OK;
}

/* The content of a named token that the tokenizer cannot do without. */
static inferd_status required(const struct ifd_json_node *config, const char *key,
                              const char *by_default, struct special *out, inferd_error *err)
{
    const struct ifd_json_node *node = ifd_json_get(config, key);
    struct ifd_json_node plain = {
        .type = IFD_JSON_T_STRING, .text = by_default, .size = strlen(by_default)};
    if (node && node->type == IFD_JSON_T_NULL)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "tokenizer_config.json: %s is null, but texts cannot be encoded without it",
                        key);
    inferd_status status = read_special(node ? node : &plain, key, out, err);
    if (!status && out->token.size == 0)
        return ifd_fail(err, INFERD_MODEL_INVALID, "tokenizer_config.json: %s is empty", key);
    return status;
}

static inferd_status build(struct ifd_tokenizer *t, const char *vocab, size_t vocab_size,
                           const struct ifd_json_node *config, struct specials *list,
                           inferd_error *err)
{
    struct special unk, cls, sep;
    if (config && config->type != IFD_JSON_T_OBJECT)
        return ifd_fail(err, INFERD_MODEL_INVALID, "tokenizer_config.json is not a JSON object");
    inferd_status status = read_options(t, config, err);
    if (!status)
        status = required(config, "unk_token", "[UNK]", &unk, err);
    if (!status)
        status = required(config, "cls_token", "[CLS]", &cls, err);
    if (!status)
        status = required(config, "sep_token", "[SEP]", &sep, err);
    if (!status)
        status = read_vocab(t, vocab, vocab_size, err);
    if (status)
        return status;
    status = ifd_tokenizer_model(t,
                                 &(struct ifd_tokenizer_params){.unk = unk.token.content,
                                                                .unk_size = unk.token.size,
                                                                .prefix = "##",
                                                                .prefix_size = 2,
                                                                .chars_max = CHARS_MAX},
                                 err);
    if (status)
        return ifd_fail_prefix(err, "vocab.txt");
    status = read_decoder(list, config, err);
    if (!status)
        status = read_named(list, config, err);
    if (!status)
        status = read_extra(list, config, err);
    if (!status)
        status = add_all(t, list, err);
    if (status)
        return status;
    t->open = ifd_added_id(&t->added, cls.token.content, cls.token.size);
    t->close = ifd_added_id(&t->added, sep.token.content, sep.token.size);
    t->takes_pairs = true;
    return ifd_tokenizer_finish(t, err);
}

inferd_status ifd_tokenizer_from_vocab(const char *vocab, size_t vocab_size, const char *config,
                                       size_t config_size, struct ifd_tokenizer **out,
                                       inferd_error *err)
{
    struct ifd_jsondoc *doc = NULL;
    struct ifd_tokenizer *t = NULL;
    struct specials list = {0};
    inferd_error cause = {0}; /* prefixes need a message even when the caller wants none */
    inferd_status status = INFERD_OK;
    if (config)
        status = ifd_jsondoc_parse(config, config_size, TREE_BYTES_MAX, &doc, &cause);
    if (status)
        ifd_fail_prefix(&cause, "tokenizer_config.json");
    if (status == INFERD_INVALID_JSON || status == INFERD_INVALID_UTF8)
        status = INFERD_MODEL_INVALID; /* a file of ours, not a client's request */
    if (!status)
        status = ifd_tokenizer_new(&t, &cause);
    if (!status)
        status = build(t, vocab, vocab_size, doc ? ifd_jsondoc_root(doc) : NULL, &list, &cause);
    ifd_free(list.item);
    ifd_jsondoc_free(doc);
    if (status) {
        ifd_tokenizer_free(t);
        return ifd_fail(err, status, "%s", cause.message);
    }
    *out = t;
    return INFERD_OK;
}
