/* SPDX-License-Identifier: Apache-2.0 */
#include "model/shard_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/checkpoint.h"
#include "model/excerpt.h"

static int by_tensor(const void *a, const void *b)
{
    return strcmp(((const struct ifd_shard_entry *)a)->tensor,
                  ((const struct ifd_shard_entry *)b)->tensor);
}

/* A name that cannot lead out of the directory or to a hidden file. */
static bool is_plain_name(const struct ifd_json_node *node)
{
    static const char suffix[] = ".safetensors";
    size_t n = node->size;
    return node->type == IFD_JSON_T_STRING && n >= sizeof(suffix) && n <= 255 &&
           !memchr(node->text, 0, n) && !memchr(node->text, '/', n) && node->text[0] != '.' &&
           strcmp(node->text + n - (sizeof(suffix) - 1), suffix) == 0;
}

static inferd_status add_file(struct ifd_shard_index *x, const char *name, uint32_t *out,
                              inferd_error *err)
{
    for (size_t i = 0; i < x->files; i++) {
        if (strcmp(x->file[i], name) == 0) {
            *out = (uint32_t)i;
            return INFERD_OK;
        }
    }
    if (x->files == IFD_CHECKPOINT_SHARDS_MAX)
        return ifd_fail(err, INFERD_MODEL_INVALID, "weight_map names more than %u files",
                        IFD_CHECKPOINT_SHARDS_MAX);
    *out = (uint32_t)x->files;
    x->file[x->files++] = name;
    return INFERD_OK;
}

static inferd_status read_map(struct ifd_shard_index *x, inferd_error *err)
{
    const struct ifd_json_node *map = ifd_json_get(ifd_jsondoc_root(x->doc), "weight_map");
    if (!map || map->type != IFD_JSON_T_OBJECT || map->size == 0)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "\"weight_map\" must be an object of file names by tensor");
    x->file = ifd_zalloc_array(IFD_CHECKPOINT_SHARDS_MAX, sizeof(*x->file));
    x->entry = ifd_zalloc_array(map->size, sizeof(*x->entry));
    if (!x->file || !x->entry)
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for the index of the shards");
    for (const struct ifd_json_node *n = map->first; n; n = n->next) {
        if (memchr(n->key, 0, n->key_size))
            return ifd_fail(err, INFERD_MODEL_INVALID, "a tensor's name holds a NUL");
        if (!is_plain_name(n))
            return ifd_fail(err, INFERD_MODEL_INVALID,
                            "tensor %s: \"%s\" is not the plain name of a .safetensors file in "
                            "this directory",
                            ifd_excerpt(n->key).s,
                            n->type == IFD_JSON_T_STRING ? ifd_excerpt(n->text).s : "(no string)");
        struct ifd_shard_entry *entry = &x->entry[x->count++];
        entry->tensor = n->key;
        inferd_status st = add_file(x, n->text, &entry->file, err);
        if (st)
            return st;
    }
    qsort(x->entry, x->count, sizeof(*x->entry), by_tensor);
    return INFERD_OK;
}

inferd_status ifd_shard_index_parse(const char *json, size_t size, struct ifd_shard_index *out,
                                    inferd_error *err)
{
    struct ifd_shard_index x = {0};
    inferd_status st =
        ifd_jsondoc_parse(json, size, 16 * IFD_CHECKPOINT_INDEX_BYTES_MAX, &x.doc, err);
    if (!st)
        st = read_map(&x, err);
    if (st) {
        ifd_shard_index_free(&x);
        return st;
    }
    *out = x;
    return INFERD_OK;
}

void ifd_shard_index_free(struct ifd_shard_index *x)
{
    ifd_free(x->file);
    ifd_free(x->entry);
    ifd_jsondoc_free(x->doc);
    memset(x, 0, sizeof(*x));
}

const struct ifd_shard_entry *ifd_shard_index_find(const struct ifd_shard_index *x,
                                                   const char *tensor)
{
    struct ifd_shard_entry want = {.tensor = tensor};
    return x->count > 0 ? bsearch(&want, x->entry, x->count, sizeof(want), by_tensor) : NULL;
}
