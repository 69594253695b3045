/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/batch.h"

#include "base/cgroup.h"
#include "base/mem.h"

#define ENOUGH_BYTES ((size_t)1 << 20)

inferd_status ifd_batch_open(struct ifd_batch *b, inferd_model *model, uint32_t threads,
                             uint32_t batch_tokens, size_t text_max, inferd_error *err)
{
    *b = (struct ifd_batch){0};
    inferd_model_info info = {.struct_size = sizeof(info)};
    inferd_model_get_info(model, &info);
    b->labels = info.labels;
    b->logits = ifd_alloc_array((size_t)IFD_BATCH_TEXTS * info.labels, sizeof(float));
    if (!b->logits)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for a batch");
    ifd_buf_init(&b->bytes, ENOUGH_BYTES + text_max);
    const inferd_session_options options = {
        .struct_size = sizeof(options),
        .threads = threads ? threads : ifd_cpu_budget(),
        .max_batch_tokens = batch_tokens,
    };
    inferd_status s = inferd_session_open(model, &options, &b->session, err);
    if (s)
        ifd_batch_close(b);
    return s;
}

void ifd_batch_close(struct ifd_batch *b)
{
    inferd_session_close(b->session);
    ifd_free(b->logits);
    ifd_buf_fini(&b->bytes);
    *b = (struct ifd_batch){0};
}

inferd_status ifd_batch_add(struct ifd_batch *b, const char *text, size_t size, uint32_t tag,
                            inferd_error *err)
{
    IFD_ASSERT(!ifd_batch_full(b));
    ifd_buf_add(&b->bytes, text, size);
    if (b->bytes.failed)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for a text of %zu bytes", size);
    b->size[b->count] = size;
    b->tag[b->count++] = tag;
    return INFERD_OK;
}

bool ifd_batch_full(const struct ifd_batch *b)
{
    return b->count == IFD_BATCH_TEXTS || b->bytes.size >= ENOUGH_BYTES;
}

inferd_status ifd_batch_run(struct ifd_batch *b, inferd_error *err)
{
    inferd_text texts[IFD_BATCH_TEXTS];
    const char *at = b->bytes.data ? b->bytes.data : "";
    for (size_t i = 0; i < b->count; i++) {
        texts[i] = (inferd_text){at, b->size[i]};
        at += b->size[i];
    }
    return inferd_classify(b->session, texts, b->count, b->result, b->logits, err);
}

void ifd_batch_clear(struct ifd_batch *b)
{
    ifd_buf_reset(&b->bytes);
    b->count = 0;
}
