/* SPDX-License-Identifier: Apache-2.0
 *
 * inferd.c - the public header's model: opening a directory, its lifetime and what it tells.
 * Classification is in session.c, scores in result.c.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "model/checkpoint.h"
#include "model/handle.h"
#include "model/load.h"
#include "model/options.h"

#define TOKENIZER_BYTES_MAX ((size_t)256 << 20)
#define TOKENIZER_CONFIG_BYTES_MAX ((size_t)16 << 20)
#define MAX_LENGTH_DEFAULT 128u
#define MAX_LENGTH_LEAST 3u /* [CLS], one token, [SEP] */

static const char *const dtype_names[IFD_DTYPE_COUNT] = {
    [IFD_DTYPE_FP32] = "fp32",
    [IFD_DTYPE_BF16] = "bf16",
    [IFD_DTYPE_INT8] = "int8",
};
/* What "auto" is: the fastest that keeps the labels (docs/speed.md, tests/model/test_accuracy.c).
 */
#define DTYPE_AUTO IFD_DTYPE_INT8

const char *inferd_version(void)
{
    return INFERD_VERSION;
}

/* INFERD_NOT_FOUND is left to the caller, who knows what to say. */
static inferd_status read_file(const char *dir, const char *name, size_t max, char **data,
                               size_t *size, inferd_error *err)
{
    char *path = ifd_path_join(dir, name);
    if (!path)
        return ifd_fail(err, INFERD_NO_MEMORY, "%s/%s: out of memory", dir, name);
    inferd_status st = ifd_file_slurp(path, max, data, size, err);
    ifd_free(path);
    return st;
}

static inferd_status check_directory(const char *dir, inferd_error *err)
{
    struct stat s;
    if (dir[0] == '\0')
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "the model directory's name is empty");
    if (stat(dir, &s) != 0)
        return ifd_fail(err, INFERD_IO,
                        "%s: there is no such model directory; give one that holds config.json",
                        dir);
    if (!S_ISDIR(s.st_mode))
        return ifd_fail(err, INFERD_IO,
                        "%s is not a directory; give the one that holds config.json", dir);
    return INFERD_OK;
}

static inferd_status load_config(const char *dir, struct ifd_config *out, inferd_error *err)
{
    char *json = NULL;
    size_t size = 0;
    char *path = ifd_path_join(dir, "config.json");
    inferd_status st = path ? ifd_file_slurp(path, IFD_CONFIG_FILE_BYTES_MAX, &json, &size, err)
                            : ifd_fail(err, INFERD_NO_MEMORY, "%s/config.json: out of memory", dir);
    if (st == INFERD_NOT_FOUND)
        st = ifd_fail(err, INFERD_MODEL_INVALID,
                      "%s has no config.json; save the model with transformers' save_pretrained, "
                      "which writes it",
                      dir);
    else if (!st)
        st = ifd_config_parse(path, json, size, out, err);
    ifd_free(json);
    ifd_free(path);
    return st;
}

/* The tokenizer's room reads bytes, so it cannot name the file. */
static inferd_status name_file(inferd_status st, const char *dir, const char *name,
                               inferd_error *err)
{
    return st ? ifd_fail_prefix(err, "%s/%s", dir, name) : INFERD_OK;
}

static inferd_status load_vocab(const char *dir, struct ifd_tokenizer **out, inferd_error *err)
{
    char *vocab = NULL, *config = NULL;
    size_t vocab_size = 0, config_size = 0;
    inferd_status st = read_file(dir, "vocab.txt", TOKENIZER_BYTES_MAX, &vocab, &vocab_size, err);
    if (st == INFERD_NOT_FOUND)
        st = ifd_fail(err, INFERD_MODEL_INVALID,
                      "%s has no tokenizer: neither tokenizer.json nor vocab.txt is there; save "
                      "the tokenizer with save_pretrained into the same directory",
                      dir);
    if (st)
        goto out;
    st = read_file(dir, "tokenizer_config.json", TOKENIZER_CONFIG_BYTES_MAX, &config, &config_size,
                   err);
    if (st && st != INFERD_NOT_FOUND)
        goto out;
    st = name_file(ifd_tokenizer_from_vocab(vocab, vocab_size, config, config_size, out, err), dir,
                   "vocab.txt", err);
out:
    ifd_free(vocab);
    ifd_free(config);
    return st;
}

