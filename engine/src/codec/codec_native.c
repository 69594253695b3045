/* SPDX-License-Identifier: Apache-2.0
 *
 * codec_native.c - the protocol of POST /infer.
 *
 * Strict where a typo would otherwise pass in silence: an unknown key, a key twice, both `inputs`
 * and `text`, an empty list, an empty or non-string item are refused, each by its name or index.
 */
#include <string.h>

#include "base/jsonout.h"
#include "codec/fields.h"

enum state {
    S_TOP,
    S_KEY,
    S_TEXT,
    S_INPUTS,
    S_ITEMS,
    S_PARAMETERS,
    S_PARAMETER_KEY,
    S_TIMEOUT,
    S_TOP_K,
    S_RAW_SCORES,
    S_DETAILS,
    S_TRUNCATION,
    S_END,
    S_REFUSED
};
enum {
    SEEN_INPUTS = 1,
    SEEN_TEXT = 2,
    SEEN_PARAMETERS = 4,
    SEEN_TIMEOUT = 8,
    SEEN_TOP_K = 16,
    SEEN_RAW_SCORES = 32,
    SEEN_DETAILS = 64,
    SEEN_TRUNCATION = 128,
};
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
    {"top_k", SEEN_TOP_K, S_PARAMETER_KEY, S_TOP_K},
    {"raw_scores", SEEN_RAW_SCORES, S_PARAMETER_KEY, S_RAW_SCORES},
    {"truncation", SEEN_TRUNCATION, S_PARAMETER_KEY, S_TRUNCATION},
    {"details", SEEN_DETAILS, S_PARAMETER_KEY, S_DETAILS},
};

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
                                      : "\"parameters\" may have \"timeout_ms\", \"top_k\", "
                                        "\"raw_scores\", \"truncation\" and \"details\"");
}

static inferd_status take_key(struct ifd_decode *d, const char *s, size_t n, bool last,
                              inferd_error *err)
{
    ifd_fields_append(d, s, n);
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

/* A piece of a short value: true when it is complete, in d->key[0 .. *size). */
static bool take_short(struct ifd_decode *d, const char *s, size_t n, bool last, size_t *size)
{
    ifd_fields_append(d, s, n);
    if (!last)
        return false;
    *size = d->key_size;
    d->key_size = 0;
    d->state = S_PARAMETER_KEY;
    return true;
}

static inferd_status take_timeout(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                                  size_t n, bool last, inferd_error *err)
{
    if (event == IFD_JSON_NUMBER &&
        (!take_short(d, s, n, last, &n) || ifd_codec_timeout(d->key, n, &d->options.timeout_ms)))
        return INFERD_OK;
    return bad(err, "\"timeout_ms\" must be a whole number of milliseconds, 1 to 86400000");
}

static inferd_status take_top_k(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                                size_t n, bool last, inferd_error *err)
{
    if (event == IFD_JSON_NUMBER &&
        (!take_short(d, s, n, last, &n) ||
         ifd_codec_number(d->key, n, IFD_CODEC_TOP_K_MAX, &d->options.top_k)))
        return INFERD_OK;
    return bad(err, "\"top_k\" must be a whole number, 0 (all labels) to 1000000");
}

static inferd_status take_flag(struct ifd_decode *d, enum ifd_json_event event, inferd_error *err)
{
    const bool details = d->state == S_DETAILS;
    if (event != IFD_JSON_TRUE && event != IFD_JSON_FALSE)
        return ifd_fail(err, INFERD_INVALID_REQUEST, "\"%s\" must be true or false, not %s",
                        details ? "details" : "raw_scores", ifd_fields_event_name(event));
    *(details ? &d->options.details : &d->options.raw_scores) = event == IFD_JSON_TRUE;
    d->state = S_PARAMETER_KEY;
    return INFERD_OK;
}

static inferd_status take_truncation(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                                     size_t n, bool last, inferd_error *err)
{
    if (event == IFD_JSON_STRING &&
        (!take_short(d, s, n, last, &n) ||
         (n <= IFD_CODEC_KEY_MAX && ifd_truncation_parse(d->key, n, &d->options.truncation))))
        return INFERD_OK;
    return bad(err, "\"truncation\" must be \"right\", \"left\", \"none\", \"head_tail\", "
                    "\"window_mean\" or \"window_max\"");
}

/* Pieces of an item, or of the only text. */
static inferd_status take_string(struct ifd_decode *d, const char *s, size_t n, bool last,
                                 inferd_error *err)
{
    bool empty;
    const inferd_status status = ifd_fields_string(d, s, n, last, &empty, err);
    if (status || !empty)
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
                ifd_fields_event_name(event));
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
                            ifd_fields_event_name(event));
        d->state = S_PARAMETER_KEY;
        return INFERD_OK;
    case S_PARAMETER_KEY:
        if (event == IFD_JSON_KEY)
            return take_key(d, s, n, last, err);
        d->state = S_KEY; /* the end of "parameters" */
        return INFERD_OK;
    case S_TIMEOUT:
        return take_timeout(d, event, s, n, last, err);
    case S_TOP_K:
        return take_top_k(d, event, s, n, last, err);
    case S_RAW_SCORES:
    case S_DETAILS:
        return take_flag(d, event, err);
    case S_TRUNCATION:
        return take_truncation(d, event, s, n, last, err);
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
                            ifd_fields_event_name(event));
        inferd_status status = take_string(d, s, n, last, err);
        if (!status && last)
            d->state = S_KEY;
        return status;
    case S_ITEMS:
        if (event == IFD_JSON_STRING)
            return take_string(d, s, n, last, err);
        if (event != IFD_JSON_ARRAY_END)
            return ifd_fail(err, INFERD_INVALID_REQUEST, "inputs[%u] must be a string, not %s",
                            d->texts.count, ifd_fields_event_name(event));
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

