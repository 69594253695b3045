/* SPDX-License-Identifier: Apache-2.0 */
#include "text/added.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/shown.h"
#include "text/unicode.h"

#define NO_TOKEN UINT32_MAX

struct ifd_added_node {
    uint32_t child, sibling; /* node index + 1, or 0 */
    uint32_t token;          /* that ends here, or NO_TOKEN */
    uint8_t byte;
};

void ifd_added_init(struct ifd_added *a)
{
    memset(a, 0, sizeof *a);
}

void ifd_added_fini(struct ifd_added *a)
{
    for (size_t i = 0; i < a->count; i++)
        ifd_free(a->token[i].content);
    ifd_free(a->token);
    ifd_free(a->sorted);
    ifd_free(a->raw.node);
    ifd_free(a->normal.node);
    ifd_added_init(a);
}

static int compare(const char *a, size_t an, const char *b, size_t bn)
{
    int order = memcmp(a, b, an < bn ? an : bn);
    return order ? order : (an > bn) - (an < bn);
}

/* First place in `sorted` whose content is not below the one asked for. */
static size_t lower_bound(const struct ifd_added *a, const char *content, size_t size)
{
    size_t lo = 0, hi = a->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct ifd_added_token *t = &a->token[a->sorted[mid]];
        if (compare(t->content, t->size, content, size) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

uint32_t ifd_added_id(const struct ifd_added *a, const char *content, size_t size)
{
    size_t at = lower_bound(a, content, size);
    if (at == a->count)
        return UINT32_MAX;
    const struct ifd_added_token *t = &a->token[a->sorted[at]];
    return compare(t->content, t->size, content, size) == 0 ? t->id : UINT32_MAX;
}

static bool reserve(struct ifd_added *a)
{
    if (a->count < a->capacity)
        return true;
    size_t n = a->capacity ? 2 * a->capacity : 16;
    size_t bytes;
    void *p = ifd_size_mul(n, sizeof *a->token, &bytes) ? ifd_realloc(a->token, bytes) : NULL;
    if (!p)
        return false;
    a->token = p;
    p = ifd_realloc(a->sorted, n * sizeof *a->sorted);
    if (!p)
        return false;
    a->sorted = p;
    a->capacity = n;
    return true;
}

inferd_status ifd_added_put(struct ifd_added *a, const struct ifd_added_token *token,
                            inferd_error *err)
{
    size_t at = lower_bound(a, token->content, token->size);
    if (at < a->count) {
        struct ifd_added_token *known = &a->token[a->sorted[at]];
        if (compare(known->content, known->size, token->content, token->size) == 0) {
            char *keep = known->content;
            *known = *token;
            known->content = keep;
            return INFERD_OK;
        }
    }
    char *content = reserve(a) ? ifd_strndup(token->content, token->size) : NULL;
    if (!content)
        return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for added tokens");
    a->token[a->count] = *token;
    a->token[a->count].content = content;
    memmove(a->sorted + at + 1, a->sorted + at, (a->count - at) * sizeof *a->sorted);
    a->sorted[at] = (uint32_t)a->count++;
    return INFERD_OK;
}

/* The child of `parent` (index + 1; 0 is the root) for a byte: index + 1, or 0. */
static uint32_t step(const struct ifd_added_set *set, uint32_t parent, uint8_t byte)
{
    if (!parent)
        return set->root[byte];
    uint32_t n = set->node[parent - 1].child;
    while (n && set->node[n - 1].byte != byte)
        n = set->node[n - 1].sibling;
    return n;
}

static uint32_t grow(struct ifd_added_set *set, uint32_t parent, uint8_t byte)
{
    if (set->nodes == set->capacity) {
        size_t n = set->capacity ? 2 * set->capacity : 64;
        size_t bytes;
        void *p = ifd_size_mul(n, sizeof *set->node, &bytes) ? ifd_realloc(set->node, bytes) : NULL;
        if (!p || n > UINT32_MAX / 2)
            return 0;
        set->node = p;
        set->capacity = n;
    }
    uint32_t made = (uint32_t)++set->nodes;
    set->node[made - 1] = (struct ifd_added_node){.token = NO_TOKEN, .byte = byte};
    if (parent) {
        set->node[made - 1].sibling = set->node[parent - 1].child;
        set->node[parent - 1].child = made;
    } else {
        set->root[byte] = made;
    }
    return made;
}

inferd_status ifd_added_index(struct ifd_added *a, size_t index, const char *pattern, size_t size,
                              inferd_error *err)
{
    const struct ifd_added_token *t = &a->token[index];
    struct ifd_added_set *set = t->normalized ? &a->normal : &a->raw;
    if (size == 0)
        return INFERD_OK; /* normalised away: it never matches, as in the reference */
    uint32_t at = 0;
    for (size_t i = 0; i < size; i++) {
        uint32_t next = step(set, at, (uint8_t)pattern[i]);
        if (!next && !(next = grow(set, at, (uint8_t)pattern[i])))
            return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for added tokens");
        at = next;
    }
    if (set->node[at - 1].token != NO_TOKEN) {
        const struct ifd_added_token *other = &a->token[set->node[at - 1].token];
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "added tokens \"%.*s\" and \"%.*s\" match the same text",
                        IFD_SHOWN(other->content, other->size), IFD_SHOWN(t->content, t->size));
    }
    set->node[at - 1].token = (uint32_t)index;
    return INFERD_OK;
}

/* Leftmost-longest match at or after `from`; false when there is none. */
static bool find(const struct ifd_added_set *set, const char *text, size_t size, size_t from,
                 size_t *begin, size_t *end, uint32_t *token)
{
    for (size_t i = from; i < size; i++) {
        uint32_t at = set->root[(uint8_t)text[i]];
        if (!at)
            continue;
        *token = NO_TOKEN;
        for (size_t k = i + 1; at; k++) {
            if (set->node[at - 1].token != NO_TOKEN) {
                *token = set->node[at - 1].token;
                *end = k;
            }
            at = k < size ? step(set, at, (uint8_t)text[k]) : 0;
        }
        if (*token != NO_TOKEN) {
            *begin = i;
            return true;
        }
    }
    return false;
}

/* The scalar that ends at `end` (> 0); its size. */
static size_t scalar_before(const char *text, size_t end, uint32_t *c)
{
    size_t n = 1;
    while (((uint8_t)text[end - n] & 0xC0u) == 0x80u)
        n++;
    (void)ifd_utf8_decode(text + end - n, n, c);
    return n;
}

static bool word_touches(const char *text, size_t size, size_t begin, size_t end)
{
    uint32_t c = 0;
    if (begin > 0) {
        (void)scalar_before(text, begin, &c);
        if (ifd_unicode_flags(c) & IFD_U_WORD)
            return true;
    }
    if (end < size) {
        (void)ifd_utf8_decode(text + end, size - end, &c);
        if (ifd_unicode_flags(c) & IFD_U_WORD)
            return true;
    }
    return false;
}

bool ifd_added_next(struct ifd_added_walk *w)
{
    if (w->done)
        return false;
    size_t begin, end;
    uint32_t token;
    while (find(w->set, w->text, w->size, w->from, &begin, &end, &token)) {
        const struct ifd_added_token *t = &w->added->token[token];
        w->from = end;
        if (w->added->split_special && t->special)
            continue;
        if (t->single_word && word_touches(w->text, w->size, begin, end))
            continue;
        uint32_t c = 0;
        if (t->lstrip) { /* but not the spaces that the token before has taken */
            while (begin > w->rest) {
                size_t n = scalar_before(w->text, begin, &c);
                if (!ifd_unicode_is_space(c))
                    break;
                begin -= n;
            }
            if (begin < w->rest)
                begin = w->rest;
        }
        if (t->rstrip) {
            while (end < w->size) {
                size_t n = ifd_utf8_decode(w->text + end, w->size - end, &c);
                if (!ifd_unicode_is_space(c))
                    break;
                end += n;
            }
        }
        w->piece_begin = w->rest < begin ? w->rest : begin;
        w->piece_end = begin;
        w->id = t->id;
        w->rest = end;
        return true;
    }
    w->piece_begin = w->rest;
    w->piece_end = w->size;
    w->id = UINT32_MAX;
    w->done = true;
    return true;
}
