/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as a whole safetensors file. Properties of an accepted one: header and data fill the file;
 * tensors are sorted by name, each name once, findable; each lies inside the data and its shape
 * makes its size; in the order of their places they tile the data; what is accepted is accepted
 * again, and not with one byte of data more or less.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tensor(const struct ifd_st_header *h, size_t i, uint64_t data_bytes)
{
    const struct ifd_st_tensor *t = &h->tensor[i];
    uint64_t bytes = ifd_st_dtype_bytes(t->dtype);
    size_t name = strlen(t->name);
    IFD_ASSERT(name >= 1 && name <= IFD_ST_NAME_BYTES_MAX);
    IFD_ASSERT(i == 0 || strcmp(h->tensor[i - 1].name, t->name) < 0);
    IFD_ASSERT(ifd_st_find(h, t->name) == t);
    IFD_ASSERT((unsigned)t->dtype < IFD_ST_DTYPE_COUNT && t->rank <= IFD_ST_RANK_MAX);
    IFD_ASSERT(t->begin <= t->end && t->end <= data_bytes);
    for (uint32_t d = 0; d < t->rank; d++)
        IFD_ASSERT(!__builtin_mul_overflow(bytes, t->shape[d], &bytes));
    IFD_ASSERT(bytes == t->end - t->begin);
}

/* Non-empty tensors may not share a byte, and together they are all the data. */
static void check_tiling(const struct ifd_st_header *h, uint64_t data_bytes)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < h->count; i++) {
        const struct ifd_st_tensor *a = &h->tensor[i];
        sum += a->end - a->begin;
        for (size_t j = 0; j < i && h->count <= 64; j++) {
            const struct ifd_st_tensor *b = &h->tensor[j];
            IFD_ASSERT(a->end <= b->begin || b->end <= a->begin || a->begin == a->end ||
                       b->begin == b->end);
        }
    }
    IFD_ASSERT(sum == data_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ifd_st_header h = {0}, again = {0};
    inferd_error err = {INFERD_OK, ""};
    size_t header = 0;
    inferd_status st = ifd_st_header_bytes(data, size, &header, &err);
    if (!st) {
        IFD_ASSERT(header <= size - IFD_ST_PREFIX_BYTES);
        uint64_t data_bytes = size - IFD_ST_PREFIX_BYTES - header;
        const char *json = (const char *)data + IFD_ST_PREFIX_BYTES;
        st = ifd_st_header_parse(json, header, data_bytes, &h, &err);
        if (!st) {
            for (size_t i = 0; i < h.count; i++)
                check_tensor(&h, i, data_bytes);
            check_tiling(&h, data_bytes);
            IFD_ASSERT(ifd_st_header_parse(json, header, data_bytes + 1, &again, NULL) !=
                       INFERD_OK);
            if (data_bytes > 0)
                IFD_ASSERT(ifd_st_header_parse(json, header, data_bytes - 1, &again, NULL) !=
                           INFERD_OK);
            IFD_ASSERT(ifd_st_header_parse(json, header, data_bytes, &again, NULL) == INFERD_OK);
            IFD_ASSERT(again.count == h.count);
        }
    }
    if (st)
        IFD_ASSERT(err.status == st && err.message[0] != '\0' && h.tensor == NULL);
    ifd_st_header_free(&h);
    ifd_st_header_free(&again);
    return 0;
}
