/* SPDX-License-Identifier: Apache-2.0
 *
 * json_record.h - what a parse did, in a form that does not depend on how the input was cut: the
 * events as bytes (pieces joined), the verdict and the offset.
 */
#ifndef IFD_TESTS_BASE_JSON_RECORD_H
#define IFD_TESTS_BASE_JSON_RECORD_H

#include "test.h"

#include "base/buf.h"
#include "base/json.h"

struct record {
    struct ifd_buf events;
    inferd_status status;
    uint64_t offset;
    inferd_error err;
    bool open;      /* a text has begun and not ended */
    bool show_cuts; /* a broken recorder: pieces are not joined. The control of the split tests */
};

static const char record_names[] = "{}[]KSNtfn";

static inline inferd_status record_event(void *ctx, enum ifd_json_event event, const char *data,
                                         size_t size, bool last, inferd_error *err)
{
    (void)err;
    struct record *r = ctx;
    assert_non_null(data);
    if (!r->open || r->show_cuts)
        ifd_buf_add_char(&r->events, record_names[event]);
    bool text = event == IFD_JSON_KEY || event == IFD_JSON_STRING || event == IFD_JSON_NUMBER;
    if (text) {
        ifd_buf_add(&r->events, data, size);
        if (last || r->show_cuts)
            ifd_buf_add_char(&r->events, '\xFF'); /* in no text: ends it without doubt */
    } else {
        assert_true(last);
    }
    r->open = text && !last;
    assert_false(r->events.failed);
    return INFERD_OK;
}

/* Feed data in pieces that end at cuts[] (rising) and at n. Each piece is a block of its own, so
 * that a sanitizer sees a step outside it. */
static inline void record_run(struct record *r, const char *data, size_t n, const size_t *cuts,
                              size_t cut_count)
{
    struct ifd_json p;
    ifd_json_init(&p, IFD_JSON_DEPTH_MAX, record_event, r);
    r->status = INFERD_OK;
    r->open = false;
    ifd_buf_reset(&r->events);
    size_t from = 0;
    for (size_t i = 0; i <= cut_count && !r->status; i++) {
        size_t to = i < cut_count ? cuts[i] : n;
        char *piece = malloc(to - from ? to - from : 1);
        memcpy(piece, data + from, to - from);
        r->status = ifd_json_feed(&p, piece, to - from, &r->err);
        free(piece);
        from = to;
    }
    if (!r->status)
        r->status = ifd_json_finish(&p, &r->err);
    r->offset = p.offset;
}

static inline void record_init(struct record *r)
{
    *r = (struct record){0};
    ifd_buf_init(&r->events, (size_t)1 << 24);
}

static inline void record_fini(struct record *r)
{
    ifd_buf_fini(&r->events);
}

static inline bool record_equal(const struct record *a, const struct record *b)
{
    return a->status == b->status && a->offset == b->offset && a->events.size == b->events.size &&
           memcmp(a->events.data ? a->events.data : "", b->events.data ? b->events.data : "",
                  a->events.size) == 0 &&
           (!a->status || strcmp(a->err.message, b->err.message) == 0);
}

#endif