static inferd_status load_tokenizer(const char *dir, struct ifd_tokenizer **out, inferd_error *err)
{
    char *json = NULL;
    size_t size = 0;
    inferd_status st = read_file(dir, "tokenizer.json", TOKENIZER_BYTES_MAX, &json, &size, err);
    if (st == INFERD_NOT_FOUND)
        return load_vocab(dir, out, err);
    if (!st)
        st = name_file(ifd_tokenizer_from_json(json, size, out, err), dir, "tokenizer.json", err);
    ifd_free(json);
    return st;
}

static inferd_status choose_kernels(const char *tier_name, const struct ifd_kernels **out,
                                    inferd_error *err)
{
    enum ifd_tier tier;
    inferd_status st = ifd_cpu_choose(tier_name, &tier, err);
    if (st)
        return st;
    const struct ifd_kernels *k = ifd_kernels_get(tier);
    if (!k)
        return ifd_fail(err, INFERD_CPU_UNSUPPORTED, "tier %s is not in this build",
                        ifd_tier_name(tier));
    *out = k;
    return INFERD_OK;
}

static inferd_status choose_dtype(const char *name, enum ifd_dtype *out, inferd_error *err)
{
    if (!name || strcmp(name, "auto") == 0) {
        *out = DTYPE_AUTO;
        return INFERD_OK;
    }
    for (int d = 0; d < IFD_DTYPE_COUNT; d++) {
        if (strcmp(name, dtype_names[d]) == 0) {
            *out = (enum ifd_dtype)d;
            return INFERD_OK;
        }
    }
    return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                    "dtype \"%.32s\" is not one of those there are: auto, fp32, bf16, int8", name);
}

static inferd_status choose_max_length(uint32_t asked, uint32_t positions, uint32_t *out,
                                       inferd_error *err)
{
    if (asked == 0)
        asked = positions < MAX_LENGTH_DEFAULT ? positions : MAX_LENGTH_DEFAULT;
    if (asked < MAX_LENGTH_LEAST || asked > positions)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "max_length is %u; this model takes %u to %u tokens", asked,
                        MAX_LENGTH_LEAST, positions);
    *out = asked;
    return INFERD_OK;
}

/* The last component of the path; "." and the like are resolved first. */
static char *directory_name(const char *dir)
{
    char resolved[PATH_MAX];
    size_t end = strlen(dir), begin;
    while (end > 1 && dir[end - 1] == '/')
        end--;
    for (begin = end; begin > 0 && dir[begin - 1] != '/'; begin--)
        ;
    if (end - begin == 0 || dir[end - 1] == '.') {
        if (realpath(dir, resolved) && strcmp(resolved, "/") != 0) {
            const char *last = strrchr(resolved, '/') + 1;
            return ifd_strndup(last, strlen(last));
        }
    }
    return ifd_strndup(dir + begin, end - begin);
}

static void model_free(inferd_model *m)
{
    ifd_weights_free(m->weights);
    ifd_tokenizer_free(m->tokenizer);
    ifd_config_free(&m->config);
    ifd_free(m->name);
    ifd_free(m);
}

static inferd_status fill_model(inferd_model *m, const char *dir, const inferd_model_options *o,
                                inferd_error *err)
{
    const struct ifd_kernels *kernels = NULL;
    enum ifd_dtype dtype = DTYPE_AUTO;
    inferd_status st;
    if ((st = choose_dtype(o->dtype, &dtype, err)) ||
        (st = choose_kernels(o->tier, &kernels, err)) || (st = check_directory(dir, err)) ||
        (st = load_config(dir, &m->config, err)) ||
        (st = choose_max_length(o->max_length, m->config.positions, &m->max_length, err)) ||
        (st = load_tokenizer(dir, &m->tokenizer, err)))
        return st;
    if (ifd_tokenizer_vocab_size(m->tokenizer) > m->config.vocab)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "%s: the tokenizer has ids up to %u, config.json a vocab_size of %u; they "
                        "are not of the same model",
                        dir, ifd_tokenizer_vocab_size(m->tokenizer) - 1, m->config.vocab);
    m->name = directory_name(dir);
    if (!m->name)
        return ifd_fail(err, INFERD_NO_MEMORY, "%s: out of memory", dir);
    return ifd_load(dir, &m->config, kernels, dtype, &m->weights, err);
}

