/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree lives in chunks that only grow: nodes and texts are carved from the newest, and all go
 * together. A text that comes in pieces is built at the end of a chunk, where nothing else is
 * carved until it is complete, and moves once to a larger chunk if it outgrows this one.
 *
 * Duplicate keys: the members of each object are sorted by hash, then key, when it closes. That is
 * n log n for a vocabulary of a million keys and also for keys that were chosen to collide.
 */
#include "base/jsondoc.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/pace.h"

#define CHUNK_FIRST 1024u
#define CHUNK_LARGE ((size_t)256 << 10)

struct chunk {
    struct chunk *next;
    _Alignas(16) char bytes[];
};

struct ifd_jsondoc {
    const struct ifd_json_node *root;
    struct chunk *chunks;
    char *at, *end;   /* free room of the newest chunk */
    size_t used, max; /* bytes taken from the heap, this struct included */
    size_t chunk_next;
};

struct builder {
    struct ifd_jsondoc *doc;
    struct ifd_json_node *open[IFD_JSON_DEPTH_MAX];
    struct ifd_json_node *last_child[IFD_JSON_DEPTH_MAX];
    unsigned depth;
    const char *key; /* of the value that comes next */
    size_t key_size;
    char *text; /* being built, at doc->at - text_size; NULL when there is none */
    size_t text_size;
};

struct sort_item {
    uint64_t hash;
    const struct ifd_json_node *node;
};

static inferd_status too_large(const struct ifd_jsondoc *d, inferd_error *err)
{
    return ifd_fail(err, INFERD_NO_MEMORY,
                    "the JSON tree needs more than the %zu bytes it may take", d->max);
}

/* A new chunk with room for `need` bytes. */
static inferd_status add_chunk(struct ifd_jsondoc *d, size_t need, inferd_error *err)
{
    size_t left = d->max - d->used, smallest;
    if (!ifd_size_add(need, sizeof(struct chunk), &smallest) || smallest > left)
        return too_large(d, err);
    size_t size = d->chunk_next > smallest ? d->chunk_next : smallest;
    if (size > left)
        size = left;
    ifd_pace();
    struct chunk *c = ifd_alloc(size);
    if (!c)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for a JSON tree");
    c->next = d->chunks;
    d->chunks = c;
    d->used += size;
    d->at = c->bytes;
    d->end = (char *)c + size;
    if (d->chunk_next < CHUNK_LARGE)
        d->chunk_next *= 2;
    return INFERD_OK;
}

static inferd_status new_node(struct ifd_jsondoc *d, struct ifd_json_node **out, inferd_error *err)
{
    const size_t align = _Alignof(struct ifd_json_node);
    size_t pad = (size_t)(-(uintptr_t)d->at & (align - 1));
    if ((size_t)(d->end - d->at) < pad + sizeof(**out)) {
        inferd_status s = add_chunk(d, sizeof(**out), err);
        if (s)
            return s;
        pad = 0;
    }
    d->at += pad;
    *out = (struct ifd_json_node *)(void *)d->at;
    d->at += sizeof(**out);
    **out = (struct ifd_json_node){0};
    return INFERD_OK;
}

/* One more piece of the text being built; `last` ends it with a NUL. */
static inferd_status add_text(struct builder *b, const char *data, size_t size, bool last,
                              inferd_error *err)
{
    struct ifd_jsondoc *d = b->doc;
    if (!b->text) {
        b->text = d->at;
        b->text_size = 0;
    }
    size_t need = size + last;
    if ((size_t)(d->end - d->at) < need) {
        size_t whole;
        if (!ifd_size_add(b->text_size, need, &whole))
            return too_large(d, err);
        /* More than is needed for a text that grows, so that it is not moved for each piece. */
        size_t room = last ? whole : whole + whole / 2;
        if (room + sizeof(struct chunk) > d->max - d->used)
            room = whole;
        const char *old = b->text;
        inferd_status s = add_chunk(d, room, err);
        if (s)
            return s;
        if (b->text_size)
            memcpy(d->at, old, b->text_size);
        b->text = d->at;
        d->at += b->text_size;
    }
    if (size)
        memcpy(d->at, data, size);
    d->at += size;
    b->text_size += size;
    if (last)
        *d->at++ = '\0';
    return INFERD_OK;
}

/* ---- duplicate keys ------------------------------------------------------------------------ */

static uint64_t hash_bytes(const char *s, size_t n)
{
    uint64_t h = 0xCBF29CE484222325u; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001B3u;
    return h;
}

