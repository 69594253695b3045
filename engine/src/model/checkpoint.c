/* SPDX-License-Identifier: Apache-2.0 */
#include "model/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/excerpt.h"
#include "model/shard_index.h"

#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"

char *ifd_path_join(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = ifd_alloc(size);
    if (path)
        snprintf(path, size, "%s/%s", dir, name);
    return path;
}

static inferd_status no_memory(inferd_error *err)
{
    return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for the list of tensors");
}

static inferd_status read_header(struct ifd_shard *s, inferd_error *err)
{
    unsigned char prefix[IFD_ST_PREFIX_BYTES] = {0};
    size_t size = 0;
    char *json = NULL;
    inferd_status st;
    if (s->file.size >= sizeof(prefix) &&
        (st = ifd_file_read(&s->file, 0, prefix, sizeof(prefix), err)))
        return st; /* has the path */
    if ((st = ifd_st_header_bytes(prefix, s->file.size, &size, err)))
        goto out;
    json = ifd_alloc(size + 1);
    if (!json) {
        st = no_memory(err);
        goto out;
    }
    if ((st = ifd_file_read(&s->file, IFD_ST_PREFIX_BYTES, json, size, err))) {
        ifd_free(json);
        return st;
    }
    s->data_at = IFD_ST_PREFIX_BYTES + size;
    st = ifd_st_header_parse(json, size, s->file.size - s->data_at, &s->header, err);
out:
    ifd_free(json);
    return st ? ifd_fail_prefix(err, "%s", s->file.path) : INFERD_OK;
}

static inferd_status open_shard(const char *dir, const char *name, struct ifd_shard *s,
                                inferd_error *err)
{
    char *path = ifd_path_join(dir, name);
    if (!path)
        return no_memory(err);
    inferd_status st = ifd_file_open(path, &s->file, err);
    ifd_free(path);
    return st ? st : read_header(s, err);
}

/* Where the index and the files disagree, one of them is not of this model. */
static inferd_status check_against_index(const struct ifd_checkpoint *c,
                                         const struct ifd_shard_index *x, inferd_error *err)
{
    size_t found = 0;
    for (size_t i = 0; i < c->shards; i++) {
        const struct ifd_st_header *h = &c->shard[i].header;
        for (size_t t = 0; t < h->count; t++) {
            const struct ifd_shard_entry *e = ifd_shard_index_find(x, h->tensor[t].name);
            if (!e)
                return ifd_fail(err, INFERD_MODEL_INVALID, "%s: tensor %s is not in %s",
                                c->shard[i].file.path, ifd_excerpt(h->tensor[t].name).s, INDEX);
            if (e->file != i)
                return ifd_fail(err, INFERD_MODEL_INVALID,
                                "%s: tensor %s is here, but %s says it is in %s",
                                c->shard[i].file.path, ifd_excerpt(h->tensor[t].name).s, INDEX,
                                x->file[e->file]);
            found++;
        }
    }
    for (size_t i = 0; found < x->count && i < x->count; i++) {
        const struct ifd_shard_entry *e = &x->entry[i];
        if (!ifd_st_find(&c->shard[e->file].header, e->tensor))
            return ifd_fail(err, INFERD_MODEL_INVALID,
                            "%s: tensor %s is missing, but %s says it is here",
                            c->shard[e->file].file.path, ifd_excerpt(e->tensor).s, INDEX);
    }
    return INFERD_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ifd_checkpoint_tensor *)a)->st->name,
                  ((const struct ifd_checkpoint_tensor *)b)->st->name);
}

static inferd_status list_tensors(struct ifd_checkpoint *c, inferd_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < c->shards; i++)
        count += c->shard[i].header.count;
    c->tensor = ifd_alloc_array(count, sizeof(*c->tensor));
    if (!c->tensor)
        return no_memory(err);
    for (size_t i = 0; i < c->shards; i++)
        for (size_t t = 0; t < c->shard[i].header.count; t++)
            c->tensor[c->count++] = (struct ifd_checkpoint_tensor){
                .st = &c->shard[i].header.tensor[t], .shard = &c->shard[i]};
    if (c->count > 0)
        qsort(c->tensor, c->count, sizeof(*c->tensor), by_name);
    return INFERD_OK;
}

