/* SPDX-License-Identifier: Apache-2.0 */
#include "server/request.h"

#include "base/mem.h"
#include "server/admin.h"

/* Enough for hundreds of usual requests, or some of the largest. */
#define POOL_MEMORY_MAX ((size_t)16 << 20)

static size_t memory_of(const struct ifd_request *r)
{
    return sizeof(*r) + r->head.capacity + r->admin_body.capacity +
           ifd_texts_memory(&r->decode.texts) + r->ids_capacity * sizeof(*r->ids) +
           r->texts_capacity * (sizeof(*r->offsets) + sizeof(*r->results));
}

static void request_free(struct ifd_request *r)
{
    ifd_buf_fini(&r->head);
    ifd_buf_fini(&r->admin_body);
    ifd_decode_fini(&r->decode);
    ifd_free(r->ids);
    ifd_free(r->offsets);
    ifd_free(r->results);
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
    r->conn = NULL;
    r->next = NULL;
    r->submitted = false;
    r->has_head = false;
    r->route = NULL;
    r->error.status = INFERD_OK;
    r->error.message[0] = '\0';
    r->allow = NULL;
    r->media_type = NULL;
    r->headers[0] = '\0';
    r->timeout_ms = 0;
    r->retry_after_s = 0;
    r->began_ns = r->parsed_ns = 0;
    r->begun = false;
    ifd_ident_clear(&r->ident);
    r->mirror = NULL;
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

/* The array with room for `count` elements, its content kept; NULL when out of memory. */
static void *grown(void *array, size_t count, size_t size)
{
    size_t bytes;
    return ifd_size_mul(count, size, &bytes) ? ifd_realloc(array, bytes) : NULL;
}

inferd_status ifd_request_reserve_texts(struct ifd_request *r, size_t texts, inferd_error *err)
{
    if (texts <= r->texts_capacity)
        return INFERD_OK;
    size_t capacity = texts < 8 ? 8 : texts;
    uint32_t *offsets = grown(r->offsets, capacity + 1, sizeof(*offsets));
    if (offsets)
        r->offsets = offsets;
    inferd_result *results = grown(r->results, capacity, sizeof(*results));
    if (results)
        r->results = results;
    if (!offsets || !results)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for %zu texts", texts);
    r->texts_capacity = capacity;
    return INFERD_OK;
}

inferd_status ifd_request_reserve_ids(struct ifd_request *r, size_t ids, inferd_error *err)
{
    if (ids <= r->ids_capacity)
        return INFERD_OK;
    size_t capacity = r->ids_capacity ? r->ids_capacity : 512;
    while (capacity < ids)
        capacity += capacity / 2;
    int32_t *now = grown(r->ids, capacity, sizeof(*now));
    if (!now)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for %zu token ids", ids);
    r->ids = now;
    r->ids_capacity = capacity;
    return INFERD_OK;
}
