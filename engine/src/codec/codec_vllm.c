/* SPDX-License-Identifier: Apache-2.0
 *
 * codec_vllm.c - POST /classify of vLLM (and SGLang's /v1/classify): "input" is a text or a list of
 * texts; the answer has every label's probability in the model's own order.
 *
 * Token ids as input and chat messages are refused; keys that do not touch the result (user,
 * priority, ...) are ignored, as there.
 */
#include <string.h>

#include "base/jsonout.h"
#include "codec/fields.h"

static const char *const keys[] = {"model",          "input",   "truncate_prompt_tokens",
                                   "use_activation", "softmax", "activation",
                                   "messages",       NULL};
enum {
    MODEL = IFD_FIELDS_KEY(0),
    INPUT,
    TRUNCATE_PROMPT_TOKENS,
    USE_ACTIVATION,
    SOFTMAX,
    ACTIVATION,
    MESSAGES,
    ITEM = IFD_FIELDS_ITEM,
};

static inferd_status take_model(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                                size_t n, inferd_error *err)
{
    if (event == IFD_JSON_NULL)
        return INFERD_OK;
    if (event != IFD_JSON_STRING)
        return ifd_fields_mismatch("\"model\"", "a string", event, err);
    const size_t used = strlen(d->model);
    if (n > IFD_CODEC_NAME_MAX - used || memchr(s, '\0', n))
        return ifd_fail(err, INFERD_NOT_FOUND, "there is no model of such a long name here");
    memcpy(d->model + used, s, n);
    d->model[used + n] = '\0';
    return INFERD_OK;
}

static inferd_status value(struct ifd_decode *d, uint64_t path, enum ifd_json_event event,
                           const char *s, size_t n, bool last, inferd_error *err)
{
    bool flag = true;
    inferd_status st;
    switch (path) {
    case P1(MODEL):
        return take_model(d, event, s, n, err);
    case P1(TRUNCATE_PROMPT_TOKENS):
        if (event == IFD_JSON_NULL)
            return INFERD_OK;
        if (event != IFD_JSON_NUMBER ||
            (ifd_fields_keep(d, s, n, last) && !ifd_fields_kept_is(d, "-1")))
            return ifd_fail(err, INFERD_INVALID_REQUEST,
                            "\"truncate_prompt_tokens\" may be -1, the length that the server has "
                            "(--max-length), and nothing else");
        d->options.truncation = IFD_TRUNCATION_RIGHT;
        return INFERD_OK;
    case P1(USE_ACTIVATION):
    case P1(SOFTMAX):
    case P1(ACTIVATION):
        if (event == IFD_JSON_NULL)
            return INFERD_OK;
        st = ifd_fields_flag(event, "\"use_activation\"", &flag, err);
        d->options.raw_scores = !flag;
        return st;
    case P1(INPUT):
        if (event == IFD_JSON_ARRAY_BEGIN || event == IFD_JSON_ARRAY_END)
            return INFERD_OK;
        break;
    case P2(INPUT, ITEM):
        break;
    case P1(MESSAGES):
        return ifd_fail(err, INFERD_INVALID_REQUEST,
                        "chat messages are not taken: send texts as \"input\"");
    default:
        return ifd_fields_mismatch("\"input\"", "a text or a list of texts", event, err);
    }
    if (event != IFD_JSON_STRING)
        return ifd_fields_mismatch("\"input\"", "a text or a list of texts", event, err);
    return ifd_fields_text(d, s, n, last, "input", err);
}

static inferd_status complete(struct ifd_decode *d, inferd_error *err)
{
    if (d->texts.count == 0)
        return ifd_fail(err, INFERD_INVALID_REQUEST,
                        "\"input\" is missing or empty: a text or a list of texts");
    d->options.top_k = 0;
    return INFERD_OK;
}

static void encode(const struct ifd_answer *a, struct ifd_buf *out)
{
    unsigned long long tokens = 0;
    ifd_buf_printf(out, "{\"id\":\"classify-%s\",\"object\":\"list\",\"created\":%llu,\"model\":",
                   a->request_id, (unsigned long long)a->unix_s);
    ifd_jsonout_cstr(out, a->model_name);
    ifd_buf_add_str(out, ",\"data\":[");
    for (uint32_t i = 0; i < a->count; i++) {
        const float *logits = a->logits + (size_t)i * a->labels;
        a->scores(a->model, logits, a->ranking->scores);
        ifd_buf_printf(out, "%s{\"index\":%u,\"label\":", i ? "," : "", i);
        ifd_jsonout_cstr(out, a->label(a->model, a->results[i].label));
        ifd_buf_add_str(out, ",\"probs\":[");
        for (uint32_t c = 0; c < a->labels; c++) {
            if (c)
                ifd_buf_add_char(out, ',');
            ifd_jsonout_float(out,
                              a->request->options.raw_scores ? logits[c] : a->ranking->scores[c]);
        }
        ifd_buf_printf(out, "],\"num_classes\":%u}", a->labels);
        tokens += a->results[i].tokens;
    }
    ifd_buf_printf(out,
                   "],\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu,"
                   "\"completion_tokens\":0,\"prompt_tokens_details\":null}}\n",
                   tokens, tokens);
}

static void encode_error(const inferd_error *error, int http, const char *request_id,
                         struct ifd_buf *out)
{
    const char *type = "BadRequestError";
    (void)request_id;
    if (http == 404)
        type = "NotFoundError";
    else if (http == 401 || http == 403)
        type = "AuthenticationError";
    else if (http == 429)
        type = "RateLimitError";
    else if (http >= 500)
        type = "InternalServerError";
    ifd_buf_add_str(out, "{\"error\":{\"message\":");
    ifd_jsonout_cstr(out, error->message[0] ? error->message : inferd_status_text(error->status));
    ifd_buf_printf(out, ",\"type\":\"%s\",\"param\":null,\"code\":%d}}\n", type, http);
}

const struct ifd_codec ifd_codec_vllm = {
    .name = "vllm",
    .media_type = "application/json",
    .needs_logits = true,
    .begin = ifd_fields_begin,
    .feed = ifd_fields_feed,
    .finish = ifd_fields_finish,
    .encode = encode,
    .error = encode_error,
    .keys = keys,
    .ignores_unknown_keys = true,
    .value = value,
    .complete = complete,
};
