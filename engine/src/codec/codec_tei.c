/* SPDX-License-Identifier: Apache-2.0
 *
 * codec_tei.c - POST /predict of Text Embeddings Inference, and its POST /tokenize.
 *
 * "inputs" is a text, a list of one, or a list of two, which is a pair: one input of two texts. Or
 * a batch of such lists: [["a"], ["b", "with this"]]. Written from TEI's types.rs (PredictInput).
 * Answers have all labels, the best first; a batch is answered with a list of such lists.
 */
#include <string.h>

#include "base/jsonout.h"
#include "codec/fields.h"

static const char *const predict_keys[] = {"inputs", "truncate", "raw_scores",
                                           "truncation_direction", NULL};
enum {
    INPUTS = IFD_FIELDS_KEY(0),
    TRUNCATE,
    RAW_SCORES,
    TRUNCATION_DIRECTION,
    ITEM = IFD_FIELDS_ITEM,
};
/* decode->state */
enum { S_NOTHING, S_ONE, S_BATCH };
/* decode->seen */
enum {
    SEEN_FIRST = 1, /* of the list that is being read */
    SEEN_SECOND = 2,
    SEEN_LEFT = 4,
    SEEN_TRUNCATE = 8,
    SEEN_NO_TRUNCATE = 16,
};

static const char shape[] =
    "a text, a pair of texts [\"a\", \"b\"], or a batch such as [[\"a\"], [\"b\", \"c\"]]";

/* A string of a list, or the only one, begins. */
static inferd_status begin_text(struct ifd_decode *d, inferd_error *err)
{
    if (d->seen & SEEN_SECOND)
        return ifd_fail(err, INFERD_INVALID_REQUEST,
                        "a list of texts is one input: a text, or a pair of two; for several "
                        "inputs send a batch such as [[\"a text\"], [\"another\"]]");
    if (d->seen & SEEN_FIRST)
        ifd_texts_begin_second(&d->texts);
    d->seen |= d->seen & SEEN_FIRST ? SEEN_SECOND : SEEN_FIRST;
    return INFERD_OK;
}

static inferd_status take_inputs(struct ifd_decode *d, uint64_t path, enum ifd_json_event event,
                                 const char *s, size_t n, bool last, inferd_error *err)
{
    const bool begins = event == IFD_JSON_ARRAY_BEGIN, ends = event == IFD_JSON_ARRAY_END;
    if (event == IFD_JSON_STRING) {
        const bool inner = path == P3(INPUTS, ITEM, ITEM);
        if (!inner && d->state == S_BATCH)
            return ifd_fields_mismatch("an item of a batch", "a list of one or two texts", event,
                                       err);
        d->state = inner ? S_BATCH : S_ONE;
        const inferd_status st = d->in_text ? INFERD_OK : begin_text(d, err);
        return st ? st : ifd_fields_text(d, s, n, last, "inputs", err);
    }
    if (begins && path == P1(INPUTS))
        return INFERD_OK;
    if (begins && path == P2(INPUTS, ITEM) && d->state != S_ONE) {
        d->state = S_BATCH;
        d->seen &= ~(uint32_t)(SEEN_FIRST | SEEN_SECOND);
        return INFERD_OK;
    }
    if (ends && path == P2(INPUTS, ITEM))
        return d->seen & SEEN_FIRST
                   ? INFERD_OK
                   : ifd_fail(err, INFERD_INVALID_REQUEST, "an item of the batch has no text");
    if (ends && path == P1(INPUTS))
        return d->texts.count > 0 ? INFERD_OK
                                  : ifd_fail(err, INFERD_INVALID_REQUEST, "\"inputs\" is empty");
    return ifd_fields_mismatch("\"inputs\"", shape, event, err);
}

