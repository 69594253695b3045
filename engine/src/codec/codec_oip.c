/* SPDX-License-Identifier: Apache-2.0
 *
 * codec_oip.c - Open Inference Protocol v2: infer, with the binary tensor data extension.
 *
 * One input, `text`: BYTES of shape [n] or [n, 1]. Outputs `label` BYTES [n], `confidence` FP32
 * [n], `logits` FP32 [n, labels]; all of them where none is named. In binary form a text or label
 * is four bytes of length, the least significant first, and its bytes; a number is its four bytes.
 * Written from the protocol's own text (kserve/open-inference-protocol) and Triton's
 * extension_binary_data; tested with PyPI tritonclient.
 */
#include <limits.h>
#include <string.h>

#include "base/jsonout.h"
#include "base/utf8.h"
#include "codec/fields.h"

enum { OUT_LABEL = 1, OUT_CONFIDENCE = 2, OUT_LOGITS = 4, OUT_ALL = 7 };
static const char *const output_names[] = {"label", "confidence", "logits"};
#define OUTPUTS 3u

static const char *const keys[] = {
    "id",       "inputs", "outputs",          "parameters",  "name",           "shape",
    "datatype", "data",   "binary_data_size", "binary_data", "classification", "binary_data_output",
    "timeout",  NULL,
};
enum {
    ID = IFD_FIELDS_KEY(0),
    INPUTS,
    OUTPUTS_KEY,
    PARAMETERS,
    NAME,
    SHAPE,
    DATATYPE,
    DATA,
    BINARY_DATA_SIZE,
    BINARY_DATA,
    CLASSIFICATION,
    BINARY_DATA_OUTPUT,
    TIMEOUT,
    ITEM = IFD_FIELDS_ITEM,
};

static inferd_status bad(inferd_error *err, const char *what)
{
    return ifd_fail(err, INFERD_INVALID_REQUEST, "%s", what);
}

/* --- the JSON part --- */