static int compare_keys(const struct sort_item *a, const struct sort_item *b)
{
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    const struct ifd_json_node *x = a->node, *y = b->node;
    if (x->key_size != y->key_size)
        return x->key_size < y->key_size ? -1 : 1;
    return memcmp(x->key, y->key, x->key_size);
}

static void merge_runs(const struct sort_item *from, size_t middle, size_t n, struct sort_item *to)
{
    size_t i = 0, j = middle;
    for (size_t k = 0; k < n; k++) {
        bool left = j >= n || (i < middle && compare_keys(&from[i], &from[j]) <= 0);
        to[k] = left ? from[i++] : from[j++];
    }
}

/* Bottom-up merge sort between `a` and `b`, both [n]; returns the one that ends up sorted. */
static struct sort_item *sort_members(struct sort_item *a, struct sort_item *b, size_t n)
{
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t i = 0; i < n; i += 2 * width) {
            size_t left = n - i;
            size_t size = left < 2 * width ? left : 2 * width;
            merge_runs(a + i, width < size ? width : size, size, b + i);
        }
        ifd_pace();
        struct sort_item *swap = a;
        a = b;
        b = swap;
    }
    return a;
}

static inferd_status duplicate(const struct ifd_json_node *node, inferd_error *err)
{
    size_t shown = node->key_size;
    if (shown > 80)
        for (shown = 80; shown && ((unsigned char)node->key[shown] & 0xC0u) == 0x80u;)
            shown--;
    return ifd_fail(err, INFERD_INVALID_JSON, "an object has the key \"%.*s\" twice", (int)shown,
                    node->key);
}

static inferd_status check_few(const struct ifd_json_node *object, inferd_error *err)
{
    for (const struct ifd_json_node *a = object->first; a; a = a->next)
        for (const struct ifd_json_node *b = object->first; b != a; b = b->next)
            if (a->key_size == b->key_size && memcmp(a->key, b->key, a->key_size) == 0)
                return duplicate(a, err);
    return INFERD_OK;
}

static inferd_status check_members(const struct ifd_jsondoc *d, const struct ifd_json_node *object,
                                   inferd_error *err)
{
    size_t n = object->size, bytes;
    if (n <= 8)
        return check_few(object, err);
    if (!ifd_size_mul(n, 2 * sizeof(struct sort_item), &bytes) || bytes > d->max - d->used)
        return too_large(d, err);
    struct sort_item *items = ifd_alloc(bytes);
    if (!items)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory to compare %zu keys", n);
    size_t i = 0;
    for (const struct ifd_json_node *m = object->first; m; m = m->next)
        items[i++] = (struct sort_item){hash_bytes(m->key, m->key_size), m};
    const struct sort_item *sorted = sort_members(items, items + n, n);
    inferd_status status = INFERD_OK;
    for (i = 1; i < n && !status; i++)
        if (compare_keys(&sorted[i - 1], &sorted[i]) == 0)
            status = duplicate(sorted[i].node, err);
    ifd_free(items);
    return status;
}

/* ---- building ------------------------------------------------------------------------------ */

static inferd_status add_value(struct builder *b, enum ifd_json_type type,
                               struct ifd_json_node **out, inferd_error *err)
{
    struct ifd_json_node *node;
    inferd_status s = new_node(b->doc, &node, err);
    if (s)
        return s;
    node->type = type;
    node->key = b->key;
    node->key_size = b->key_size;
    b->key = NULL;
    b->key_size = 0;
    if (b->depth) {
        struct ifd_json_node *parent = b->open[b->depth - 1];
        struct ifd_json_node **last = &b->last_child[b->depth - 1];
        if (*last)
            (*last)->next = node;
        else
            parent->first = node;
        *last = node;
        parent->size++;
    } else {
        b->doc->root = node;
    }
    *out = node;
    return INFERD_OK;
}

static inferd_status open_value(struct builder *b, enum ifd_json_type type, inferd_error *err)
{
    struct ifd_json_node *node;
    inferd_status s = add_value(b, type, &node, err);
    if (s)
        return s;
    b->open[b->depth] = node;
    b->last_child[b->depth] = NULL;
    b->depth++;
    return INFERD_OK;
}

