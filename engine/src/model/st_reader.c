/* SPDX-License-Identifier: Apache-2.0 */
#include "model/st_reader.h"

#include <string.h>

#include "base/mem.h"
#include "model/excerpt.h"

#define TENSORS_FIRST 64u

enum { HAS_DTYPE = 1, HAS_SHAPE = 2, HAS_OFFSETS = 4, HAS_ALL = 7 };

static inferd_status invalid(inferd_error *err, const char *what)
{
    return ifd_fail(err, INFERD_MODEL_INVALID, "%s", what);
}

static inferd_status no_memory(inferd_error *err)
{
    return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for the tensor list");
}

static const char *current_name(const struct ifd_st_reader *r)
{
    return r->names.data + r->name_at;
}

static struct ifd_excerpt shown_name(const struct ifd_st_reader *r)
{
    return ifd_excerpt(current_name(r));
}

static struct ifd_st_tensor *current(struct ifd_st_reader *r)
{
    return &r->tensor[r->count - 1];
}

static inferd_status invalid_tensor(const struct ifd_st_reader *r, inferd_error *err,
                                    const char *what)
{
    return ifd_fail(err, INFERD_MODEL_INVALID, "tensor %s: %s", shown_name(r).s, what);
}

/* Collect the pieces of a short string or number; longer ones keep their first bytes and are then
 * known to be wrong by their size. */
static void scalar_add(struct ifd_st_reader *r, const char *data, size_t size, bool first)
{
    if (first)
        r->scalar_size = 0;
    size_t room = IFD_ST_SCALAR_BYTES_MAX - r->scalar_size;
    size_t n = size < room ? size : room;
    if (n > 0)
        memcpy(r->scalar + r->scalar_size, data, n);
    r->scalar_size += n;
    r->scalar[r->scalar_size] = '\0';
}

static bool scalar_is(const struct ifd_st_reader *r, const char *s)
{
    return r->scalar_size == strlen(s) && memcmp(r->scalar, s, r->scalar_size) == 0;
}

/* Digits only: JSON's grammar has already refused leading zeros. */
static bool scalar_u64(const struct ifd_st_reader *r, uint64_t *out)
{
    uint64_t v = 0;
    if (r->scalar_size == 0 || r->scalar_size >= IFD_ST_SCALAR_BYTES_MAX)
        return false;
    for (size_t i = 0; i < r->scalar_size; i++) {
        char c = r->scalar[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(c - '0'), &v))
            return false;
    }
    *out = v;
    return true;
}

/* Add a piece of a key to `b`; when whole, close it with a NUL. */
static inferd_status key_add(struct ifd_st_reader *r, struct ifd_buf *b, const char *data,
                             size_t size, bool first, bool last, inferd_error *err)
{
    if (first)
        r->string_at = b->size;
    if (size > IFD_ST_NAME_BYTES_MAX || b->size - r->string_at + size > IFD_ST_NAME_BYTES_MAX)
        return ifd_fail(err, INFERD_MODEL_INVALID, "a name is longer than %u bytes",
                        IFD_ST_NAME_BYTES_MAX);
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)data[i] < 0x20 || data[i] == 0x7F)
            return invalid(err, "a name has a control character");
    ifd_buf_add(b, data, size);
    if (last)
        ifd_buf_add_char(b, '\0');
    return b->failed ? no_memory(err) : INFERD_OK;
}

static inferd_status add_tensor(struct ifd_st_reader *r, inferd_error *err)
{
    if (r->count == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : TENSORS_FIRST;
        size_t bytes;
        struct ifd_st_tensor *grown = NULL;
        if (ifd_size_mul(capacity, sizeof(*grown), &bytes))
            grown = ifd_realloc(r->tensor, bytes);
        if (!grown)
            return no_memory(err);
        r->tensor = grown;
        r->capacity = capacity;
    }
    memset(&r->tensor[r->count], 0, sizeof(*r->tensor));
    r->tensor[r->count].name_at = r->name_at;
    r->count++;
    r->fields = 0;
    r->offsets_seen = 0;
    return INFERD_OK;
}

static inferd_status on_top_key(struct ifd_st_reader *r, const char *data, size_t size, bool first,
                                bool last, inferd_error *err)
{
    inferd_status st = key_add(r, &r->names, data, size, first, last, err);
    if (st || !last)
        return st;
    r->name_at = r->string_at;
    if (strcmp(current_name(r), "__metadata__") == 0) {
        if (r->has_metadata)
            return invalid(err, "__metadata__ is there twice");
        r->has_metadata = true;
        r->state = IFD_ST_AT_METADATA;
        return INFERD_OK;
    }
    if (current_name(r)[0] == '\0')
        return invalid(err, "a tensor has an empty name");
    r->state = IFD_ST_AT_ENTRY;
    return add_tensor(r, err);
}

