/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenize.c - `inferd tokenize`: texts in, {"ids":[...],"tokens":[...]} out, a line per text.
 */
#include <unistd.h>

#include "base/jsonout.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/model_args.h"
#include "cli/say.h"
#include "cli/source.h"
#include "model/model.h"

static const struct ifd_option options[] = {
    {.kind = IFD_OPTION_SECTION, .name = "Model"},
    IFD_MODEL_DIR_OPTION,
    IFD_MODEL_MAX_LENGTH_OPTION,
    IFD_MODEL_DTYPE_OPTION,
    IFD_MODEL_TIER_OPTION,
    {.kind = IFD_OPTION_SECTION, .name = "Input"},
    IFD_SOURCE_FORMAT_OPTION,
    IFD_SOURCE_COLUMN_OPTION,
    IFD_SOURCE_HEADER_OPTION,
    IFD_SOURCE_LINE_OPTION,
};

struct run {
    inferd_model *model;
    const struct ifd_tokenizer *tokenizer;
    struct ifd_tokenizer_scratch *scratch;
    int32_t *ids;
    uint32_t max_length;
    struct ifd_source source;
    struct ifd_out *out;
};

static void put(struct run *r, size_t count)
{
    struct ifd_buf *b = &r->out->buf;
    ifd_buf_add_str(b, "{\"ids\":[");
    for (size_t i = 0; i < count; i++)
        ifd_buf_printf(b, "%s%d", i ? "," : "", r->ids[i]);
    ifd_buf_add_str(b, "],\"tokens\":[");
    for (size_t i = 0; i < count; i++) {
        const char *token = ifd_tokenizer_token(r->tokenizer, r->ids[i]);
        if (i)
            ifd_buf_add_char(b, ',');
        if (token)
            ifd_jsonout_cstr(b, token);
        else
            ifd_buf_add_str(b, "null");
    }
    ifd_buf_add_str(b, "]}\n");
}

static enum ifd_exit failed(inferd_status s, const inferd_error *err)
{
    ifd_say_error("%s", err->message);
    return ifd_exit_of_input(s);
}

static enum ifd_exit work(struct run *r)
{
    inferd_error err;
    struct ifd_record record;
    for (;;) {
        if (!ifd_source_ready(&r->source) && !ifd_out_flush(r->out))
            return IFD_EXIT_IO;
        inferd_status s = ifd_source_next(&r->source, &record, &err);
        if (s)
            return failed(s, &err);
        if (!record.text)
            return IFD_EXIT_OK;
        size_t count;
        bool truncated;
        s = ifd_tokenizer_encode(r->tokenizer, r->scratch, record.text, record.size, r->max_length,
                                 r->ids, &count, &truncated, &err);
        if (s)
            return failed(s, &err);
        put(r, count);
        if (!ifd_out_line(r->out))
            return IFD_EXIT_IO;
    }
}

static enum ifd_exit run_tokenize(const struct ifd_options *o, struct ifd_out *out)
{
    struct run r = {.out = out};
    enum ifd_exit code = ifd_model_open_args(o, &r.model);
    if (code)
        return code;
    r.tokenizer = ifd_model_tokenizer(r.model);
    r.max_length = ifd_model_max_length(r.model);
    r.scratch = ifd_tokenizer_scratch_create();
    r.ids = ifd_alloc_array(r.max_length, sizeof(*r.ids));
    ifd_source_open(&r.source, o);
    if (r.scratch && r.ids) {
        code = work(&r);
    } else {
        ifd_say_error("no memory for %u token ids", r.max_length);
        code = IFD_EXIT_INTERNAL;
    }
    ifd_source_close(&r.source);
    ifd_tokenizer_scratch_free(r.scratch);
    ifd_free(r.ids);
    inferd_model_release(r.model);
    return code;
}

const struct ifd_command ifd_command_tokenize = {
    .name = "tokenize",
    .summary = "show the tokens of texts",
    .arguments = "[TEXT...]",
    .about =
        "Texts come as arguments or on standard input, as for classify. One line of output per\n"
        "text: {\"ids\":[...],\"tokens\":[...]}, special tokens included, cut at --max-length.\n",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .args_most = SIZE_MAX,
    .run = run_tokenize,
};
