/* SPDX-License-Identifier: Apache-2.0 */
#include "text/words.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/unicode.h"

/* Of ASCII bytes; the rest of Unicode is asked for scalar by scalar. */
enum { LETTER = 0, SPACE = 1, PUNCT = 2, BEYOND = 3 };

static inline unsigned byte_kind(uint8_t b)
{
    static const uint8_t kind[128] = {
        ['\t'] = SPACE, ['\n'] = SPACE, ['\v'] = SPACE, ['\f'] = SPACE, ['\r'] = SPACE,
        [' '] = SPACE,  ['!'] = PUNCT,  ['"'] = PUNCT,  ['#'] = PUNCT,  ['$'] = PUNCT,
        ['%'] = PUNCT,  ['&'] = PUNCT,  ['\''] = PUNCT, ['('] = PUNCT,  [')'] = PUNCT,
        ['*'] = PUNCT,  ['+'] = PUNCT,  [','] = PUNCT,  ['-'] = PUNCT,  ['.'] = PUNCT,
        ['/'] = PUNCT,  [':'] = PUNCT,  [';'] = PUNCT,  ['<'] = PUNCT,  ['='] = PUNCT,
        ['>'] = PUNCT,  ['?'] = PUNCT,  ['@'] = PUNCT,  ['['] = PUNCT,  ['\\'] = PUNCT,
        [']'] = PUNCT,  ['^'] = PUNCT,  ['_'] = PUNCT,  ['`'] = PUNCT,  ['{'] = PUNCT,
        ['|'] = PUNCT,  ['}'] = PUNCT,  ['~'] = PUNCT,
    };
    return b < 0x80 ? kind[b] : (unsigned)BEYOND;
}

void ifd_words_init(struct ifd_words *w)
{
    memset(w, 0, sizeof *w);
}

void ifd_words_fini(struct ifd_words *w)
{
    ifd_free(w->hashes);
    ifd_free(w->word);
    ifd_words_init(w);
}

inferd_status ifd_words_start(struct ifd_words *w, const struct ifd_wordpiece *model,
                              struct ifd_ids *out, inferd_error *err)
{
    size_t span = ifd_wordpiece_span(model);
    if (span > w->span) {
        uint32_t *grown = ifd_alloc_array(span, sizeof *grown);
        if (!grown)
            return ifd_fail(err, INFERD_NO_MEMORY, "out of memory while splitting a text");
        ifd_free(w->hashes);
        w->hashes = grown;
        w->span = span;
    }
    w->model = model;
    w->out = out;
    w->size = w->chars = 0;
    w->no_memory = false;
    return INFERD_OK;
}

static void emit(struct ifd_words *w, const char *word, size_t size, size_t chars)
{
    if (chars > w->model->chars_max)
        ifd_ids_push(w->out, w->model->unk);
    else
        ifd_wordpiece_encode(w->model, w->hashes, word, size, w->out);
}

/* Part of a word that goes on, or began, in another piece. */
static void gather(struct ifd_words *w, const char *part, size_t size, size_t chars)
{
    w->chars += chars;
    if (w->chars > w->model->chars_max)
        return; /* unknown already, whatever its bytes are */
    if (w->capacity - w->size < size) {
        size_t want = w->capacity ? w->capacity : 512;
        while (want - w->size < size)
            want *= 2;
        char *grown = ifd_realloc(w->word, want);
        if (!grown) {
            w->no_memory = true;
            return;
        }
        w->word = grown;
        w->capacity = want;
    }
    memcpy(w->word + w->size, part, size);
    w->size += size;
}

void ifd_words_end(struct ifd_words *w)
{
    if (w->chars && !w->no_memory)
        emit(w, w->word, w->size, w->chars);
    w->size = w->chars = 0;
}

/* The word text[begin..end) has ended; its head may have come with earlier pieces. */
static void finish(struct ifd_words *w, const char *text, size_t begin, size_t end, size_t chars)
{
    if (w->chars) {
        gather(w, text + begin, end - begin, chars);
        ifd_words_end(w);
    } else if (chars) {
        emit(w, text + begin, end - begin, chars);
    }
}

inferd_status ifd_words_feed(struct ifd_words *w, const char *text, size_t size, inferd_error *err)
{
    size_t begin = 0, chars = 0, i = 0;
    while (i < size && w->out->count <= w->out->capacity) {
        while (i < size && byte_kind((uint8_t)text[i]) == LETTER) {
            i++;
            chars++;
        }
        if (i == size)
            break;
        unsigned kind = byte_kind((uint8_t)text[i]);
        size_t n = 1;
        if (kind == BEYOND) {
            uint32_t c = 0;
            n = ifd_utf8_decode(text + i, size - i, &c);
            unsigned flags = ifd_unicode_flags(c);
            if (!(flags & (IFD_U_SPACE | IFD_U_PUNCT))) {
                i += n;
                chars++;
                continue;
            }
            kind = flags & IFD_U_SPACE ? SPACE : PUNCT;
        }
        finish(w, text, begin, i, chars);
        if (kind == PUNCT)
            emit(w, text + i, n, 1);
        i += n;
        begin = i;
        chars = 0;
    }
    if (chars)
        gather(w, text + begin, i - begin, chars);
    if (w->no_memory)
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory while splitting a text");
    return INFERD_OK;
}