static inferd_status open_sharded(const char *dir, struct ifd_checkpoint *c, inferd_error *err)
{
    struct ifd_shard_index index = {0};
    char *json = NULL;
    size_t size = 0;
    char *path = ifd_path_join(dir, INDEX);
    inferd_status st = path
                           ? ifd_file_slurp(path, IFD_CHECKPOINT_INDEX_BYTES_MAX, &json, &size, err)
                           : no_memory(err);
    if (st)
        goto out;
    if ((st = ifd_shard_index_parse(json, size, &index, err))) {
        if (st != INFERD_NO_MEMORY && err)
            err->status = INFERD_MODEL_INVALID;
        st = ifd_fail_prefix(err, "%s", path);
        goto out;
    }
    c->shard = ifd_zalloc_array(index.files, sizeof(*c->shard));
    if (!c->shard) {
        st = no_memory(err);
        goto out;
    }
    for (size_t i = 0; i < index.files && !st; i++) {
        c->shards++;
        st = open_shard(dir, index.file[i], &c->shard[i], err);
        if (st == INFERD_NOT_FOUND)
            st = ifd_fail(err, INFERD_MODEL_INVALID,
                          "%s/%s is missing, but %s names it; fetch the directory again", dir,
                          index.file[i], INDEX);
    }
    if (!st)
        st = check_against_index(c, &index, err);
out:
    ifd_shard_index_free(&index);
    ifd_free(json);
    ifd_free(path);
    return st;
}

static inferd_status open_single(const char *dir, struct ifd_checkpoint *c, inferd_error *err)
{
    c->shard = ifd_zalloc_array(1, sizeof(*c->shard));
    if (!c->shard)
        return no_memory(err);
    c->shards = 1;
    return open_shard(dir, SINGLE, &c->shard[0], err);
}

inferd_status ifd_checkpoint_open(const char *dir, struct ifd_checkpoint *out, inferd_error *err)
{
    struct ifd_checkpoint c = {0};
    inferd_error local = {INFERD_OK, ""};
    if (!err)
        err = &local;
    inferd_status st = open_single(dir, &c, err);
    if (st == INFERD_NOT_FOUND) {
        ifd_checkpoint_close(&c);
        st = open_sharded(dir, &c, err);
        if (st == INFERD_NOT_FOUND)
            st = ifd_fail(err, INFERD_MODEL_INVALID,
                          "%s: no weights: neither " SINGLE " nor " INDEX " is there; save the "
                          "model with transformers' save_pretrained, which writes them",
                          dir);
    }
    if (!st)
        st = list_tensors(&c, err);
    if (st) {
        ifd_checkpoint_close(&c);
        return st;
    }
    *out = c;
    return INFERD_OK;
}

void ifd_checkpoint_close(struct ifd_checkpoint *c)
{
    for (size_t i = 0; i < c->shards; i++) {
        ifd_st_header_free(&c->shard[i].header);
        ifd_file_close(&c->shard[i].file);
    }
    ifd_free(c->shard);
    ifd_free(c->tensor);
    memset(c, 0, sizeof(*c));
}

const struct ifd_checkpoint_tensor *ifd_checkpoint_find(const struct ifd_checkpoint *c,
                                                        const char *name)
{
    struct ifd_st_tensor named = {.name = name};
    struct ifd_checkpoint_tensor want = {.st = &named};
    return c->count > 0 ? bsearch(&want, c->tensor, c->count, sizeof(want), by_name) : NULL;
}

inferd_status ifd_checkpoint_read(const struct ifd_checkpoint_tensor *t, uint64_t offset, void *to,
                                  size_t n, inferd_error *err)
{
    IFD_ASSERT(offset <= t->st->end - t->st->begin && n <= t->st->end - t->st->begin - offset);
    return ifd_file_read(&t->shard->file, t->shard->data_at + t->st->begin + offset, to, n, err);
}