static void add_logit(float logit, struct ifd_buf *out)
{
    ifd_buf_add_str(out, ",\"logit\":");
    ifd_jsonout_float(out, logit);
}

/* The best top_k labels of a text. */
static void add_scores(const struct ifd_answer *a, const float *logits, struct ifd_buf *out)
{
    const struct ifd_codec_options *o = &a->request->options;
    struct ifd_ranking *rank = a->ranking;
    const uint32_t n = o->top_k && o->top_k < a->labels ? o->top_k : a->labels;
    ifd_ranking_sort(rank, logits, a->labels);
    a->scores(a->model, logits, rank->scores);
    ifd_buf_add_str(out, ",\"scores\":[");
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t label = rank->order[k];
        ifd_buf_add_str(out, k ? ",{\"label\":" : "{\"label\":");
        ifd_jsonout_cstr(out, a->label(a->model, label));
        ifd_buf_add_str(out, ",\"confidence\":");
        ifd_jsonout_fixed(out, (double)rank->scores[label], 6);
        if (o->raw_scores)
            add_logit(logits[label], out);
        ifd_buf_add_char(out, '}');
    }
    ifd_buf_add_char(out, ']');
}

static void add_ms(struct ifd_buf *out, const char *key, uint64_t ns)
{
    ifd_buf_add_str(out, key);
    ifd_jsonout_fixed(out, (double)ns / 1e6, 3);
}

static void add_details(const struct ifd_answer *a, uint32_t i, struct ifd_buf *out)
{
    const inferd_result *r = &a->results[i];
    ifd_buf_printf(out, ",\"details\":{\"tokens\":%u,\"truncated\":%s,\"windows\":%u", r->tokens,
                   r->truncated ? "true" : "false",
                   a->windows ? a->windows[i + 1] - a->windows[i] : 1u);
    add_ms(out, ",\"ms\":{\"parse\":", a->times.parse_ns);
    add_ms(out, ",\"tokenize\":", a->times.tokenize_ns);
    add_ms(out, ",\"queue\":", a->times.queue_ns);
    add_ms(out, ",\"infer\":", a->times.infer_ns);
    ifd_buf_add_str(out, "}}");
}

/* What the parameters ask for beyond label and confidence. */
static void add_more(const struct ifd_answer *a, uint32_t i, struct ifd_buf *out)
{
    const struct ifd_codec_options *o = &a->request->options;
    const float *logits = a->logits ? a->logits + (size_t)i * a->labels : NULL;
    if (logits && o->raw_scores)
        add_logit(logits[a->results[i].label], out);
    if (logits && o->top_k != 1)
        add_scores(a, logits, out);
    if (o->details)
        add_details(a, i, out);
}

static void encode(const struct ifd_answer *a, struct ifd_buf *out)
{
    const bool more = a->logits || a->request->options.details;
    ifd_buf_add_char(out, '[');
    for (uint32_t i = 0; i < a->count; i++) {
        ifd_buf_add_str(out, i ? ",{\"label\":" : "{\"label\":");
        ifd_jsonout_cstr(out, a->label(a->model, a->results[i].label));
        ifd_buf_add_str(out, ",\"confidence\":");
        ifd_jsonout_fixed(out, (double)a->results[i].confidence, 6);
        if (more)
            add_more(a, i, out);
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
