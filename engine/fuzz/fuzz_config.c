/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as config.json and, when they are no configuration, as model.safetensors.index.json.
 * Properties of an accepted configuration: every size inside its bounds, heads divide the hidden
 * size, labels unique and not empty. Of an accepted index: names cannot leave the directory.
 */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "model/checkpoint.h"
#include "model/config.h"
#include "model/shard_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_labels(const struct ifd_config *c)
{
    IFD_ASSERT(c->labels >= 1 && c->labels <= IFD_CONFIG_LABELS_MAX);
    for (uint32_t i = 0; i < c->labels; i++) {
        size_t n = strlen(c->label[i]);
        IFD_ASSERT(n >= 1 && n <= IFD_CONFIG_LABEL_BYTES_MAX);
        IFD_ASSERT(ifd_utf8_check(c->label[i], n) == n);
        for (uint32_t j = 0; j < i && c->labels <= 64; j++)
            IFD_ASSERT(strcmp(c->label[i], c->label[j]) != 0);
    }
}

static void check_config(const struct ifd_config *c)
{
    IFD_ASSERT(c->arch == IFD_ARCH_BERT || c->arch == IFD_ARCH_DISTILBERT);
    IFD_ASSERT(c->layers >= 1 && c->layers <= IFD_CONFIG_LAYERS_MAX);
    IFD_ASSERT(c->hidden >= 1 && c->hidden <= IFD_CONFIG_HIDDEN_MAX);
    IFD_ASSERT(c->heads >= 1 && c->hidden % c->heads == 0);
    IFD_ASSERT(c->ffn >= 1 && c->ffn <= IFD_CONFIG_FFN_MAX);
    IFD_ASSERT(c->vocab >= 1 && c->vocab <= IFD_CONFIG_VOCAB_MAX);
    IFD_ASSERT(c->positions >= IFD_CONFIG_POSITIONS_MIN &&
               c->positions <= IFD_CONFIG_POSITIONS_MAX);
    IFD_ASSERT(c->types <= IFD_CONFIG_TYPES_MAX &&
               (c->types >= 1 || c->arch == IFD_ARCH_DISTILBERT));
    IFD_ASSERT(c->norm_eps > 0 && c->norm_eps <= 1);
    IFD_ASSERT(c->problem == IFD_PROBLEM_MULTI_LABEL || c->labels >= 2);
    check_labels(c);
}

static void check_index(const struct ifd_shard_index *x)
{
    IFD_ASSERT(x->files >= 1 && x->files <= IFD_CHECKPOINT_SHARDS_MAX && x->count >= x->files);
    for (size_t i = 0; i < x->files; i++)
        IFD_ASSERT(!strchr(x->file[i], '/') && x->file[i][0] != '.' && x->file[i][0] != '\0');
    for (size_t i = 0; i < x->count; i++) {
        IFD_ASSERT(x->entry[i].file < x->files);
        IFD_ASSERT(i == 0 || strcmp(x->entry[i - 1].tensor, x->entry[i].tensor) < 0);
        IFD_ASSERT(ifd_shard_index_find(x, x->entry[i].tensor) == &x->entry[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ifd_config c;
    struct ifd_shard_index x = {0};
    inferd_error err = {INFERD_OK, ""};
    inferd_status st = ifd_config_parse("config.json", (const char *)data, size, &c, &err);
    if (!st) {
        check_config(&c);
        ifd_config_free(&c);
        return 0;
    }
    IFD_ASSERT(err.status == st && strncmp(err.message, "config.json: ", 13) == 0);
    IFD_ASSERT(ifd_utf8_check(err.message, strlen(err.message)) == strlen(err.message));
    err.message[0] = '\0';
    st = ifd_shard_index_parse((const char *)data, size, &x, &err);
    if (!st)
        check_index(&x);
    else
        IFD_ASSERT(err.message[0] != '\0');
    ifd_shard_index_free(&x);
    return 0;
}