static inferd_status text_event(struct builder *b, enum ifd_json_event event, const char *data,
                                size_t size, bool last, inferd_error *err)
{
    inferd_status s = add_text(b, data, size, last, err);
    if (s || !last)
        return s;
    const char *text = b->text;
    size_t text_size = b->text_size;
    b->text = NULL;
    if (event == IFD_JSON_KEY) {
        b->key = text;
        b->key_size = text_size;
        return INFERD_OK;
    }
    struct ifd_json_node *node;
    s = add_value(b, event == IFD_JSON_STRING ? IFD_JSON_T_STRING : IFD_JSON_T_NUMBER, &node, err);
    if (s)
        return s;
    node->text = text;
    node->size = text_size;
    return INFERD_OK;
}

static inferd_status on_event(void *ctx, enum ifd_json_event event, const char *data, size_t size,
                              bool last, inferd_error *err)
{
    struct builder *b = ctx;
    struct ifd_json_node *node;
    inferd_status s;
    switch (event) {
    case IFD_JSON_OBJECT_BEGIN:
        return open_value(b, IFD_JSON_T_OBJECT, err);
    case IFD_JSON_ARRAY_BEGIN:
        return open_value(b, IFD_JSON_T_ARRAY, err);
    case IFD_JSON_OBJECT_END:
        return check_members(b->doc, b->open[--b->depth], err);
    case IFD_JSON_ARRAY_END:
        b->depth--;
        return INFERD_OK;
    case IFD_JSON_KEY:
    case IFD_JSON_STRING:
    case IFD_JSON_NUMBER:
        return text_event(b, event, data, size, last, err);
    case IFD_JSON_NULL:
        return add_value(b, IFD_JSON_T_NULL, &node, err);
    default:
        s = add_value(b, IFD_JSON_T_BOOL, &node, err);
        if (!s)
            node->boolean = event == IFD_JSON_TRUE;
        return s;
    }
}

inferd_status ifd_jsondoc_parse(const char *bytes, size_t n, size_t memory_max,
                                struct ifd_jsondoc **out, inferd_error *err)
{
    if (memory_max < sizeof(struct ifd_jsondoc))
        return ifd_fail(err, INFERD_NO_MEMORY, "%zu bytes are too few for any JSON tree",
                        memory_max);
    struct ifd_jsondoc *d = ifd_zalloc(sizeof(*d));
    if (!d)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for a JSON tree");
    d->max = memory_max;
    d->used = sizeof(*d);
    d->chunk_next = CHUNK_FIRST;
    struct builder b = {.doc = d};
    struct ifd_json p;
    ifd_json_init(&p, IFD_JSON_DEPTH_MAX, on_event, &b);
    inferd_status s = ifd_json_feed(&p, bytes, n, err);
    if (!s)
        s = ifd_json_finish(&p, err);
    if (s) {
        ifd_jsondoc_free(d);
        return s;
    }
    *out = d;
    return INFERD_OK;
}

void ifd_jsondoc_free(struct ifd_jsondoc *doc)
{
    if (!doc)
        return;
    for (struct chunk *c = doc->chunks; c;) {
        struct chunk *next = c->next;
        ifd_free(c);
        c = next;
    }
    ifd_free(doc);
}

const struct ifd_json_node *ifd_jsondoc_root(const struct ifd_jsondoc *doc)
{
    return doc->root;
}

/* ---- reading ------------------------------------------------------------------------------- */

const struct ifd_json_node *ifd_json_get(const struct ifd_json_node *object, const char *key)
{
    if (!object || object->type != IFD_JSON_T_OBJECT)
        return NULL;
    size_t n = strlen(key);
    for (const struct ifd_json_node *m = object->first; m; m = m->next)
        if (m->key_size == n && memcmp(m->key, key, n) == 0)
            return m;
    return NULL;
}

bool ifd_json_is_str(const struct ifd_json_node *node, const char *s)
{
    return node && node->type == IFD_JSON_T_STRING && node->size == strlen(s) &&
           memcmp(node->text, s, node->size) == 0;
}

bool ifd_json_u64(const struct ifd_json_node *node, uint64_t *out)
{
    if (!node || node->type != IFD_JSON_T_NUMBER)
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < node->size; i++) {
        char c = node->text[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(c - '0'), &v))
            return false;
    }
    *out = v;
    return true;
}

bool ifd_json_double(const struct ifd_json_node *node, double *out)
{
    if (!node || node->type != IFD_JSON_T_NUMBER)
        return false;
    /* The process's locale may have another decimal point; "C" costs glibc no allocation. */
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c)
        return false;
    double v = strtod_l(node->text, NULL, c);
    freelocale(c);
    if (!isfinite(v))
        return false;
    *out = v;
    return true;
}
