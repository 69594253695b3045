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
    t->has_pairs = t->in_second = false;
    ifd_buf_reset(&t->bytes);
}

inferd_status ifd_texts_add(struct ifd_texts *t, const char *s, size_t n, inferd_error *err)
{
    ifd_buf_add(&t->bytes, s, n);
    if (t->bytes.failed)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for the request's texts");
    return INFERD_OK;
}

static size_t begin_of(const struct ifd_texts *t, uint32_t i)
{
    return i ? t->ends[i - 1].all : 0;
}

inferd_status ifd_texts_end(struct ifd_texts *t, size_t *size, inferd_error *err)
{
    if (t->in_second) { /* its place is there */
        t->in_second = false;
        *size = t->bytes.size - t->ends[t->count].first;
        t->ends[t->count++].all = t->bytes.size;
        return INFERD_OK;
    }
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? t->capacity * 2 : 8, bytes;
        struct ifd_text_end *ends =
            ifd_size_mul(capacity, sizeof(*ends), &bytes) ? ifd_realloc(t->ends, bytes) : NULL;
        if (!ends)
            return ifd_fail(err, INFERD_NO_MEMORY, "no memory for the request's texts");
        t->ends = ends;
        t->capacity = capacity;
    }
    *size = t->bytes.size - begin_of(t, t->count);
    t->ends[t->count++] = (struct ifd_text_end){.first = SIZE_MAX, .all = t->bytes.size};
    return INFERD_OK;
}

void ifd_texts_begin_second(struct ifd_texts *t)
{
    IFD_ASSERT(t->count > 0 && !t->in_second && t->ends[t->count - 1].first == SIZE_MAX);
    t->count--;
    t->ends[t->count].first = t->ends[t->count].all;
    t->in_second = t->has_pairs = true;
}

static inferd_text text_between(const struct ifd_texts *t, size_t begin, size_t end)
{
    if (end == begin)
        return (inferd_text){"", 0};
    return (inferd_text){t->bytes.data + begin, end - begin};
}

inferd_text ifd_texts_get(const struct ifd_texts *t, uint32_t i)
{
    IFD_ASSERT(i < t->count);
    const struct ifd_text_end *end = &t->ends[i];
    return text_between(t, begin_of(t, i), end->first < end->all ? end->first : end->all);
}

inferd_text ifd_texts_second(const struct ifd_texts *t, uint32_t i)
{
    IFD_ASSERT(i < t->count);
    const struct ifd_text_end *end = &t->ends[i];
    return end->first == SIZE_MAX ? (inferd_text){NULL, 0} : text_between(t, end->first, end->all);
}

size_t ifd_texts_memory(const struct ifd_texts *t)
{
    return t->bytes.capacity + t->capacity * sizeof(*t->ends);
}
