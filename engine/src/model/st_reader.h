/* SPDX-License-Identifier: Apache-2.0
 *
 * st_reader.h - the state machine under safetensors.h: JSON events in, tensors out, each checked on
 * its own. What must hold between tensors is checked by safetensors.c. Private to these two files.
 */
#ifndef IFD_MODEL_ST_READER_H
#define IFD_MODEL_ST_READER_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/json.h"
#include "model/safetensors.h"

#define IFD_ST_SCALAR_BYTES_MAX 24u /* longest dtype or number that can be right, and one more */

/* Where in the document the parser stands. */
enum ifd_st_state {
    IFD_ST_AT_START,
    IFD_ST_AT_TOP,            /* in the root object, a key comes */
    IFD_ST_AT_ENTRY,          /* a tensor's value comes: { */
    IFD_ST_AT_FIELD,          /* in a tensor, a key comes */
    IFD_ST_AT_DTYPE,          /* its value comes */
    IFD_ST_AT_SHAPE,          /* [ comes */
    IFD_ST_AT_SHAPE_ITEM,     /* in it */
    IFD_ST_AT_OFFSETS,        /* [ comes */
    IFD_ST_AT_OFFSETS_ITEM,   /* in it */
    IFD_ST_AT_METADATA,       /* { comes */
    IFD_ST_AT_METADATA_KEY,   /* in it, a key comes */
    IFD_ST_AT_METADATA_VALUE, /* a string comes */
    IFD_ST_AT_END
};

struct ifd_st_reader {
    enum ifd_st_state state;
    uint64_t data_bytes;
    struct ifd_st_tensor *tensor; /* name_at is set, name is not: names may move */
    size_t count, capacity;
    struct ifd_buf names;    /* of tensors, each with its NUL */
    struct ifd_buf metadata; /* keys, each with its NUL */
    size_t metadata_count;
    size_t name_at;   /* of the current tensor in names */
    size_t string_at; /* where the current key began in names or metadata */
    bool has_metadata, in_string;
    unsigned fields, offsets_seen;
    char scalar[IFD_ST_SCALAR_BYTES_MAX + 1]; /* the current field name, dtype or number */
    size_t scalar_size;
};

/* An ifd_json_callback; ctx is a struct ifd_st_reader, zeroed but for data_bytes and the buffers.
 */
inferd_status ifd_st_on_event(void *ctx, enum ifd_json_event event, const char *data, size_t size,
                              bool last, inferd_error *err);

#endif
