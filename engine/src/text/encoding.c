/* SPDX-License-Identifier: Apache-2.0 */
#include "text/encoding.h"

#include <string.h>

#include "base/mem.h"

#define IDS_LEAST 512u
#define SEQUENCES_LEAST 8u

void ifd_encoding_fini(struct ifd_encoding *e)
{
    ifd_free(e->ids);
    ifd_free(e->offsets);
    ifd_free(e->first);
    ifd_free(e->results);
    ifd_free(e->second);
    *e = (struct ifd_encoding){0};
}

size_t ifd_encoding_memory(const struct ifd_encoding *e)
{
    return e->ids_capacity * sizeof(*e->ids) +
           e->capacity *
               (sizeof(*e->offsets) + sizeof(*e->first) + sizeof(*e->second) + sizeof(*e->results));
}

/* The array with room for `count` elements, its content kept; NULL when out of memory. */
static void *grown(void *array, size_t count, size_t size)
{
    size_t bytes;
    return ifd_size_mul(count, size, &bytes) ? ifd_realloc(array, bytes) : NULL;
}

inferd_status ifd_encoding_reserve(struct ifd_encoding *e, size_t sequences, inferd_error *err)
{
    if (sequences <= e->capacity)
        return INFERD_OK;
    const size_t capacity = sequences < SEQUENCES_LEAST ? SEQUENCES_LEAST : sequences;
    uint32_t *offsets = grown(e->offsets, capacity + 1, sizeof(*offsets));
    if (offsets)
        e->offsets = offsets;
    uint32_t *first = grown(e->first, capacity + 1, sizeof(*first));
    if (first)
        e->first = first;
    uint32_t *second = grown(e->second, capacity, sizeof(*second));
    if (second)
        e->second = second;
    inferd_result *results = grown(e->results, capacity, sizeof(*results));
    if (results)
        e->results = results;
    if (!offsets || !first || !second || !results)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for %zu texts", sequences);
    e->capacity = capacity;
    return INFERD_OK;
}

static inferd_status reserve_ids(struct ifd_encoding *e, size_t ids, inferd_error *err)
{
    if (ids <= e->ids_capacity)
        return INFERD_OK;
    size_t capacity = e->ids_capacity ? e->ids_capacity : IDS_LEAST;
    while (capacity < ids)
        capacity += capacity / 2;
    int32_t *now = grown(e->ids, capacity, sizeof(*now));
    if (!now)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for %zu token ids", ids);
    e->ids = now;
    e->ids_capacity = capacity;
    return INFERD_OK;
}

/* A text that is being encoded: its ids begin at e->ids[begin]. */
struct place {
    struct ifd_encoding *e;
    const struct ifd_encoding_rules *rules;
    struct ifd_tokenizer_scratch *scratch;
    inferd_text text;
    uint32_t number; /* of the text */
    size_t begin, count;
};

static inferd_status too_long(const struct place *p, inferd_error *err)
{
    return ifd_fail(err, INFERD_TEXT_TOO_LONG,
                    "inputs[%u] has more than %u tokens; shorten it, or ask for another "
                    "truncation than \"none\"",
                    p->number, p->rules->max_length);
}

/* All tokens of a text that has more than max_length: the same work again, with room. Hardly a text
 * has more tokens than bytes, so the first or second try has enough. */
static inferd_status encode_whole(struct place *p, inferd_error *err)
{
    bool cut = true;
    for (size_t room = p->text.size / 2 + p->rules->max_length; cut; room *= 2) {
        if (room > UINT32_MAX / 4)
            return ifd_fail(err, INFERD_TEXT_TOO_LONG, "inputs[%u] has too many tokens", p->number);
        inferd_status st = reserve_ids(p->e, p->begin + room, err);
        if (!st)
            st = ifd_tokenizer_encode(p->rules->tokenizer, p->scratch, p->text.data, p->text.size,
                                      (uint32_t)room, p->e->ids + p->begin, &p->count, &cut, err);
        if (st)
            return st;
    }
    return INFERD_OK;
}