static inferd_status take_direction(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                                    size_t n, bool last, inferd_error *err)
{
    if (event != IFD_JSON_STRING)
        return ifd_fields_mismatch("\"truncation_direction\"", "\"Left\" or \"Right\"", event, err);
    if (!ifd_fields_keep(d, s, n, last))
        return INFERD_OK;
    const bool left = ifd_fields_kept_is(d, "Left") || ifd_fields_kept_is(d, "left");
    if (!left && !ifd_fields_kept_is(d, "Right") && !ifd_fields_kept_is(d, "right"))
        return ifd_fail(err, INFERD_INVALID_REQUEST,
                        "\"truncation_direction\" must be \"Left\" or \"Right\"");
    d->seen |= left ? SEEN_LEFT : 0;
    return INFERD_OK;
}

static inferd_status value(struct ifd_decode *d, uint64_t path, enum ifd_json_event event,
                           const char *s, size_t n, bool last, inferd_error *err)
{
    bool flag = false;
    inferd_status st = INFERD_OK;
    switch (path) {
    case P1(TRUNCATE):
        if (event == IFD_JSON_NULL)
            return INFERD_OK;
        st = ifd_fields_flag(event, "\"truncate\"", &flag, err);
        d->seen |= flag ? SEEN_TRUNCATE : SEEN_NO_TRUNCATE;
        return st;
    case P1(RAW_SCORES):
        return ifd_fields_flag(event, "\"raw_scores\"", &d->options.raw_scores, err);
    case P1(TRUNCATION_DIRECTION):
        return take_direction(d, event, s, n, last, err);
    default:
        return take_inputs(d, path, event, s, n, last, err);
    }
}

static inferd_status complete(struct ifd_decode *d, inferd_error *err)
{
    if (d->texts.count == 0)
        return ifd_fail(err, INFERD_INVALID_REQUEST, "\"inputs\" is missing: %s", shape);
    if (d->seen & SEEN_NO_TRUNCATE)
        d->options.truncation = IFD_TRUNCATION_NONE;
    else if (d->seen & SEEN_LEFT)
        d->options.truncation = IFD_TRUNCATION_LEFT;
    else if (d->seen & SEEN_TRUNCATE)
        d->options.truncation = IFD_TRUNCATION_RIGHT;
    d->options.top_k = 0;
    return INFERD_OK;
}

static void encode_one(const struct ifd_answer *a, const float *logits, struct ifd_buf *out)
{
    struct ifd_ranking *rank = a->ranking;
    ifd_ranking_sort(rank, logits, a->labels);
    a->scores(a->model, logits, rank->scores);
    ifd_buf_add_char(out, '[');
    for (uint32_t k = 0; k < a->labels; k++) {
        const uint32_t label = rank->order[k];
        ifd_buf_add_str(out, k ? ",{\"score\":" : "{\"score\":");
        ifd_jsonout_float(out,
                          a->request->options.raw_scores ? logits[label] : rank->scores[label]);
        ifd_buf_add_str(out, ",\"label\":");
        ifd_jsonout_cstr(out, a->label(a->model, label));
        ifd_buf_add_char(out, '}');
    }
    ifd_buf_add_char(out, ']');
}

static size_t characters_of(inferd_text t)
{
    size_t count = 0;
    for (size_t k = 0; k < t.size; k++)
        count += ((unsigned char)t.data[k] & 0xC0u) != 0x80u;
    return count;
}

static size_t characters(const struct ifd_texts *texts)
{
    size_t count = 0;
    for (uint32_t i = 0; i < texts->count; i++)
        count += characters_of(ifd_texts_get(texts, i)) + characters_of(ifd_texts_second(texts, i));
    return count;
}

static unsigned long long ms(uint64_t ns)
{
    return ns / 1000000u;
}

