/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/texts.h"

#include "base/mem.h"

void ifd_texts_init(struct ifd_texts *t, size_t bytes_max)
{
    *t = (struct ifd_texts){0};
    ifd_buf_init(&t->bytes, bytes_max);
}

void ifd_texts_fini(struct ifd_texts *t)
{
    ifd_buf_fini(&t->bytes);
    ifd_free(t->ends);
    *t = (struct ifd_texts){0};
}

void ifd_texts_reset(struct ifd_texts *t)
{
    t->count = 0;
    ifd_buf_reset(&t->bytes);
}

inferd_status ifd_texts_add(struct ifd_texts *t, const char *s, size_t n, inferd_error *err)
{
    ifd_buf_add(&t->bytes, s, n);
    if (t->bytes.failed)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for the request's texts");
    return INFERD_OK;
}

inferd_status ifd_texts_end(struct ifd_texts *t, size_t *size, inferd_error *err)
{
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? t->capacity * 2 : 8, bytes;
        size_t *ends =
            ifd_size_mul(capacity, sizeof(*ends), &bytes) ? ifd_realloc(t->ends, bytes) : NULL;
        if (!ends)
            return ifd_fail(err, INFERD_NO_MEMORY, "no memory for the request's texts");
        t->ends = ends;
        t->capacity = capacity;
    }
    *size = t->bytes.size - (t->count ? t->ends[t->count - 1] : 0);
    t->ends[t->count++] = t->bytes.size;
    return INFERD_OK;
}

inferd_text ifd_texts_get(const struct ifd_texts *t, uint32_t i)
{
    IFD_ASSERT(i < t->count);
    size_t begin = i ? t->ends[i - 1] : 0;
    if (t->ends[i] == begin)
        return (inferd_text){"", 0};
    return (inferd_text){t->bytes.data + begin, t->ends[i] - begin};
}

size_t ifd_texts_memory(const struct ifd_texts *t)
{
    return t->bytes.capacity + t->capacity * sizeof(*t->ends);
}
