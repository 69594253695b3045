/* SPDX-License-Identifier: Apache-2.0
 *
 * codec_native.c - the protocol of POST /infer.
 *
 * Strict where a typo would otherwise pass in silence: an unknown key, a key twice, both `inputs`
 * and `text`, an empty list, an empty or non-string item are refused, each by its name or index.
 */
#include <string.h>

#include "base/jsonout.h"
#include "codec/codec.h"

enum state {
    S_TOP,
    S_KEY,
    S_TEXT,
    S_INPUTS,
    S_ITEMS,
    S_PARAMETERS,
    S_PARAMETER_KEY,
    S_TIMEOUT,
    S_END,
    S_REFUSED
};
enum { SEEN_INPUTS = 1, SEEN_TEXT = 2, SEEN_PARAMETERS = 4, SEEN_TIMEOUT = 8 };
#define SEEN_TEXTS (SEEN_INPUTS | SEEN_TEXT)

/* The keys of a request and of its "parameters", and what comes after each. */
static const struct key {
    const char *name;
    uint32_t bit;
    enum state in, next;
} keys[] = {
    {"inputs", SEEN_INPUTS, S_KEY, S_INPUTS},
    {"text", SEEN_TEXT, S_KEY, S_TEXT},
    {"parameters", SEEN_PARAMETERS, S_KEY, S_PARAMETERS},
    {"timeout_ms", SEEN_TIMEOUT, S_PARAMETER_KEY, S_TIMEOUT},
};

static const char *event_name(enum ifd_json_event event)
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

static inferd_status bad(inferd_error *err, const char *what)
{
    return ifd_fail(err, INFERD_INVALID_REQUEST, "%s", what);
}

/* A key longer than what is kept is none of ours; its message shows the beginning. */
static inferd_status unknown_key(const struct ifd_decode *d, inferd_error *err)
{
    size_t n = d->key_size;
    if (n > IFD_CODEC_KEY_MAX) {
        n = IFD_CODEC_KEY_MAX;
        while (n > 0 && ((unsigned char)d->key[n - 1] & 0xC0u) == 0x80u)
            n--; /* not inside a character */
        if (n > 0 && (unsigned char)d->key[n - 1] >= 0xC0u)
            n--;
    }
    return ifd_fail(err, INFERD_INVALID_REQUEST, "unknown key \"%.*s%s\"; %s", (int)n, d->key,
                    n < d->key_size ? "..." : "",
                    d->state == S_KEY ? "a request has \"inputs\" or \"text\", and \"parameters\""
                                      : "\"parameters\" may have \"timeout_ms\"");
}

/* Pieces of a key or of a number. */
static void keep(struct ifd_decode *d, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (d->key_size < IFD_CODEC_KEY_MAX)
            d->key[d->key_size] = s[i];
        if (d->key_size <= IFD_CODEC_KEY_MAX)
            d->key_size++;
    }
}

static inferd_status take_key(struct ifd_decode *d, const char *s, size_t n, bool last,
                              inferd_error *err)
{
    keep(d, s, n);
    if (!last)
        return INFERD_OK;
    const struct key *key = NULL;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && !key; i++)
        if (keys[i].in == d->state && strlen(keys[i].name) == d->key_size &&
            memcmp(d->key, keys[i].name, d->key_size) == 0)
            key = &keys[i];
    if (!key)
        return unknown_key(d, err);
    d->key_size = 0;
    if (d->seen & key->bit)
        return ifd_fail(err, INFERD_INVALID_REQUEST, "the key \"%s\" is given twice", key->name);
    if ((key->bit & SEEN_TEXTS) && (d->seen & SEEN_TEXTS))
        return bad(err, "\"inputs\" and \"text\" are both given; give one of them");
    d->seen |= key->bit;
    d->state = (uint8_t)key->next;
    return INFERD_OK;
}

static inferd_status take_timeout(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                                  size_t n, bool last, inferd_error *err)
{
    if (event == IFD_JSON_NUMBER) {
        keep(d, s, n);
        if (!last)
            return INFERD_OK;
        n = d->key_size;
        d->key_size = 0;
        d->state = S_PARAMETER_KEY;
        if (ifd_codec_timeout(d->key, n, &d->timeout_ms))
            return INFERD_OK;
    }
    return bad(err, "\"timeout_ms\" must be a whole number of milliseconds, 1 to 86400000");
}

/* Pieces of an item, or of the only text. */
static inferd_status take_string(struct ifd_decode *d, const char *s, size_t n, bool last,
                                 inferd_error *err)
{
    if (!d->in_text && d->texts.count == d->max_inputs)
        return ifd_fail(err, INFERD_TOO_MANY_INPUTS,
                        "the request has more than --max-inputs %u inputs", d->max_inputs);
    d->in_text = !last;
    inferd_status status = ifd_texts_add(&d->texts, s, n, err);
    if (status || !last)
        return status;
    size_t size = 0;
    status = ifd_texts_end(&d->texts, &size, err);
    if (status || size > 0)
        return status;
    if (d->state == S_ITEMS)
        return ifd_fail(err, INFERD_INVALID_REQUEST, "inputs[%u] is an empty string",
                        d->texts.count - 1);
    return ifd_fail(err, INFERD_INVALID_REQUEST, "\"%s\" is an empty string",
                    d->state == S_TEXT ? "text" : "inputs");
}