static inferd_status on_field_key(struct ifd_st_reader *r, inferd_error *err)
{
    static const struct {
        const char *name;
        unsigned bit;
        enum ifd_st_state next;
    } fields[] = {
        {"dtype", HAS_DTYPE, IFD_ST_AT_DTYPE},
        {"shape", HAS_SHAPE, IFD_ST_AT_SHAPE},
        {"data_offsets", HAS_OFFSETS, IFD_ST_AT_OFFSETS},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (!scalar_is(r, fields[i].name))
            continue;
        if (r->fields & fields[i].bit)
            return invalid_tensor(r, err, "a field is there twice");
        r->fields |= fields[i].bit;
        r->state = fields[i].next;
        return INFERD_OK;
    }
    return ifd_fail(err, INFERD_MODEL_INVALID, "tensor %s: unknown field \"%s\"", shown_name(r).s,
                    ifd_excerpt(r->scalar).s);
}

static inferd_status on_dtype(struct ifd_st_reader *r, inferd_error *err)
{
    for (size_t i = 0; i < IFD_ST_DTYPE_COUNT; i++) {
        if (scalar_is(r, ifd_st_dtype_name((enum ifd_st_dtype)i))) {
            current(r)->dtype = (enum ifd_st_dtype)i;
            r->state = IFD_ST_AT_FIELD;
            return INFERD_OK;
        }
    }
    return ifd_fail(err, INFERD_MODEL_INVALID, "tensor %s: unknown dtype \"%s\"", shown_name(r).s,
                    ifd_excerpt(r->scalar).s);
}

static inferd_status on_number(struct ifd_st_reader *r, inferd_error *err)
{
    struct ifd_st_tensor *t = current(r);
    uint64_t v;
    if (!scalar_u64(r, &v))
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "tensor %s: \"%s\" is not a whole number of 64 bits", shown_name(r).s,
                        ifd_excerpt(r->scalar).s);
    if (r->state == IFD_ST_AT_SHAPE_ITEM) {
        if (t->rank == IFD_ST_RANK_MAX)
            return ifd_fail(err, INFERD_MODEL_INVALID, "tensor %s: more than %u dimensions",
                            shown_name(r).s, IFD_ST_RANK_MAX);
        t->shape[t->rank++] = v;
        return INFERD_OK;
    }
    if (r->offsets_seen == 2)
        return invalid_tensor(r, err, "data_offsets must be two numbers");
    *(r->offsets_seen++ == 0 ? &t->begin : &t->end) = v;
    return INFERD_OK;
}

static inferd_status on_entry_end(struct ifd_st_reader *r, inferd_error *err)
{
    const struct ifd_st_tensor *t = current(r);
    if (r->fields != HAS_ALL)
        return invalid_tensor(r, err, "dtype, shape and data_offsets must all be there");
    uint64_t bytes = ifd_st_dtype_bytes(t->dtype);
    for (uint32_t i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(bytes, t->shape[i], &bytes))
            return invalid_tensor(r, err, "its shape does not fit in 64 bits");
    if (t->begin > t->end || t->end > r->data_bytes)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "tensor %s: data_offsets [%llu, %llu] are not inside the %llu bytes of "
                        "data; the file was cut or its header is damaged: fetch it again",
                        shown_name(r).s, (unsigned long long)t->begin, (unsigned long long)t->end,
                        (unsigned long long)r->data_bytes);
    if (t->end - t->begin != bytes)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "tensor %s: dtype and shape make %llu bytes, data_offsets %llu",
                        shown_name(r).s, (unsigned long long)bytes,
                        (unsigned long long)(t->end - t->begin));
    r->state = IFD_ST_AT_TOP;
    return INFERD_OK;
}