inferd_status inferd_model_open(const char *dir, const inferd_model_options *options,
                                inferd_model **out, inferd_error *err)
{
    inferd_model_options o;
    inferd_error local = {INFERD_OK, ""};
    if (!err)
        err = &local;
    if (!dir || !out)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "dir and out must not be NULL");
    inferd_status st = ifd_options_copy("inferd_model_options", options, &o, sizeof(o), err);
    if (st)
        return st;
    inferd_model *m = ifd_zalloc(sizeof(*m));
    if (!m)
        return ifd_fail(err, INFERD_NO_MEMORY, "%s: out of memory", dir);
    atomic_init(&m->references, 1);
    if ((st = fill_model(m, dir, &o, err))) {
        model_free(m);
        return st;
    }
    *out = m;
    return INFERD_OK;
}

inferd_model *inferd_model_retain(inferd_model *model)
{
    /* Relaxed: who retains has a reference already, so nothing is ordered by this. */
    if (model)
        atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
    return model;
}

void inferd_model_release(inferd_model *model)
{
    if (!model)
        return;
    /* Release: what this thread did with the model is before the count drops. Acquire: the thread
     * that frees sees what all the others did. */
    uint32_t before = atomic_fetch_sub_explicit(&model->references, 1, memory_order_acq_rel);
    IFD_ASSERT(before > 0);
    if (before == 1)
        model_free(model);
}

void inferd_model_get_info(const inferd_model *model, inferd_model_info *info)
{
    const struct ifd_config *c = &model->config;
    inferd_model_info full = {
        .struct_size = info->struct_size,
        .name = model->name,
        .architecture = ifd_arch_name(c->arch),
        .problem_type = c->problem == IFD_PROBLEM_MULTI_LABEL ? "multi_label_classification"
                                                              : "single_label_classification",
        .dtype = dtype_names[model->weights->dtype],
        .tier = ifd_tier_name(model->weights->kernels->tier),
        .layers = c->layers,
        .hidden_size = c->hidden,
        .heads = c->heads,
        .intermediate_size = c->ffn,
        .vocab_size = c->vocab,
        .labels = c->labels,
        .max_length = model->max_length,
        .max_length_model = c->positions,
        .parameters = model->weights->parameters,
        .weight_bytes = model->weights->bytes,
    };
    ifd_figures_copy(info, &full, sizeof(full));
}

const char *inferd_model_label(const inferd_model *model, uint32_t label)
{
    return label < model->config.labels ? model->config.label[label] : NULL;
}

const char *inferd_model_token(const inferd_model *model, int32_t id)
{
    return ifd_tokenizer_token(model->tokenizer, id);
}

inferd_status inferd_tokenize(const inferd_model *model, inferd_text text, int32_t *ids,
                              size_t capacity, size_t *count, int *truncated, inferd_error *err)
{
    if (!model || !count || (capacity > 0 && !ids) || (text.size > 0 && !text.data))
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "model, count, and ids and text unless empty, must not be NULL");
    inferd_status st = INFERD_OK;
    size_t n = 0;
    bool cut = false;
    struct ifd_tokenizer_scratch *scratch = ifd_tokenizer_scratch_create();
    int32_t *all = ifd_alloc_array(model->max_length, sizeof(*all));
    if (!scratch || !all)
        st = ifd_fail(err, INFERD_NO_MEMORY, "out of memory for %u token ids", model->max_length);
    else
        st = ifd_tokenizer_encode(model->tokenizer, scratch, text.size > 0 ? text.data : "",
                                  text.size, model->max_length, all, &n, &cut, err);
    if (!st) {
        if (capacity > 0)
            memcpy(ids, all, (n < capacity ? n : capacity) * sizeof(*ids));
        *count = n;
        if (truncated)
            *truncated = cut;
    }
    ifd_tokenizer_scratch_free(scratch);
    ifd_free(all);
    return st;
}

const struct ifd_weights *ifd_model_weights(const inferd_model *model)
{
    return model->weights;
}

const struct ifd_tokenizer *ifd_model_tokenizer(const inferd_model *model)
{
    return model->tokenizer;
}

inferd_status ifd_model_check_pairs(const inferd_model *model, inferd_error *err)
{
    static const char instead[] = "send one text for each input";
    if (!ifd_tokenizer_takes_pairs(model->tokenizer))
        return ifd_fail(err, INFERD_INVALID_REQUEST,
                        "this model takes no pairs of texts: its tokenizer.json has no template "
                        "[CLS] A [SEP] B [SEP] with token type 1 from B on; %s",
                        instead);
    if (!ifd_weights_take_pairs(model->weights))
        return ifd_fail(err, INFERD_INVALID_REQUEST,
                        "this model takes no pairs of texts: its type_vocab_size is 1; %s",
                        instead);
    return INFERD_OK;
}

uint32_t ifd_model_max_length(const inferd_model *model)
{
    return model->max_length;
}