/* A whole number of any size that fits. */
static bool kept_number(const struct ifd_decode *d, uint64_t *out)
{
    uint64_t value = 0;
    if (d->key_size < 1 || d->key_size > 18)
        return false;
    for (uint32_t i = 0; i < d->key_size; i++) {
        if (d->key[i] < '0' || d->key[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(d->key[i] - '0');
    }
    *out = value;
    return true;
}

static inferd_status take_number(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                                 size_t n, bool last, const char *what, uint64_t *out,
                                 inferd_error *err)
{
    if (event != IFD_JSON_NUMBER)
        return ifd_fields_mismatch(what, "a whole number", event, err);
    if (ifd_fields_keep(d, s, n, last) && !kept_number(d, out))
        return ifd_fail(err, INFERD_INVALID_REQUEST, "%s must be a whole number", what);
    return INFERD_OK;
}

static inferd_status take_id(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                             size_t n, inferd_error *err)
{
    if (event != IFD_JSON_STRING)
        return ifd_fields_mismatch("\"id\"", "a string", event, err);
    const size_t used = strlen(d->tensor.id);
    if (n > IFD_CODEC_NAME_MAX - used || memchr(s, '\0', n))
        return ifd_fail(err, INFERD_INVALID_REQUEST,
                        "\"id\" must have at most %u bytes, without NUL", IFD_CODEC_NAME_MAX);
    memcpy(d->tensor.id + used, s, n);
    d->tensor.id[used + n] = '\0';
    return INFERD_OK;
}

static inferd_status take_input_name(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                                     size_t n, bool last, inferd_error *err)
{
    if (event != IFD_JSON_STRING)
        return ifd_fields_mismatch("an input's \"name\"", "a string", event, err);
    if (ifd_fields_keep(d, s, n, last) && !ifd_fields_kept_is(d, "text"))
        return bad(err, "the model has one input, \"text\"");
    d->tensor.has_name = true;
    return INFERD_OK;
}

static inferd_status take_datatype(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                                   size_t n, bool last, inferd_error *err)
{
    if (event != IFD_JSON_STRING)
        return ifd_fields_mismatch("\"datatype\"", "a string", event, err);
    if (ifd_fields_keep(d, s, n, last) && !ifd_fields_kept_is(d, "BYTES"))
        return bad(err, "the input \"text\" has the datatype BYTES");
    d->tensor.is_bytes = true;
    return INFERD_OK;
}

static inferd_status take_dimension(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                                    size_t n, bool last, inferd_error *err)
{
    struct ifd_tensor_request *t = &d->tensor;
    uint64_t size = 0;
    inferd_status st = take_number(d, event, s, n, last, "a dimension", &size, err);
    if (st || !last)
        return st;
    if (t->rank == 2)
        return bad(err, "the input \"text\" has the shape [n] or [n, 1]");
    t->shape[t->rank++] = size;
    return INFERD_OK;
}

static inferd_status take_text(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                               size_t n, bool last, inferd_error *err)
{
    if (event != IFD_JSON_STRING)
        return ifd_fields_mismatch("an element of \"text\"", "a string", event, err);
    return ifd_fields_text(d, s, n, last, "text", err);
}

static inferd_status take_output_name(struct ifd_decode *d, enum ifd_json_event event,
                                      const char *s, size_t n, bool last, inferd_error *err)
{
    if (event != IFD_JSON_STRING)
        return ifd_fields_mismatch("an output's \"name\"", "a string", event, err);
    if (!ifd_fields_keep(d, s, n, last))
        return INFERD_OK;
    for (unsigned i = 0; i < OUTPUTS; i++)
        if (ifd_fields_kept_is(d, output_names[i])) {
            d->tensor.output = (uint8_t)(1u << i);
            return INFERD_OK;
        }
    return bad(err, "the model has the outputs \"label\", \"confidence\" and \"logits\"");
}

static inferd_status end_output(struct ifd_decode *d, inferd_error *err)
{
    struct ifd_tensor_request *t = &d->tensor;
    if (!t->output)
        return bad(err, "an output has no \"name\"");
    t->outputs |= t->output;
    /* those that do not say are decided at the end */
    if (t->output_form == 2)
        t->binary |= t->output;
    else if (t->output_form == 1)
        t->binary |= (uint8_t)(t->output << 4);
    return INFERD_OK;
}

static inferd_status take_timeout(struct ifd_decode *d, enum ifd_json_event event, const char *s,
                                  size_t n, bool last, inferd_error *err)
{
    uint64_t us = 0;
    inferd_status st = take_number(d, event, s, n, last, "\"timeout\" (microseconds)", &us, err);
    if (!st && last && us > 0) {
        const uint64_t ms = us / 1000 + (us % 1000 != 0);
        d->options.timeout_ms = ms < 86400000 ? (uint32_t)ms : 86400000;
    }
    return st;
}

/* Objects and lists where there should be some. */
static inferd_status container(uint64_t path, enum ifd_json_event event, struct ifd_decode *d,
                               inferd_error *err)
{
    const bool object = event == IFD_JSON_OBJECT_BEGIN || event == IFD_JSON_OBJECT_END;
    switch (path) {
    case P1(PARAMETERS):
    case P2(INPUTS, ITEM):
    case P2(OUTPUTS_KEY, ITEM):
    case P3(INPUTS, ITEM, PARAMETERS):
    case P3(OUTPUTS_KEY, ITEM, PARAMETERS):
        if (!object)
            return ifd_fields_mismatch("the value", "an object", event, err);
        break;
    case P1(INPUTS):
    case P1(OUTPUTS_KEY):
    case P3(INPUTS, ITEM, SHAPE):
    case P3(INPUTS, ITEM, DATA):
    case P4(INPUTS, ITEM, DATA, ITEM):
        if (object || event == IFD_JSON_NULL)
            return ifd_fields_mismatch("the value", "a list", event, err);
        break;
    default:
        return ifd_fail(err, INFERD_INVALID_REQUEST, "%s is not expected where it is",
                        ifd_fields_event_name(event));
    }
    if (path == P2(INPUTS, ITEM) && event == IFD_JSON_OBJECT_BEGIN) {
        if (d->tensor.has_input)
            return bad(err, "the model has one input, \"text\"");
        d->tensor.has_input = true;
    } else if (path == P3(INPUTS, ITEM, DATA)) {
        d->tensor.has_data = true;
    } else if (path == P2(OUTPUTS_KEY, ITEM) && event == IFD_JSON_OBJECT_BEGIN) {
        d->tensor.output = d->tensor.output_form = 0;
    } else if (path == P2(OUTPUTS_KEY, ITEM)) {
        return end_output(d, err);
    }
    return INFERD_OK;
}

static inferd_status value(struct ifd_decode *d, uint64_t path, enum ifd_json_event event,
                           const char *s, size_t n, bool last, inferd_error *err)
{
    struct ifd_tensor_request *t = &d->tensor;
    bool flag = false;
    uint64_t number = 0;
    inferd_status st = INFERD_OK;
    if (event <= IFD_JSON_ARRAY_END)
        return container(path, event, d, err);
    switch (path) {
    case P1(ID):
        return take_id(d, event, s, n, err);
    case P3(INPUTS, ITEM, NAME):
        return take_input_name(d, event, s, n, last, err);
    case P3(INPUTS, ITEM, DATATYPE):
        return take_datatype(d, event, s, n, last, err);
    case P4(INPUTS, ITEM, SHAPE, ITEM):
        return take_dimension(d, event, s, n, last, err);
    case P4(INPUTS, ITEM, DATA, ITEM):
    case P5(INPUTS, ITEM, DATA, ITEM, ITEM):
        return take_text(d, event, s, n, last, err);
    case P4(INPUTS, ITEM, PARAMETERS, BINARY_DATA_SIZE):
        st = take_number(d, event, s, n, last, "\"binary_data_size\"", &t->binary_bytes, err);
        t->has_binary = true;
        return st;
    case P3(OUTPUTS_KEY, ITEM, NAME):
        return take_output_name(d, event, s, n, last, err);
    case P4(OUTPUTS_KEY, ITEM, PARAMETERS, BINARY_DATA):
        st = ifd_fields_flag(event, "\"binary_data\"", &flag, err);
        t->output_form = flag ? 2 : 1;
        return st;
    case P4(OUTPUTS_KEY, ITEM, PARAMETERS, CLASSIFICATION):
        st = take_number(d, event, s, n, last, "\"classification\"", &number, err);
        return !st && last && number > 0
                   ? bad(err, "the classification extension is not there: ask for the output "
                              "\"label\"")
                   : st;
    case P2(PARAMETERS, BINARY_DATA_OUTPUT):
        return ifd_fields_flag(event, "\"binary_data_output\"", &t->binary_outputs, err);
    case P2(PARAMETERS, TIMEOUT):
        return take_timeout(d, event, s, n, last, err);
    default:
        if (path >> 8 == P1(PARAMETERS) || path >> 8 == P3(INPUTS, ITEM, PARAMETERS) ||
            path >> 8 == P3(OUTPUTS_KEY, ITEM, PARAMETERS))
            return INFERD_OK; /* a parameter of another place */
        return ifd_fail(err, INFERD_INVALID_REQUEST, "%s is not expected where it is",
                        ifd_fields_event_name(event));
    }
}

/* --- the binary part --- */

/* A text that is complete, as JSON's parser would have checked it: here nobody has. */
static inferd_status check_utf8(const struct ifd_texts *texts, inferd_error *err)
{
    const uint32_t i = texts->count - 1;
    const inferd_text text = ifd_texts_get(texts, i);
    const size_t valid = ifd_utf8_check(text.data, text.size);
    if (valid == text.size)
        return INFERD_OK;
    return ifd_fail(err, INFERD_INVALID_UTF8, "text %u of \"text\" is not valid UTF-8 at byte %zu",
                    i, valid);
}

static inferd_status feed_binary(struct ifd_decode *d, const char *bytes, size_t n,
                                 inferd_error *err)
{
    struct ifd_tensor_request *t = &d->tensor;
    inferd_status st = INFERD_OK;
    while (n > 0 && !st) {
        if (!t->in_binary) {
            t->length |= (uint32_t)(unsigned char)*bytes++ << (8 * t->length_bytes++);
            n--;
            t->in_binary = t->length_bytes == 4;
            if (t->in_binary && t->length == 0)
                st = ifd_fields_text(d, "", 0, true, "text", err); /* says that it is empty */
            continue;
        }
        const size_t piece = n < t->length ? n : t->length;
        t->length -= (uint32_t)piece;
        st = ifd_fields_text(d, bytes, piece, t->length == 0, "text", err);
        bytes += piece;
        n -= piece;
        if (t->length == 0) {
            if (!st)
                st = check_utf8(&d->texts, err);
            t->in_binary = false;
            t->length_bytes = 0;
        }
    }
    return st;
}

static inferd_status feed(struct ifd_decode *d, const char *bytes, size_t n, inferd_error *err)
{
    const size_t head = n < d->json_left ? n : (size_t)d->json_left;
    inferd_status st = ifd_fields_feed(d, bytes, head, err);
    if (d->json_left != UINT64_MAX)
        d->json_left -= head;
    if (st || head == n || d->refused)
        return st;
    if (!d->tensor.has_binary) {
        (void)ifd_fail(&d->refusal, INFERD_INVALID_REQUEST,
                       "bytes follow the JSON, but no input has \"binary_data_size\"");
        d->refused = true;
        return INFERD_OK;
    }
    st = feed_binary(d, bytes + head, n - head, &d->refusal);
    if (st == INFERD_NO_MEMORY) {
        *err = d->refusal;
        return st;
    }
    d->refused = st != INFERD_OK;
    d->tensor.binary_bytes -= n - head; /* what is missing or too much is seen at the end */
    return INFERD_OK;
}

static inferd_status complete(struct ifd_decode *d, inferd_error *err)
{
    struct ifd_tensor_request *t = &d->tensor;
    if (!t->has_input || !t->has_name || !t->is_bytes || t->rank == 0)
        return bad(err, "\"inputs\" must have one tensor with \"name\": \"text\", \"datatype\": "
                        "\"BYTES\", and \"shape\"");
    if (t->has_data == t->has_binary)
        return bad(err, "the input \"text\" needs either \"data\" or \"binary_data_size\"");
    if (t->has_binary && (d->json_left != 0 || t->binary_bytes != 0 || t->length_bytes != 0))
        return bad(err, "the bytes after the JSON are not those that \"binary_data_size\" and "
                        "Inference-Header-Content-Length say");
    const uint64_t elements = t->shape[0] * (t->rank == 2 ? t->shape[1] : 1);
    if ((t->rank == 2 && t->shape[1] != 1) || elements != d->texts.count || elements == 0)
        return ifd_fail(err, INFERD_INVALID_REQUEST,
                        "the shape of \"text\" must be [n] or [n, 1] with n the number of texts, "
                        "which is %u; at least 1",
                        d->texts.count);
    const uint8_t json = t->binary >> 4;
    if (t->outputs == 0)
        t->outputs = OUT_ALL;
    t->binary = t->binary_outputs ? (uint8_t)(t->outputs & ~json) : (uint8_t)(t->binary & OUT_ALL);
    d->options.raw_scores = (t->outputs & OUT_LOGITS) != 0;
    return INFERD_OK;
}

/* --- answers --- */

static size_t binary_bytes(const struct ifd_answer *a, unsigned output)
{
    size_t bytes = 0;
    if (output == OUT_CONFIDENCE)
        return (size_t)a->count * sizeof(float);
    if (output == OUT_LOGITS)
        return (size_t)a->count * a->labels * sizeof(float);
    for (uint32_t i = 0; i < a->count; i++)
        bytes += 4 + strlen(a->label(a->model, a->results[i].label));
    return bytes;
}

static void add_u32(struct ifd_buf *out, uint32_t v)
{
    const unsigned char bytes[4] = {(unsigned char)v, (unsigned char)(v >> 8),
                                    (unsigned char)(v >> 16), (unsigned char)(v >> 24)};
    ifd_buf_add(out, bytes, sizeof(bytes));
}

static void add_float_bytes(struct ifd_buf *out, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    add_u32(out, bits);
}

static void add_binary(const struct ifd_answer *a, unsigned output, struct ifd_buf *out)
{
    for (uint32_t i = 0; i < a->count; i++) {
        if (output == OUT_CONFIDENCE) {
            add_float_bytes(out, a->results[i].confidence);
        } else if (output == OUT_LOGITS) {
            for (uint32_t c = 0; c < a->labels; c++)
                add_float_bytes(out, a->logits[(size_t)i * a->labels + c]);
        } else {
            const char *label = a->label(a->model, a->results[i].label);
            add_u32(out, (uint32_t)strlen(label));
            ifd_buf_add_str(out, label);
        }
    }
}

static void add_data(const struct ifd_answer *a, unsigned output, struct ifd_buf *out)
{
    ifd_buf_add_str(out, ",\"data\":[");
    for (uint32_t i = 0; i < a->count; i++) {
        if (i)
            ifd_buf_add_char(out, ',');
        if (output == OUT_CONFIDENCE)
            ifd_jsonout_float(out, a->results[i].confidence);
        else if (output == OUT_LABEL)
            ifd_jsonout_cstr(out, a->label(a->model, a->results[i].label));
        for (uint32_t c = 0; output == OUT_LOGITS && c < a->labels; c++) {
            if (c)
                ifd_buf_add_char(out, ',');
            ifd_jsonout_float(out, a->logits[(size_t)i * a->labels + c]);
        }
    }
    ifd_buf_add_char(out, ']');
}

static void encode(const struct ifd_answer *a, struct ifd_buf *out)
{
    const struct ifd_tensor_request *t = &a->request->tensor;
    bool first = true;
    ifd_buf_add_char(out, '{');
    if (t->id[0]) {
        ifd_buf_add_str(out, "\"id\":");
        ifd_jsonout_cstr(out, t->id);
        ifd_buf_add_char(out, ',');
    }
    ifd_buf_add_str(out, "\"model_name\":");
    ifd_jsonout_cstr(out, a->model_name);
    ifd_buf_add_str(out, ",\"model_version\":\"1\",\"outputs\":[");
    for (unsigned i = 0; i < OUTPUTS; i++) {
        const unsigned bit = 1u << i;
        if (!(t->outputs & bit))
            continue;
        ifd_buf_printf(out, "%s{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":[%u",
                       first ? "" : ",", output_names[i], bit == OUT_LABEL ? "BYTES" : "FP32",
                       a->count);
        if (bit == OUT_LOGITS)
            ifd_buf_printf(out, ",%u", a->labels);
        ifd_buf_add_char(out, ']');
        if (t->binary & bit)
            ifd_buf_printf(out, ",\"parameters\":{\"binary_data_size\":%zu}", binary_bytes(a, bit));
        else
            add_data(a, bit, out);
        ifd_buf_add_char(out, '}');
        first = false;
    }
    ifd_buf_add_str(out, "]}");
    if (!t->binary) {
        ifd_buf_add_char(out, '\n');
        return;
    }
    ifd_answer_header(a, "Inference-Header-Content-Length: %zu\r\n", out->size);
    if (a->head)
        a->head->media_type = "application/octet-stream";
    for (unsigned i = 0; i < OUTPUTS; i++)
        if (t->binary & (1u << i))
            add_binary(a, 1u << i, out);
}

const struct ifd_codec ifd_codec_oip = {
    .name = "oip",
    .media_type = "application/json",
    .begin = ifd_fields_begin,
    .feed = feed,
    .finish = ifd_fields_finish,
    .encode = encode,
    .error = ifd_error_plain,
    .keys = keys,
    .ignores_unknown_keys = true,
    .value = value,
    .complete = complete,
    .takes_binary = true,
};