/* Keep `head` tokens from the beginning and fill up from the end; the special ones stay. */
static void keep_ends(struct place *p, uint32_t head)
{
    int32_t *ids = p->e->ids + p->begin;
    const size_t tail = p->rules->max_length - 1 - head; /* with the closing token */
    memmove(ids + 1 + head, ids + p->count - tail, tail * sizeof(*ids));
    p->count = p->rules->max_length;
}

/* Windows of max_length tokens, special ones included, side by side; the last one ends where the
 * text ends, and so has as much context as the others. */
static inferd_status lay_windows(struct place *p, inferd_error *err)
{
    struct ifd_encoding *e = p->e;
    const size_t width = p->rules->max_length - 2u, content = p->count - 2;
    const size_t windows = (content + width - 1) / width;
    if (windows > p->rules->sequences_max - e->sequences)
        return ifd_fail(err, INFERD_TOO_MANY_INPUTS,
                        "inputs[%u] has %zu tokens, which are %zu windows; windows count against "
                        "the %u inputs that a request may have",
                        p->number, content, windows, p->rules->sequences_max);
    inferd_status st = ifd_encoding_reserve(e, e->sequences + windows, err);
    if (!st)
        st = reserve_ids(e, p->begin + p->count + windows * p->rules->max_length, err);
    if (st)
        return st;
    const int32_t *raw = e->ids + p->begin;
    const int32_t open = raw[0], close = raw[p->count - 1];
    int32_t *out = e->ids + p->begin + p->count;
    for (size_t i = 0; i < windows; i++, out += width + 2) {
        const size_t at = i + 1 < windows ? i * width : content - width;
        out[0] = open;
        memcpy(out + 1, raw + 1 + at, width * sizeof(*out));
        out[width + 1] = close;
        e->offsets[e->sequences + i] = (uint32_t)(p->begin + i * (width + 2));
    }
    e->sequences += (uint32_t)windows - 1; /* the caller counts one */
    p->count = windows * (width + 2);
    memmove(e->ids + p->begin, out - p->count, p->count * sizeof(*out));
    return INFERD_OK;
}

/* The text did not fit, and its beginning is not what is wanted. */
static inferd_status encode_long(struct place *p, bool *cut, inferd_error *err)
{
    const uint8_t how = p->rules->truncation;
    if (how == IFD_TRUNCATION_NONE)
        return too_long(p, err);
    inferd_status st = encode_whole(p, err);
    if (st)
        return st;
    if (how == IFD_TRUNCATION_WINDOW_MEAN || how == IFD_TRUNCATION_WINDOW_MAX) {
        *cut = false;
        return lay_windows(p, err);
    }
    keep_ends(p, how == IFD_TRUNCATION_LEFT ? 0 : (p->rules->max_length - 2u) / 4);
    return INFERD_OK;
}

/* How many tokens of a pair stay, of a and b without special ones: PyPI `tokenizers`, strategy
 * longest_first. There are more than `room` of them. */
static void share_room(size_t room, size_t *a, size_t *b)
{
    const bool swap = *a > *b;
    size_t less = swap ? *b : *a;
    size_t more = less > room || room - less < less ? less : room - less;
    if (less + more > room) {
        less = room / 2;
        more = less + room % 2;
    }
    *a = swap ? more : less;
    *b = swap ? less : more;
}

/* `text` behind the one that is encoded, as one sequence. *cut: in, whether that one was cut; out,
 * whether the pair was. *second: where the second text begins. */