static void add_headers(const struct ifd_answer *a)
{
    const struct ifd_codec_times *t = &a->times;
    const uint64_t total = t->parse_ns + t->tokenize_ns + t->queue_ns + t->infer_ns;
    unsigned long long tokens = 0;
    for (uint32_t i = 0; i < a->count; i++)
        tokens += a->results[i].tokens;
    ifd_answer_header(a,
                      "x-compute-type: cpu\r\nx-compute-time: %llu\r\n"
                      "x-compute-characters: %zu\r\nx-compute-tokens: %llu\r\n"
                      "x-total-time: %llu\r\nx-tokenization-time: %llu\r\n"
                      "x-queue-time: %llu\r\nx-inference-time: %llu\r\n",
                      ms(total), characters(&a->request->texts), tokens, ms(total),
                      ms(t->tokenize_ns), ms(t->queue_ns), ms(t->infer_ns));
}

static void encode(const struct ifd_answer *a, struct ifd_buf *out)
{
    const bool batch = a->request->state == S_BATCH;
    if (batch)
        ifd_buf_add_char(out, '[');
    for (uint32_t i = 0; i < a->count; i++) {
        if (i)
            ifd_buf_add_char(out, ',');
        encode_one(a, a->logits + (size_t)i * a->labels, out);
    }
    if (batch)
        ifd_buf_add_char(out, ']');
    if (a->head)
        add_headers(a);
}

static void encode_error(const inferd_error *error, int http, const char *request_id,
                         struct ifd_buf *out)
{
    const char *type = "Validation";
    (void)request_id;
    if (http == 429)
        type = "Overloaded";
    else if (error->status == INFERD_LOADING)
        type = "Unhealthy";
    else if (http >= 500)
        type = "Backend";
    ifd_buf_add_str(out, "{\"error\":");
    ifd_jsonout_cstr(out, error->message[0] ? error->message : inferd_status_text(error->status));
    ifd_buf_printf(out, ",\"error_type\":\"%s\"}", type);
}

const struct ifd_codec ifd_codec_tei = {
    .name = "tei",
    .media_type = "application/json",
    .needs_logits = true,
    .begin = ifd_fields_begin,
    .feed = ifd_fields_feed,
    .finish = ifd_fields_finish,
    .encode = encode,
    .error = encode_error,
    .keys = predict_keys,
    .ignores_unknown_keys = true,
    .value = value,
    .complete = complete,
};

/* --- /tokenize --- */

static const char *const tokenize_keys[] = {"inputs", "add_special_tokens", NULL};
enum { ADD_SPECIAL_TOKENS = IFD_FIELDS_KEY(1) };

static inferd_status tokenize_value(struct ifd_decode *d, uint64_t path, enum ifd_json_event event,
                                    const char *s, size_t n, bool last, inferd_error *err)
{
    bool flag = true;
    inferd_status st;
    switch (path) {
    case P1(ADD_SPECIAL_TOKENS):
        st = ifd_fields_flag(event, "\"add_special_tokens\"", &flag, err);
        d->options.details = flag;
        return st;
    case P1(INPUTS):
        if (event == IFD_JSON_ARRAY_BEGIN || event == IFD_JSON_ARRAY_END)
            return INFERD_OK;
        break;
    default:
        break;
    }
    if (event != IFD_JSON_STRING)
        return ifd_fields_mismatch("\"inputs\"", "a text or a list of texts", event, err);
    return ifd_fields_text(d, s, n, last, "inputs", err);
}

static inferd_status tokenize_complete(struct ifd_decode *d, inferd_error *err)
{
    return d->texts.count > 0
               ? INFERD_OK
               : ifd_fail(err, INFERD_INVALID_REQUEST,
                          "\"inputs\" is missing or empty: a text or a list of texts");
}

static void tokenize_begin(struct ifd_decode *d)
{
    ifd_fields_begin(d);
    d->options.details = true; /* special tokens are shown */
}

const struct ifd_codec ifd_codec_tokenize = {
    .name = "tokenize",
    .media_type = "application/json",
    .begin = tokenize_begin,
    .feed = ifd_fields_feed,
    .finish = ifd_fields_finish,
    .error = encode_error,
    .keys = tokenize_keys,
    .ignores_unknown_keys = true,
    .value = tokenize_value,
    .complete = tokenize_complete,
};