static inferd_status unexpected(const struct ifd_st_reader *r, inferd_error *err)
{
    switch (r->state) {
    case IFD_ST_AT_START:
    case IFD_ST_AT_TOP:
    case IFD_ST_AT_END:
        return invalid(err, "the header must be one JSON object");
    case IFD_ST_AT_METADATA:
    case IFD_ST_AT_METADATA_KEY:
    case IFD_ST_AT_METADATA_VALUE:
        return invalid(err, "__metadata__ must be an object of strings");
    case IFD_ST_AT_ENTRY:
        return invalid_tensor(r, err, "it must be an object");
    case IFD_ST_AT_DTYPE:
        return invalid_tensor(r, err, "dtype must be a string");
    case IFD_ST_AT_FIELD:
    case IFD_ST_AT_SHAPE:
    case IFD_ST_AT_SHAPE_ITEM:
    case IFD_ST_AT_OFFSETS:
    case IFD_ST_AT_OFFSETS_ITEM:
        break;
    }
    return invalid_tensor(r, err, "shape and data_offsets must be lists of whole numbers");
}

static inferd_status on_scalar(struct ifd_st_reader *r, enum ifd_json_event event, const char *data,
                               size_t size, bool first, bool last, inferd_error *err)
{
    inferd_status st;
    if (event == IFD_JSON_KEY && r->state == IFD_ST_AT_TOP)
        return on_top_key(r, data, size, first, last, err);
    if (event == IFD_JSON_KEY && r->state == IFD_ST_AT_METADATA_KEY) {
        st = key_add(r, &r->metadata, data, size, first, last, err);
        if (!st && last) {
            r->metadata_count++;
            r->state = IFD_ST_AT_METADATA_VALUE;
        }
        return st;
    }
    if (event == IFD_JSON_STRING && r->state == IFD_ST_AT_METADATA_VALUE) {
        if (last)
            r->state = IFD_ST_AT_METADATA_KEY;
        return INFERD_OK;
    }
    bool number = r->state == IFD_ST_AT_SHAPE_ITEM || r->state == IFD_ST_AT_OFFSETS_ITEM;
    if ((event == IFD_JSON_KEY && r->state == IFD_ST_AT_FIELD) ||
        (event == IFD_JSON_STRING && r->state == IFD_ST_AT_DTYPE) ||
        (event == IFD_JSON_NUMBER && number)) {
        scalar_add(r, data, size, first);
        if (!last)
            return INFERD_OK;
        return event == IFD_JSON_KEY      ? on_field_key(r, err)
               : event == IFD_JSON_STRING ? on_dtype(r, err)
                                          : on_number(r, err);
    }
    return unexpected(r, err);
}

inferd_status ifd_st_on_event(void *ctx, enum ifd_json_event event, const char *data, size_t size,
                              bool last, inferd_error *err)
{
    static const struct {
        enum ifd_json_event event;
        enum ifd_st_state from, to;
    } moves[] = {
        {IFD_JSON_OBJECT_BEGIN, IFD_ST_AT_START, IFD_ST_AT_TOP},
        {IFD_JSON_OBJECT_BEGIN, IFD_ST_AT_ENTRY, IFD_ST_AT_FIELD},
        {IFD_JSON_OBJECT_BEGIN, IFD_ST_AT_METADATA, IFD_ST_AT_METADATA_KEY},
        {IFD_JSON_OBJECT_END, IFD_ST_AT_TOP, IFD_ST_AT_END},
        {IFD_JSON_OBJECT_END, IFD_ST_AT_METADATA_KEY, IFD_ST_AT_TOP},
        {IFD_JSON_ARRAY_BEGIN, IFD_ST_AT_SHAPE, IFD_ST_AT_SHAPE_ITEM},
        {IFD_JSON_ARRAY_BEGIN, IFD_ST_AT_OFFSETS, IFD_ST_AT_OFFSETS_ITEM},
        {IFD_JSON_ARRAY_END, IFD_ST_AT_SHAPE_ITEM, IFD_ST_AT_FIELD},
    };
    struct ifd_st_reader *r = ctx;
    if (event == IFD_JSON_KEY || event == IFD_JSON_STRING || event == IFD_JSON_NUMBER) {
        bool first = !r->in_string;
        r->in_string = !last;
        return on_scalar(r, event, data, size, first, last, err);
    }
    if (event == IFD_JSON_OBJECT_END && r->state == IFD_ST_AT_FIELD)
        return on_entry_end(r, err);
    if (event == IFD_JSON_ARRAY_END && r->state == IFD_ST_AT_OFFSETS_ITEM) {
        if (r->offsets_seen != 2)
            return invalid_tensor(r, err, "data_offsets must be two numbers");
        r->state = IFD_ST_AT_FIELD;
        return INFERD_OK;
    }
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        if (event == moves[i].event && r->state == moves[i].from) {
            r->state = moves[i].to;
            return INFERD_OK;
        }
    }
    return unexpected(r, err);
}
