/* SPDX-License-Identifier: Apache-2.0 */
#include "text/wordpiece.h"

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t ifd_wordpiece_span(const struct ifd_wordpiece *model)
{
    return max_size(model->vocab.longest[IFD_PIECE_FIRST], model->vocab.longest[IFD_PIECE_NEXT]);
}

/* The longest piece at the start of `rest`; its size, or 0 when there is none. */
static size_t longest_piece(const struct ifd_vocab *v, enum ifd_piece kind, uint32_t *hashes,
                            const char *rest, size_t size, uint32_t *id)
{
    size_t limit = size < v->longest[kind] ? size : v->longest[kind];
    uint32_t h = ifd_vocab_hash_begin(kind);
    for (size_t i = 0; i < limit; i++) {
        h = ifd_vocab_hash_byte(h, rest[i]);
        hashes[i] = h;
    }
    for (size_t n = limit; n > 0; n--) {
        if (n < size && ((uint8_t)rest[n] & 0xC0u) == 0x80u)
            continue; /* inside a scalar */
        *id = ifd_vocab_piece(v, kind, hashes[n - 1], rest, n);
        if (*id != IFD_VOCAB_NONE)
            return n;
    }
    return 0;
}

void ifd_wordpiece_encode(const struct ifd_wordpiece *model, uint32_t *hashes, const char *word,
                          size_t size, struct ifd_ids *out)
{
    size_t before = out->count;
    enum ifd_piece kind = IFD_PIECE_FIRST;
    for (size_t at = 0; at < size;) {
        uint32_t id;
        size_t n = longest_piece(&model->vocab, kind, hashes, word + at, size - at, &id);
        if (n == 0) { /* one unknown piece makes the whole word unknown */
            out->count = before;
            ifd_ids_push(out, model->unk);
            return;
        }
        ifd_ids_push(out, id);
        at += n;
        kind = IFD_PIECE_NEXT;
    }
}