static inferd_status encode_pair(struct place *p, inferd_text text, bool *cut, uint32_t *second,
                                 inferd_error *err)
{
    const uint32_t most = p->rules->max_length;
    const bool left = p->rules->truncation == IFD_TRUNCATION_LEFT;
    struct place q = *p;
    bool cut_q = false;
    q.text = text;
    q.begin = p->begin + p->count;
    inferd_status st = reserve_ids(p->e, q.begin + most, err);
    if (st)
        return st;
    st = ifd_tokenizer_encode(p->rules->tokenizer, p->scratch, text.data, text.size, most,
                              p->e->ids + q.begin, &q.count, &cut_q, err);
    if (st)
        return ifd_fail_prefix(err, "the second text of inputs[%u]", p->number);
    /* the end of a long text, and which of two is the longer, take all of their tokens to know */
    const bool again = *cut && (cut_q || left);
    if (again) {
        st = encode_whole(p, err);
        q.begin = p->begin + p->count;
    }
    if (!st && (again || (cut_q && left)))
        st = encode_whole(&q, err);
    if (st)
        return st;
    const size_t a = p->count - 2, b = q.count - 2, room = most - 3u;
    /* of a text that goes on, one more than was encoded is enough to be the longer one */
    size_t keep_a = a + (*cut && !again), keep_b = b + (cut_q && !again && !left);
    *cut = keep_a + keep_b > room;
    if (*cut && p->rules->truncation == IFD_TRUNCATION_NONE)
        return too_long(p, err);
    if (*cut)
        share_room(room, &keep_a, &keep_b);
    int32_t *ids = p->e->ids + p->begin, *of_q = p->e->ids + q.begin;
    const int32_t close = ids[p->count - 1];
    memmove(ids + 1, ids + 1 + (left ? a - keep_a : 0), keep_a * sizeof(*ids));
    ids[1 + keep_a] = close;
    memmove(ids + 2 + keep_a, of_q + 1 + (left ? b - keep_b : 0), keep_b * sizeof(*ids));
    ids[2 + keep_a + keep_b] = close;
    p->count = 3 + keep_a + keep_b;
    *second = (uint32_t)(2 + keep_a);
    return INFERD_OK;
}

/* Of what is no pair: that all its tokens are before the second text. */
static void mark_singles(struct ifd_encoding *e, ifd_text_at *second, const void *texts)
{
    for (uint32_t i = 0; i < e->texts; i++)
        for (uint32_t s = e->first[i]; s < e->first[i + 1] && !second(texts, i).data; s++)
            e->second[s] = e->offsets[s + 1] - e->offsets[s];
}

/* Text i as one or several sequences behind those that there are. */
static inferd_status encode_text(struct place *p, inferd_text second, inferd_error *err)
{
    struct ifd_encoding *e = p->e;
    const struct ifd_encoding_rules *rules = p->rules;
    const uint32_t i = p->number, first = e->sequences;
    bool cut = false;
    inferd_status st =
        ifd_tokenizer_encode(rules->tokenizer, p->scratch, p->text.data, p->text.size,
                             rules->max_length, e->ids + p->begin, &p->count, &cut, err);
    if (st)
        return ifd_fail_prefix(err, "inputs[%u]", i);
    e->first[i] = first;
    e->offsets[first] = (uint32_t)p->begin;
    if (second.data)
        st = encode_pair(p, second, &cut, &e->second[first], err);
    else if (cut && rules->truncation != IFD_TRUNCATION_RIGHT)
        st = encode_long(p, &cut, err);
    if (st)
        return st;
    e->sequences++;
    e->results[i].tokens = (uint32_t)p->count;
    e->results[i].truncated = cut;
    return INFERD_OK;
}

inferd_status ifd_encoding_fill(struct ifd_encoding *e, const struct ifd_encoding_rules *rules,
                                struct ifd_tokenizer_scratch *scratch, ifd_text_at *at,
                                const void *texts, uint32_t count, inferd_error *err)
{
    size_t total = 0;
    e->texts = e->sequences = 0;
    e->has_pairs = rules->second != NULL;
    inferd_status st = ifd_encoding_reserve(e, count, err);
    for (uint32_t i = 0; i < count && !st; i++) {
        struct place p = {.e = e,
                          .rules = rules,
                          .scratch = scratch,
                          .text = at(texts, i),
                          .number = i,
                          .begin = total};
        inferd_text second = {NULL, 0};
        if (rules->second)
            second = rules->second(texts, i);
        if ((st = ifd_encoding_reserve(e, e->sequences + (size_t)(count - i), err)) ||
            (st = reserve_ids(e, total + rules->max_length, err)) ||
            (st = encode_text(&p, second, err)))
            break;
        total += p.count;
    }
    if (st)
        return st;
    e->first[count] = e->sequences;
    e->offsets[e->sequences] = (uint32_t)total;
    e->texts = count;
    if (e->has_pairs)
        mark_singles(e, rules->second, texts);
    return INFERD_OK;
}
