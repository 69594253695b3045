/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void ifd_buf_init(struct ifd_buf *b, size_t max_bytes)
{
    *b = (struct ifd_buf){.max = max_bytes};
}

void ifd_buf_fini(struct ifd_buf *b)
{
    ifd_free(b->data);
    *b = (struct ifd_buf){0};
}

void ifd_buf_reset(struct ifd_buf *b)
{
    b->size = 0;
    b->failed = false;
}

void ifd_buf_consume(struct ifd_buf *b, size_t n)
{
    IFD_ASSERT(n <= b->size);
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->size - n);
    b->size -= n;
}

char *ifd_buf_reserve(struct ifd_buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (n > b->max || b->size > b->max - n) {
        b->failed = true;
        return NULL;
    }
    size_t need = b->size + n;
    if (need > b->capacity || !b->data) {
        size_t capacity = b->capacity ? b->capacity : 256;
        while (capacity < need)
            capacity += capacity / 2 + 64;
        if (capacity > b->max)
            capacity = b->max;
        char *data = ifd_realloc(b->data, capacity);
        if (!data) {
            b->failed = true;
            return NULL;
        }
        b->data = data;
        b->capacity = capacity;
    }
    return b->data + b->size;
}

void ifd_buf_commit(struct ifd_buf *b, size_t n)
{
    IFD_ASSERT(n <= b->capacity - b->size);
    b->size += n;
}

void ifd_buf_add(struct ifd_buf *b, const void *bytes, size_t n)
{
    char *to = ifd_buf_reserve(b, n);
    if (!to || n == 0)
        return;
    memcpy(to, bytes, n);
    b->size += n;
}

void ifd_buf_add_str(struct ifd_buf *b, const char *s)
{
    ifd_buf_add(b, s, strlen(s));
}

void ifd_buf_add_char(struct ifd_buf *b, char c)
{
    ifd_buf_add(b, &c, 1);
}

void ifd_buf_vprintf(struct ifd_buf *b, const char *fmt, va_list args)
{
    char small[256];
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof(small), fmt, args);
    if (n >= 0 && (size_t)n < sizeof(small)) {
        ifd_buf_add(b, small, (size_t)n);
    } else if (n >= 0) {
        char *to = ifd_buf_reserve(b, (size_t)n + 1); /* vsnprintf wants room for its NUL */
        if (to) {
            vsnprintf(to, (size_t)n + 1, fmt, again);
            b->size += (size_t)n;
        }
    }
    va_end(again);
}

void ifd_buf_printf(struct ifd_buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    ifd_buf_vprintf(b, fmt, args);
    va_end(args);
}
