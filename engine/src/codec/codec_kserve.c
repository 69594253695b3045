/* SPDX-License-Identifier: Apache-2.0
 *
 * codec_kserve.c - KServe's v1 protocol: {"instances": [...]} -> {"predictions": [...]}. An
 * instance is a text or {"text": "..."}; a prediction is a label's name with its confidence
 * (KServe's own runtime gives the label's index, which says little).
 */
#include "base/jsonout.h"
#include "codec/fields.h"

static const char *const keys[] = {"instances", "text", NULL};
enum { INSTANCES = IFD_FIELDS_KEY(0), TEXT, ITEM = IFD_FIELDS_ITEM };

static inferd_status value(struct ifd_decode *d, uint64_t path, enum ifd_json_event event,
                           const char *s, size_t n, bool last, inferd_error *err)
{
    static const char shape[] = "a list of texts, or of objects with \"text\"";
    switch (path) {
    case P1(INSTANCES):
        if (event == IFD_JSON_ARRAY_BEGIN || event == IFD_JSON_ARRAY_END)
            return INFERD_OK;
        break;
    case P2(INSTANCES, ITEM):
        if (event == IFD_JSON_OBJECT_BEGIN) {
            d->seen = d->texts.count;
            return INFERD_OK;
        }
        if (event == IFD_JSON_OBJECT_END)
            return d->seen != d->texts.count ? INFERD_OK
                                             : ifd_fail(err, INFERD_INVALID_REQUEST,
                                                        "instance %u has no \"text\"", d->seen);
        if (event == IFD_JSON_STRING)
            return ifd_fields_text(d, s, n, last, "instances", err);
        break;
    case P3(INSTANCES, ITEM, TEXT):
        if (event == IFD_JSON_STRING)
            return ifd_fields_text(d, s, n, last, "instances", err);
        break;
    default:
        break;
    }
    return ifd_fields_mismatch("\"instances\"", shape, event, err);
}

static inferd_status complete(struct ifd_decode *d, inferd_error *err)
{
    return d->texts.count > 0 ? INFERD_OK
                              : ifd_fail(err, INFERD_INVALID_REQUEST,
                                         "\"instances\" is missing or empty: a list of texts");
}

static void encode(const struct ifd_answer *a, struct ifd_buf *out)
{
    ifd_buf_add_str(out, "{\"predictions\":");
    for (uint32_t i = 0; i < a->count; i++) {
        ifd_buf_add_str(out, i ? ",{\"label\":" : "[{\"label\":");
        ifd_jsonout_cstr(out, a->label(a->model, a->results[i].label));
        ifd_buf_add_str(out, ",\"confidence\":");
        ifd_jsonout_fixed(out, (double)a->results[i].confidence, 6);
        ifd_buf_add_char(out, '}');
    }
    ifd_buf_add_str(out, "]}\n");
}

const struct ifd_codec ifd_codec_kserve = {
    .name = "kserve-v1",
    .media_type = "application/json",
    .begin = ifd_fields_begin,
    .feed = ifd_fields_feed,
    .finish = ifd_fields_finish,
    .encode = encode,
    .error = ifd_error_plain,
    .keys = keys,
    .ignores_unknown_keys = true,
    .value = value,
    .complete = complete,
};