static inferd_status take_event(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                                size_t n, bool last, inferd_error *err)
{
    switch ((enum state)d->state) {
    case S_TOP:
        if (event != IFD_JSON_OBJECT_BEGIN)
            return ifd_fail(
                err, INFERD_INVALID_REQUEST,
                "the body must be a JSON object such as {\"inputs\": [\"a text\"]}, not %s",
                event_name(event));
        d->state = S_KEY;
        return INFERD_OK;
    case S_KEY:
        if (event == IFD_JSON_KEY)
            return take_key(d, s, n, last, err);
        d->state = S_END; /* only the object's end can come here */
        return d->seen & SEEN_TEXTS ? INFERD_OK
                                    : bad(err, "the request has neither \"inputs\" nor \"text\"");
    case S_PARAMETERS:
        if (event != IFD_JSON_OBJECT_BEGIN)
            return ifd_fail(err, INFERD_INVALID_REQUEST, "\"parameters\" must be an object, not %s",
                            event_name(event));
        d->state = S_PARAMETER_KEY;
        return INFERD_OK;
    case S_PARAMETER_KEY:
        if (event == IFD_JSON_KEY)
            return take_key(d, s, n, last, err);
        d->state = S_KEY; /* the end of "parameters" */
        return INFERD_OK;
    case S_TIMEOUT:
        return take_timeout(d, event, s, n, last, err);
    case S_TEXT:
    case S_INPUTS:
        if (event == IFD_JSON_ARRAY_BEGIN && d->state == S_INPUTS) {
            d->state = S_ITEMS;
            return INFERD_OK;
        }
        if (event != IFD_JSON_STRING)
            return ifd_fail(err, INFERD_INVALID_REQUEST, "\"%s\" must be %s, not %s",
                            d->state == S_TEXT ? "text" : "inputs",
                            d->state == S_TEXT ? "a string" : "a string or a list of strings",
                            event_name(event));
        inferd_status status = take_string(d, s, n, last, err);
        if (!status && last)
            d->state = S_KEY;
        return status;
    case S_ITEMS:
        if (event == IFD_JSON_STRING)
            return take_string(d, s, n, last, err);
        if (event != IFD_JSON_ARRAY_END)
            return ifd_fail(err, INFERD_INVALID_REQUEST, "inputs[%u] must be a string, not %s",
                            d->texts.count, event_name(event));
        d->state = S_KEY;
        return d->texts.count > 0 ? INFERD_OK : bad(err, "\"inputs\" is an empty list");
    default:
        return bad(err, "the request has more than one JSON value");
    }
}

static inferd_status on_event(void *ctx, enum ifd_json_event event, const char *s, size_t n,
                              bool last, inferd_error *err)
{
    struct ifd_decode *d = ctx;
    if (d->state == S_REFUSED)
        return INFERD_OK;
    inferd_status status = take_event(d, event, s, n, last, &d->refusal);
    if (status == INFERD_NO_MEMORY) {
        *err = d->refusal;
        return status;
    }
    if (status)
        d->state = S_REFUSED;
    return INFERD_OK;
}

static void begin(struct ifd_decode *d)
{
    ifd_json_init(&d->json, IFD_JSON_DEPTH_MAX, on_event, d);
}

static inferd_status feed(struct ifd_decode *d, const char *bytes, size_t n, inferd_error *err)
{
    return ifd_json_feed(&d->json, bytes, n, err);
}

static inferd_status finish(struct ifd_decode *d, inferd_error *err)
{
    inferd_status status = ifd_json_finish(&d->json, err);
    if (status)
        return status;
    if (d->state == S_REFUSED) {
        *err = d->refusal;
        return err->status;
    }
    IFD_ASSERT(d->state == S_END && d->texts.count > 0);
    return INFERD_OK;
}

static void encode(const struct ifd_answer *a, struct ifd_buf *out)
{
    ifd_buf_add_char(out, '[');
    for (uint32_t i = 0; i < a->count; i++) {
        ifd_buf_add_str(out, i ? ",{\"label\":" : "{\"label\":");
        ifd_jsonout_cstr(out, a->label(a->model, a->results[i].label));
        ifd_buf_add_str(out, ",\"confidence\":");
        ifd_jsonout_fixed(out, (double)a->results[i].confidence, 6);
        ifd_buf_add_char(out, '}');
    }
    ifd_buf_add_str(out, "]\n");
}

const struct ifd_codec ifd_codec_native = {
    .name = "native",
    .media_type = "application/json",
    .begin = begin,
    .feed = feed,
    .finish = finish,
    .encode = encode,
};
