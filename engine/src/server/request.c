/* SPDX-License-Identifier: Apache-2.0 */
#include "server/request.h"

#include "base/mem.h"
#include "server/admin.h"

/* Enough for hundreds of usual requests, or some of the largest. */
#define POOL_MEMORY_MAX ((size_t)16 << 20)

static size_t memory_of(const struct ifd_request *r)
{
    return sizeof(*r) + r->head.capacity + r->admin_body.capacity +
           ifd_texts_memory(&r->decode.texts) + ifd_encoding_memory(&r->encoding) +
           r->logits_capacity * sizeof(*r->logits);
}

static void request_free(struct ifd_request *r)
{
    ifd_buf_fini(&r->head);
    ifd_buf_fini(&r->admin_body);
    ifd_decode_fini(&r->decode);
    ifd_encoding_fini(&r->encoding);
    ifd_free(r->logits);
    ifd_free(r);
}

struct ifd_request *ifd_request_take(struct ifd_request_pool *pool,
                                     const struct ifd_server_config *config)
{
    struct ifd_request *r = pool->free;
    if (r) {
        pool->free = r->next;
        pool->memory -= memory_of(r);
        ifd_http_reset(&r->http);
    } else {
        r = ifd_zalloc(sizeof(*r));
        if (!r)
            return NULL;
        const struct ifd_http_limits limits = {.head_bytes = config->max_header_bytes,
                                               .headers = config->max_headers,
                                               .target_bytes = config->max_target_bytes,
                                               .body_bytes = config->max_body_bytes};
        ifd_buf_init(&r->head, 2 * (size_t)config->max_header_bytes);
        ifd_buf_init(&r->admin_body, IFD_ADMIN_BODY_BYTES_MAX);
        ifd_http_init(&r->http, &limits, &r->head);
        ifd_decode_init(&r->decode, config->max_body_bytes, config->max_inputs);
    }
    r->job.engine = NULL;
    r->job.texts = 0;
    r->job.patient = false;
    r->conn = NULL;
    r->next = NULL;
    r->submitted = false;
    r->has_head = false;
    r->route = NULL;
    r->error.status = INFERD_OK;
    r->error.message[0] = '\0';
    r->allow = NULL;
    r->preflight = false;
    r->media_type = NULL;
    r->headers[0] = '\0';
    r->timeout_ms = 0;
    r->retry_after_s = 0;
    r->began_ns = r->parsed_ns = r->prepared_ns = 0;
    r->begun = false;
    ifd_ident_clear(&r->ident);
    r->mirror = NULL;
    r->stream = NULL;
    r->stream_begun = false;
    r->parent = NULL;
    ifd_buf_reset(&r->admin_body);
    return r;
}

void ifd_request_give(struct ifd_request_pool *pool, struct ifd_request *r)
{
    IFD_ASSERT(!r->submitted && !r->job.engine);
    size_t memory = memory_of(r);
    if (memory > POOL_MEMORY_MAX - pool->memory) {
        request_free(r);
        return;
    }
    pool->memory += memory;
    r->next = pool->free;
    pool->free = r;
}

void ifd_request_pool_fini(struct ifd_request_pool *pool)
{
    while (pool->free) {
        struct ifd_request *r = pool->free;
        pool->free = r->next;
        request_free(r);
    }
    pool->memory = 0;
}

inferd_status ifd_request_reserve_logits(struct ifd_request *r, uint32_t labels, inferd_error *err)
{
    const size_t count = (size_t)r->encoding.sequences * labels; /* 2^16 * 2^32 fits */
    if (count <= r->logits_capacity)
        return INFERD_OK;
    float *logits = ifd_alloc_array(count, sizeof(*logits));
    if (!logits)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for %zu logits", count);
    ifd_free(r->logits);
    r->logits = logits;
    r->logits_capacity = count;
    return INFERD_OK;
}
