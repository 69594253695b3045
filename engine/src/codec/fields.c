/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/fields.h"

#include <string.h>

#define UNKNOWN 0xFFu

const char *ifd_fields_event_name(enum ifd_json_event event)
{
    switch (event) {
    case IFD_JSON_OBJECT_BEGIN:
        return "an object";
    case IFD_JSON_ARRAY_BEGIN:
        return "a list";
    case IFD_JSON_STRING:
        return "a string";
    case IFD_JSON_NUMBER:
        return "a number";
    case IFD_JSON_TRUE:
    case IFD_JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

inferd_status ifd_fields_mismatch(const char *what, const char *must_be, enum ifd_json_event event,
                                  inferd_error *err)
{
    return ifd_fail(err, INFERD_INVALID_REQUEST, "%s must be %s, not %s", what, must_be,
                    ifd_fields_event_name(event));
}

void ifd_fields_append(struct ifd_decode *d, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (d->key_size < IFD_CODEC_KEY_MAX)
            d->key[d->key_size] = s[i];
        if (d->key_size <= IFD_CODEC_KEY_MAX)
            d->key_size++;
    }
}

bool ifd_fields_keep(struct ifd_decode *d, const char *s, size_t n, bool last)
{
    if (d->key_is_done) {
        d->key_size = 0;
        d->key_is_done = false;
    }
    ifd_fields_append(d, s, n);
    d->key_is_done = last;
    return last;
}

bool ifd_fields_kept_is(const struct ifd_decode *d, const char *s)
{
    return strlen(s) == d->key_size && memcmp(d->key, s, d->key_size) == 0;
}

inferd_status ifd_fields_string(struct ifd_decode *d, const char *s, size_t n, bool last,
                                bool *empty, inferd_error *err)
{
    *empty = false;
    if (!d->in_text && d->texts.count == d->max_inputs)
        return ifd_fail(err, INFERD_TOO_MANY_INPUTS,
                        "the request has more than --max-inputs %u inputs", d->max_inputs);
    d->in_text = !last;
    inferd_status status = ifd_texts_add(&d->texts, s, n, err);
    if (status || !last)
        return status;
    size_t size = 0;
    status = ifd_texts_end(&d->texts, &size, err);
    *empty = !status && size == 0;
    return status;
}

inferd_status ifd_fields_text(struct ifd_decode *d, const char *s, size_t n, bool last,
                              const char *what, inferd_error *err)
{
    bool empty;
    const inferd_status status = ifd_fields_string(d, s, n, last, &empty, err);
    if (status || !empty)
        return status;
    return ifd_fail(err, INFERD_INVALID_REQUEST, "text %u of \"%s\" is an empty string",
                    d->texts.count - 1, what);
}

inferd_status ifd_fields_flag(enum ifd_json_event event, const char *what, bool *out,
                              inferd_error *err)
{
    if (event != IFD_JSON_TRUE && event != IFD_JSON_FALSE)
        return ifd_fields_mismatch(what, "true or false", event, err);
    *out = event == IFD_JSON_TRUE;
    return INFERD_OK;
}

/* The key is complete: which one it is. */
static inferd_status take_key(struct ifd_decode *d, inferd_error *err)
{
    struct ifd_fields_level *level = &d->levels[d->depth - 1];
    for (unsigned k = 0; d->codec->keys[k]; k++) {
        if (!ifd_fields_kept_is(d, d->codec->keys[k]))
            continue;
        if (level->seen & (UINT64_C(1) << k))
            return ifd_fail(err, INFERD_INVALID_REQUEST, "the key \"%s\" is given twice",
                            d->codec->keys[k]);
        level->seen |= UINT64_C(1) << k;
        level->element = (uint8_t)IFD_FIELDS_KEY(k);
        return INFERD_OK;
    }
    if (!d->codec->ignores_unknown_keys) {
        int n = (int)(d->key_size < IFD_CODEC_KEY_MAX ? d->key_size : IFD_CODEC_KEY_MAX);
        while (n > 0 && n == (int)IFD_CODEC_KEY_MAX &&
               ((unsigned char)d->key[n - 1] & 0xC0u) != 0x40u &&
               (unsigned char)d->key[n - 1] >= 0x80u)
            n--; /* not inside a character */
        return ifd_fail(err, INFERD_INVALID_REQUEST, "unknown key \"%.*s\"", n, d->key);
    }
    level->element = UNKNOWN;
    return INFERD_OK;
}

static bool begins(enum ifd_json_event event)
{
    return event == IFD_JSON_OBJECT_BEGIN || event == IFD_JSON_ARRAY_BEGIN;
}

static inferd_status open_level(struct ifd_decode *d, uint64_t path, bool object, inferd_error *err)
{
    if (d->depth == IFD_FIELDS_DEPTH_MAX)
        return ifd_fail(err, INFERD_INVALID_REQUEST, "the request is nested too deep");
    d->levels[d->depth++] = (struct ifd_fields_level){
        .path = path, .element = object ? UNKNOWN : (uint8_t)IFD_FIELDS_ITEM};
    return INFERD_OK;
}

static inferd_status take_event(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                                size_t n, bool last, inferd_error *err)
{
    const bool ends = event == IFD_JSON_OBJECT_END || event == IFD_JSON_ARRAY_END;
    if (d->skipping > 0) { /* below an unknown key */
        d->skipping += begins(event);
        d->skipping -= ends;
        return INFERD_OK;
    }
    if (event == IFD_JSON_KEY)
        return ifd_fields_keep(d, s, n, last) ? take_key(d, err) : INFERD_OK;
    if (ends && --d->depth == 0)
        return INFERD_OK; /* of the body */
    if (ends)
        return d->codec->value(d, d->levels[d->depth].path, event, s, n, last, err);
    if (d->depth == 0)
        return event == IFD_JSON_OBJECT_BEGIN
                   ? open_level(d, 0, true, err)
                   : ifd_fields_mismatch("the body", "an object", event, err);
    const struct ifd_fields_level *level = &d->levels[d->depth - 1];
    if (level->element == UNKNOWN) {
        d->skipping = begins(event);
        return INFERD_OK;
    }
    const uint64_t path = level->path << 8 | level->element;
    inferd_status st = d->codec->value(d, path, event, s, n, last, err);
    if (!st && begins(event))
        st = open_level(d, path, event == IFD_JSON_OBJECT_BEGIN, err);
    return st;
}

/* A refusal waits for the end: a body that is no JSON is that before everything else. */
static inferd_status on_event(void *ctx, enum ifd_json_event event, const char *s, size_t n,
                              bool last, inferd_error *err)
{
    struct ifd_decode *d = ctx;
    if (d->refused)
        return INFERD_OK;
    const inferd_status st = take_event(d, event, s, n, last, &d->refusal);
    if (st == INFERD_NO_MEMORY) {
        *err = d->refusal;
        return st;
    }
    d->refused = st != INFERD_OK;
    return INFERD_OK;
}

void ifd_fields_begin(struct ifd_decode *d)
{
    d->depth = d->skipping = 0;
    d->refused = false;
    d->key_is_done = true;
    d->tensor = (struct ifd_tensor_request){0};
    ifd_json_init(&d->json, IFD_JSON_DEPTH_MAX, on_event, d);
}

inferd_status ifd_fields_feed(struct ifd_decode *d, const char *bytes, size_t n, inferd_error *err)
{
    return ifd_json_feed(&d->json, bytes, n, err);
}

inferd_status ifd_fields_finish(struct ifd_decode *d, inferd_error *err)
{
    inferd_status st = ifd_json_finish(&d->json, err);
    if (st)
        return st;
    if (d->refused) {
        *err = d->refusal;
        return err->status;
    }
    return d->codec->complete(d, err);
}
