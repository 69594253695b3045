/* SPDX-License-Identifier: Apache-2.0
 *
 * safetensors.h - the header of a safetensors file: bytes in, checked tensor list out.
 *
 *     8 bytes, little endian: N | N bytes of JSON | data
 *     {"__metadata__":{"k":"v"},"name":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},...}
 *
 * Strict where the format's text is, and where a reader that is lax would have to guess:
 * - N at most 100 MB and inside the file; the JSON begins with '{' and ends with '}', after which
 *   only spaces may follow;
 * - no key twice, neither tensors nor fields nor metadata; no field but the three; each present;
 * - dtypes of whole bytes that the format names; offsets and sizes are whole numbers, no sign, no
 *   fraction; shape times item size is computed checked and is exactly end - begin;
 * - the tensors tile the data: no overlap, no hole, the last byte is the file's last.
 * docs/model-directory.md lists where the reference implementation is laxer.
 *
 * Pure functions: no I/O, no globals. Memory is proportional to the header.
 */
#ifndef IFD_MODEL_SAFETENSORS_H
#define IFD_MODEL_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define IFD_ST_PREFIX_BYTES 8u
#define IFD_ST_HEADER_BYTES_MAX 100000000u
#define IFD_ST_RANK_MAX 8u
#define IFD_ST_NAME_BYTES_MAX 512u

enum ifd_st_dtype {
    IFD_ST_BOOL,
    IFD_ST_U8,
    IFD_ST_I8,
    IFD_ST_F8_E5M2,
    IFD_ST_F8_E4M3,
    IFD_ST_I16,
    IFD_ST_U16,
    IFD_ST_F16,
    IFD_ST_BF16,
    IFD_ST_I32,
    IFD_ST_U32,
    IFD_ST_F32,
    IFD_ST_I64,
    IFD_ST_U64,
    IFD_ST_F64,
    IFD_ST_DTYPE_COUNT
};

struct ifd_st_tensor {
    const char *name; /* NUL-terminated, 1..IFD_ST_NAME_BYTES_MAX bytes, no control characters */
    enum ifd_st_dtype dtype;
    uint32_t rank;
    uint64_t shape[IFD_ST_RANK_MAX];
    uint64_t begin, end; /* in the data, which starts after the header */
    /* private */
    size_t name_at;
};

struct ifd_st_header {
    size_t count;
    struct ifd_st_tensor *tensor; /* [count], sorted by name (strcmp) */
    /* private */
    char *names;
};

const char *ifd_st_dtype_name(enum ifd_st_dtype dtype);
size_t ifd_st_dtype_bytes(enum ifd_st_dtype dtype);

/* N from the first 8 bytes of a file of file_bytes. `prefix` holds min(8, file_bytes) bytes. */
IFD_MUST_CHECK inferd_status ifd_st_header_bytes(const unsigned char *prefix, uint64_t file_bytes,
                                                 size_t *out, inferd_error *err);
/* The N bytes of JSON; data_bytes is what the file has after them. Free with ifd_st_header_free. */
IFD_MUST_CHECK inferd_status ifd_st_header_parse(const char *json, size_t size, uint64_t data_bytes,
                                                 struct ifd_st_header *out, inferd_error *err);
/* Accepts a zeroed one. */
void ifd_st_header_free(struct ifd_st_header *h);
/* By name, or NULL. */
const struct ifd_st_tensor *ifd_st_find(const struct ifd_st_header *h, const char *name);

#endif
