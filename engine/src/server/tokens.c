/* SPDX-License-Identifier: Apache-2.0 */
#include "server/tokens.h"

#include "base/jsonout.h"
#include "server/infer.h"

static void add_token(const inferd_model *model, int32_t id, bool special, bool first,
                      struct ifd_buf *body)
{
    const char *token = inferd_model_token(model, id);
    ifd_buf_printf(body, "%s{\"id\":%d,\"text\":", first ? "" : ",", (int)id);
    ifd_jsonout_cstr(body, token ? token : "");
    ifd_buf_printf(body, ",\"special\":%s,\"start\":null,\"stop\":null}",
                   special ? "true" : "false");
}

inferd_status ifd_tokens_answer(struct ifd_io *io, struct ifd_request *r, struct ifd_buf *body,
                                inferd_error *err)
{
    if (!io->engine)
        return ifd_fail(err, INFERD_LOADING, "the model is still loading; retry in a second");
    const inferd_model *model = ifd_engine_model(io->engine);
    const struct ifd_encoding *e = &r->encoding;
    const bool specials = r->decode.options.details;
    r->truncation = (uint8_t)io->server->config.long_text;
    inferd_status st = ifd_infer_tokenize(io, model, r, err);
    if (st)
        return st;
    ifd_buf_add_char(body, '[');
    for (uint32_t s = 0; s < e->sequences; s++) {
        const uint32_t begin = e->offsets[s], end = e->offsets[s + 1];
        bool first = true;
        ifd_buf_add_str(body, s ? ",[" : "[");
        for (uint32_t i = begin; i < end; i++) {
            const bool special = i == begin || i + 1 == end; /* [CLS] and [SEP] */
            if (special && !specials)
                continue;
            add_token(model, e->ids[i], special, first, body);
            first = false;
        }
        ifd_buf_add_char(body, ']');
    }
    ifd_buf_add_str(body, "]\n");
    ifd_infer_tell_truncation(r);
    return INFERD_OK;
}
