/* SPDX-License-Identifier: Apache-2.0
 *
 * safetensors.c - the header as a whole: its size, its document, and what must hold between its
 * tensors. No tree is built, so memory is the tensor list and the names.
 */
#include "model/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/excerpt.h"
#include "model/st_reader.h"

static const struct {
    const char *name;
    uint8_t bytes;
} dtypes[IFD_ST_DTYPE_COUNT] = {
    [IFD_ST_BOOL] = {"BOOL", 1},       [IFD_ST_U8] = {"U8", 1},
    [IFD_ST_I8] = {"I8", 1},           [IFD_ST_F8_E5M2] = {"F8_E5M2", 1},
    [IFD_ST_F8_E4M3] = {"F8_E4M3", 1}, [IFD_ST_I16] = {"I16", 2},
    [IFD_ST_U16] = {"U16", 2},         [IFD_ST_F16] = {"F16", 2},
    [IFD_ST_BF16] = {"BF16", 2},       [IFD_ST_I32] = {"I32", 4},
    [IFD_ST_U32] = {"U32", 4},         [IFD_ST_F32] = {"F32", 4},
    [IFD_ST_I64] = {"I64", 8},         [IFD_ST_U64] = {"U64", 8},
    [IFD_ST_F64] = {"F64", 8},
};

const char *ifd_st_dtype_name(enum ifd_st_dtype dtype)
{
    return dtypes[dtype].name;
}

size_t ifd_st_dtype_bytes(enum ifd_st_dtype dtype)
{
    return dtypes[dtype].bytes;
}

static int by_place(const void *a, const void *b)
{
    const struct ifd_st_tensor *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ifd_st_tensor *)a)->name, ((const struct ifd_st_tensor *)b)->name);
}

static int by_string(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The tensors, in the order of their data, must follow each other without overlap or hole. */
static inferd_status check_tiling(struct ifd_st_reader *r, inferd_error *err)
{
    uint64_t at = 0;
    if (r->count > 0)
        qsort(r->tensor, r->count, sizeof(*r->tensor), by_place);
    for (size_t i = 0; i < r->count; i++) {
        const struct ifd_st_tensor *t = &r->tensor[i];
        if (t->begin != at)
            return ifd_fail(err, INFERD_MODEL_INVALID, "tensor %s %s at byte %llu of the data",
                            ifd_excerpt(t->name).s,
                            t->begin < at ? "overlaps another" : "comes after a hole",
                            (unsigned long long)(t->begin < at ? t->begin : at));
        at = t->end;
    }
    if (at != r->data_bytes)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "the tensors end at byte %llu of the data, which has %llu: the file is "
                        "longer than its header says; fetch it again",
                        (unsigned long long)at, (unsigned long long)r->data_bytes);
    return INFERD_OK;
}

static inferd_status check_names(struct ifd_st_reader *r, inferd_error *err)
{
    if (r->count > 0)
        qsort(r->tensor, r->count, sizeof(*r->tensor), by_name);
    for (size_t i = 1; i < r->count; i++)
        if (strcmp(r->tensor[i - 1].name, r->tensor[i].name) == 0)
            return ifd_fail(err, INFERD_MODEL_INVALID, "tensor %s is there twice",
                            ifd_excerpt(r->tensor[i].name).s);
    return INFERD_OK;
}

static inferd_status check_metadata(struct ifd_st_reader *r, inferd_error *err)
{
    inferd_status st = INFERD_OK;
    if (r->metadata_count < 2)
        return INFERD_OK;
    const char **key = ifd_alloc_array(r->metadata_count, sizeof(*key));
    if (!key)
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for the tensor list");
    const char *s = r->metadata.data;
    for (size_t i = 0; i < r->metadata_count; i++, s += strlen(s) + 1)
        key[i] = s;
    qsort(key, r->metadata_count, sizeof(*key), by_string);
    for (size_t i = 1; i < r->metadata_count && !st; i++)
        if (strcmp(key[i - 1], key[i]) == 0)
            st = ifd_fail(err, INFERD_MODEL_INVALID, "__metadata__ has \"%s\" twice",
                          ifd_excerpt(key[i]).s);
    ifd_free(key);
    return st;
}

inferd_status ifd_st_header_bytes(const unsigned char *prefix, uint64_t file_bytes, size_t *out,
                                  inferd_error *err)
{
    uint64_t n = 0;
    if (file_bytes < IFD_ST_PREFIX_BYTES + 2)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "%llu bytes are too few for a safetensors file; fetch it again",
                        (unsigned long long)file_bytes);
    for (unsigned i = 0; i < IFD_ST_PREFIX_BYTES; i++)
        n |= (uint64_t)prefix[i] << 8 * i;
    if (n > IFD_ST_HEADER_BYTES_MAX)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "a header of %llu bytes is more than the %u allowed: not a safetensors "
                        "file, or damaged",
                        (unsigned long long)n, IFD_ST_HEADER_BYTES_MAX);
    if (n > file_bytes - IFD_ST_PREFIX_BYTES)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "the header of %llu bytes goes past the end of the file (%llu bytes); "
                        "fetch it again",
                        (unsigned long long)n, (unsigned long long)file_bytes);
    *out = (size_t)n;
    return INFERD_OK;
}

inferd_status ifd_st_header_parse(const char *json, size_t size, uint64_t data_bytes,
                                  struct ifd_st_header *out, inferd_error *err)
{
    struct ifd_st_reader r = {.state = IFD_ST_AT_START, .data_bytes = data_bytes};
    struct ifd_json parser;
    inferd_error local = {INFERD_OK, ""};
    inferd_status st = INFERD_OK;
    if (!err)
        err = &local;
    while (size > 0 && json[size - 1] == ' ')
        size--;
    if (size < 2 || json[0] != '{' || json[size - 1] != '}')
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "the header must begin with '{' and end with '}' and spaces");
    ifd_buf_init(&r.names, 2 * (size + 1)); /* a decoded name is never longer than its text */
    ifd_buf_init(&r.metadata, 2 * (size + 1));
    ifd_json_init(&parser, 3, ifd_st_on_event, &r);
    st = ifd_json_feed(&parser, json, size, err);
    if (!st)
        st = ifd_json_finish(&parser, err);
    if (st == INFERD_INVALID_JSON || st == INFERD_INVALID_UTF8)
        err->status = st = INFERD_MODEL_INVALID;
    if (st)
        goto out;
    IFD_ASSERT(r.state == IFD_ST_AT_END);
    for (size_t i = 0; i < r.count; i++)
        r.tensor[i].name = r.names.data + r.tensor[i].name_at;
    if ((st = check_tiling(&r, err)) || (st = check_names(&r, err)) ||
        (st = check_metadata(&r, err)))
        goto out;
    out->count = r.count;
    out->tensor = r.tensor;
    out->names = r.names.data;
    r.tensor = NULL;
    r.names.data = NULL;
out:
    ifd_free(r.tensor);
    ifd_buf_fini(&r.names);
    ifd_buf_fini(&r.metadata);
    return st;
}

void ifd_st_header_free(struct ifd_st_header *h)
{
    ifd_free(h->tensor);
    ifd_free(h->names);
    memset(h, 0, sizeof(*h));
}

const struct ifd_st_tensor *ifd_st_find(const struct ifd_st_header *h, const char *name)
{
    struct ifd_st_tensor want = {.name = name};
    if (h->count == 0)
        return NULL;
    return bsearch(&want, h->tensor, h->count, sizeof(want), by_name);
}
