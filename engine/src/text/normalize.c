/* SPDX-License-Identifier: Apache-2.0 */
#include "text/normalize.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/unicode.h"

#define DROPPED 0xFFu
#define CLASSES 256u
#define SHORT_RUN 16u

void ifd_normalizer_init(struct ifd_normalizer *n)
{
    memset(n, 0, sizeof *n);
}

void ifd_normalizer_fini(struct ifd_normalizer *n)
{
    ifd_free(n->queue);
    ifd_free(n->sorted);
    ifd_normalizer_init(n);
}

static void build_ascii(struct ifd_normalizer *n, const struct ifd_normalize_options *options)
{
    n->options = *options;
    n->has_ascii = true;
    for (unsigned c = 0; c < 128; c++) {
        unsigned to = c;
        if (options->clean_text) {
            if (c == '\t' || c == '\n' || c == '\r')
                to = ' ';
            else if (c < ' ' || c == 0x7F)
                to = DROPPED;
        }
        if (options->lowercase && c >= 'A' && c <= 'Z')
            to = c | 0x20u;
        n->ascii[c] = (uint8_t)to;
    }
}

void ifd_normalizer_start(struct ifd_normalizer *n, const struct ifd_normalize_options *options,
                          const char *text, size_t size)
{
    n->text = text;
    n->size = size;
    n->at = n->head = n->ready = n->count = 0;
    if (!n->has_ascii || memcmp(&n->options, options, sizeof *options) != 0)
        build_ascii(n, options); /* kept from text to text: one tokenizer has one set of options */
}

static size_t put_final(const struct ifd_normalizer *n, uint32_t c, char *out)
{
    if (!n->options.lowercase)
        return ifd_utf8_encode(c, out);
    uint32_t low[2];
    size_t count = ifd_unicode_lower(c, low);
    size_t used = ifd_utf8_encode(low[0], out);
    if (count == 2)
        used += ifd_utf8_encode(low[1], out + used);
    return used;
}

/* Stable, by class: insertion for the usual few, counting for a run that somebody made long. */
static void close_run(struct ifd_normalizer *n)
{
    size_t begin = n->ready, size = n->count - begin;
    n->ready = n->count;
    if (size < 2)
        return;
    struct ifd_normalize_item *run = n->queue + begin;
    if (size <= SHORT_RUN) {
        for (size_t i = 1; i < size; i++) {
            struct ifd_normalize_item item = run[i];
            size_t k = i;
            for (; k > 0 && run[k - 1].ccc > item.ccc; k--)
                run[k] = run[k - 1];
            run[k] = item;
        }
        return;
    }
    size_t start[CLASSES + 1] = {0};
    for (size_t i = 0; i < size; i++)
        start[run[i].ccc + 1]++;
    for (size_t k = 1; k <= CLASSES; k++)
        start[k] += start[k - 1];
    for (size_t i = 0; i < size; i++)
        n->sorted[start[run[i].ccc]++] = run[i];
    memcpy(run, n->sorted, size * sizeof *run);
}

static bool reserve(struct ifd_normalizer *n)
{
    if (n->count < n->capacity)
        return true;
    size_t want = n->capacity ? 2 * n->capacity : 64;
    size_t bytes;
    if (!ifd_size_mul(want, sizeof *n->queue, &bytes))
        return false;
    void *p = ifd_realloc(n->queue, bytes);
    if (!p)
        return false;
    n->queue = p;
    p = ifd_realloc(n->sorted, bytes);
    if (!p)
        return false;
    n->sorted = p;
    n->capacity = want;
    return true;
}

/* One decomposed scalar into the queue. Marks go at once: removing them commutes with a stable
 * sort, and so they never take memory. But one of class 0 has first been a starter, which ends the
 * run. */
static bool push(struct ifd_normalizer *n, uint32_t c, unsigned flags)
{
    unsigned ccc = ifd_unicode_ccc(c);
    if (ccc == 0)
        close_run(n);
    if (flags & IFD_U_MARK)
        return true;
    if (!reserve(n))
        return false;
    n->queue[n->count++] = (struct ifd_normalize_item){.c = c, .ccc = ccc};
    if (ccc == 0)
        n->ready = n->count;
    return true;
}

static bool push_decomposed(struct ifd_normalizer *n, uint32_t c, unsigned flags)
{
    uint32_t to[4];
    size_t count = ifd_unicode_decompose(c, to);
    if (count == 1 && to[0] == c)
        return push(n, c, flags);
    for (size_t i = 0; i < count; i++)
        if (!push(n, to[i], ifd_unicode_flags(to[i])))
            return false;
    return true;
}

/* Plain bytes from n->at; returns how many were written. Only with an empty queue. */
static size_t copy_ascii(struct ifd_normalizer *n, char *out, size_t room)
{
    const char *in = n->text + n->at;
    size_t limit = n->size - n->at < room ? n->size - n->at : room;
    size_t used = 0, i = 0;
    while (i < limit && (uint8_t)in[i] < 0x80) {
        uint8_t to = n->ascii[(uint8_t)in[i++]];
        out[used] = (char)to;
        used += to != DROPPED;
    }
    n->at += i;
    return used;
}

/* One scalar beyond ASCII (or an ASCII one after an open run). At most 24 bytes of output. */
static bool take_scalar(struct ifd_normalizer *n, char *out, size_t *used)
{
    uint32_t c = 0;
    n->at += ifd_utf8_decode(n->text + n->at, n->size - n->at, &c);
    unsigned flags = ifd_unicode_flags(c);
    if (n->options.clean_text) {
        if (flags & IFD_U_DROP)
            return true;
        if (flags & IFD_U_BLANK) {
            c = ' ';
            flags = IFD_U_BLANK | IFD_U_SPACE;
        }
    }
    bool cjk = n->options.handle_chinese_chars && (flags & IFD_U_CJK);
    if (n->options.strip_accents) {
        if (cjk && !push(n, ' ', 0))
            return false;
        if (!push_decomposed(n, c, flags))
            return false;
        return !cjk || push(n, ' ', 0);
    }
    if (cjk)
        out[(*used)++] = ' ';
    *used += put_final(n, c, out + *used);
    if (cjk)
        out[(*used)++] = ' ';
    return true;
}

inferd_status ifd_normalizer_next(struct ifd_normalizer *n, char *out, size_t room, size_t *used,
                                  inferd_error *err)
{
    size_t have = 0;
    while (room - have >= IFD_NORMALIZE_ROOM) {
        if (n->head < n->ready) {
            have += put_final(n, n->queue[n->head++].c, out + have);
        } else if (n->head == n->count && n->at < n->size && (uint8_t)n->text[n->at] < 0x80) {
            n->head = n->ready = n->count = 0;
            have += copy_ascii(n, out + have, room - have);
        } else if (n->at < n->size) {
            if (n->head == n->count)
                n->head = n->ready = n->count = 0;
            if (!take_scalar(n, out, &have))
                return ifd_fail(err, INFERD_NO_MEMORY, "out of memory while normalising a text");
        } else if (n->ready < n->count) {
            close_run(n);
        } else {
            break;
        }
    }
    *used = have;
    return INFERD_OK;
}
