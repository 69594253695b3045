/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_json.c - properties of the JSON parser and writer.
 *
 * The first byte of the input chooses the nesting limit and seeds the cuts; the rest is the text.
 *   1. Whole, byte by byte and cut at random give the same events, verdict and offset.
 *   2. Texts in events are well-formed UTF-8; numbers have the alphabet of a number.
 *   3. Begins and ends balance; the depth stays within the limit.
 *   4. What is accepted, written again by jsonout, is accepted with the same events.
 *   5. jsondoc agrees: it accepts the same texts but for duplicate keys.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/jsondoc.h"
#include "base/jsonout.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(cond) IFD_ASSERT(cond)

/* Everything a parse did, pieces joined: a byte for each event, and for texts a size and the bytes.
 */
struct trace {
    struct ifd_buf bytes;
    struct ifd_buf text; /* being put together */
    uint32_t depth, limit;
    inferd_status status;
    uint64_t offset;
    struct ifd_buf *copy; /* where the document is written again, or NULL */
    bool after_value;     /* in `copy`, a comma is due before the next key or item */
};

static void check_text(const struct trace *t, enum ifd_json_event event)
{
    const char *s = t->text.data ? t->text.data : "";
    if (event != IFD_JSON_NUMBER) {
        REQUIRE(ifd_utf8_check(s, t->text.size) == t->text.size);
        return;
    }
    REQUIRE(t->text.size > 0);
    for (size_t i = 0; i < t->text.size; i++)
        REQUIRE(s[i] && strchr("0123456789+-.eE", s[i]));
    REQUIRE(s[t->text.size - 1] >= '0' && s[t->text.size - 1] <= '9');
}

static void copy_event(struct trace *t, enum ifd_json_event event)
{
    static const char *const marks[] = {"{",  "}",  "[",    "]",     NULL,
                                        NULL, NULL, "true", "false", "null"};
    struct ifd_buf *b = t->copy;
    bool end = event == IFD_JSON_OBJECT_END || event == IFD_JSON_ARRAY_END;
    if (t->after_value && !end)
        ifd_buf_add_char(b, ',');
    const char *s = t->text.data ? t->text.data : "";
    if (event == IFD_JSON_NUMBER)
        ifd_buf_add(b, s, t->text.size);
    else if (event == IFD_JSON_STRING || event == IFD_JSON_KEY)
        ifd_jsonout_str(b, s, t->text.size);
    else
        ifd_buf_add_str(b, marks[event]);
    if (event == IFD_JSON_KEY)
        ifd_buf_add_char(b, ':');
    t->after_value =
        event != IFD_JSON_KEY && event != IFD_JSON_OBJECT_BEGIN && event != IFD_JSON_ARRAY_BEGIN;
}

static inferd_status on_event(void *ctx, enum ifd_json_event event, const char *data, size_t size,
                              bool last, inferd_error *err)
{
    (void)err;
    struct trace *t = ctx;
    bool text = event == IFD_JSON_KEY || event == IFD_JSON_STRING || event == IFD_JSON_NUMBER;
    ifd_buf_add(&t->text, data, size);
    REQUIRE(text || (last && size == 0));
    if (!last)
        return INFERD_OK;
    if (event == IFD_JSON_OBJECT_BEGIN || event == IFD_JSON_ARRAY_BEGIN)
        REQUIRE(++t->depth <= t->limit);
    if (event == IFD_JSON_OBJECT_END || event == IFD_JSON_ARRAY_END)
        REQUIRE(t->depth-- > 0);
    ifd_buf_add_char(&t->bytes, (char)('A' + (int)event));
    if (text) {
        check_text(t, event);
        ifd_buf_add(&t->bytes, &t->text.size, sizeof(t->text.size));
        ifd_buf_add(&t->bytes, t->text.data, t->text.size);
    }
    if (t->copy)
        copy_event(t, event);
    ifd_buf_reset(&t->text);
    return INFERD_OK;
}

/* Piece sizes come from `seed`: 0 is the whole input at once, 1 byte by byte, others random. */
static void run(struct trace *t, uint32_t limit, const char *s, size_t n, uint32_t seed)
{
    struct ifd_json p;
    t->limit = limit;
    ifd_buf_init(&t->bytes, SIZE_MAX / 2);
    ifd_buf_init(&t->text, SIZE_MAX / 2);
    ifd_json_init(&p, limit, on_event, t);
    t->status = INFERD_OK;
    for (size_t at = 0; at < n && !t->status;) {
        size_t piece = seed == 0 ? n : 1;
        if (seed > 1) {
            seed = seed * 1664525u + 1013904223u;
            piece = (seed >> 24) % 11;
        }
        if (piece > n - at)
            piece = n - at;
        t->status = ifd_json_feed(&p, s + at, piece, NULL);
        at += piece;
    }
    if (!t->status)
        t->status = ifd_json_finish(&p, NULL);
    t->offset = p.offset;
    REQUIRE(p.offset <= n);
    REQUIRE(t->status || (t->depth == 0 && p.offset == n));
    /* the end is final: the same verdict again */
    if (t->status)
        REQUIRE(ifd_json_feed(&p, "]", 1, NULL) == t->status && p.offset == t->offset);
    /* a text that was open at a failure belongs to the trace too */
    ifd_buf_add(&t->bytes, t->text.data, t->text.size);
    REQUIRE(!t->bytes.failed && !t->text.failed);
}

static void done(struct trace *t)
{
    ifd_buf_fini(&t->bytes);
    ifd_buf_fini(&t->text);
}

static void require_same(const struct trace *a, const struct trace *b)
{
    REQUIRE(a->status == b->status);
    REQUIRE(a->bytes.size == b->bytes.size);
    REQUIRE(a->bytes.size == 0 || memcmp(a->bytes.data, b->bytes.data, a->bytes.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const uint32_t limit =
        data[0] % 2 ? IFD_JSON_DEPTH_MAX : 1u + data[0] / 2u % IFD_JSON_DEPTH_MAX;
    const char *s = (const char *)data + 1;
    const size_t n = size - 1;
    struct ifd_buf copy;
    ifd_buf_init(&copy, SIZE_MAX / 2);
    struct trace whole = {.copy = &copy};
    run(&whole, limit, s, n, 0);
    for (uint32_t seed = 1; seed <= 3; seed++) {
        struct trace cut = {0};
        run(&cut, limit, s, n, seed == 1 ? 1 : seed * 2654435761u + data[0]);
        require_same(&whole, &cut);
        REQUIRE(whole.offset == cut.offset);
        done(&cut);
    }
    if (!whole.status) {
        struct trace again = {0};
        REQUIRE(!copy.failed);
        run(&again, limit, copy.data, copy.size, 0);
        require_same(&whole, &again);
        done(&again);
    }
    struct ifd_jsondoc *doc = NULL;
    inferd_error err = {0};
    inferd_status status = ifd_jsondoc_parse(s, n, (size_t)64 << 20, &doc, &err);
    if (!status)
        REQUIRE(ifd_jsondoc_root(doc));
    if (limit == IFD_JSON_DEPTH_MAX && status != whole.status)
        REQUIRE(status == INFERD_INVALID_JSON && strstr(err.message, "twice"));
    ifd_jsondoc_free(doc);
    ifd_buf_fini(&copy);
    done(&whole);
    return 0;
}
