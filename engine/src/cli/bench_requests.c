/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_requests.h"

#include <string.h>
#include <strings.h>

#include "base/jsonout.h"
#include "cli/bench_arrivals.h"

#define TEXTS_BYTES ((size_t)256 << 20)
#define LINE_BYTES ((size_t)16 << 20)

static const size_t *ends_of(const struct ifd_buf *b)
{
    return (const size_t *)(const void *)b->data; /* from realloc: aligned for any type */
}

static const char *slice(const struct ifd_buf *bytes, const struct ifd_buf *ends, size_t i,
                         size_t *size)
{
    size_t from = i ? ends_of(ends)[i - 1] : 0;
    *size = ends_of(ends)[i] - from;
    return *size ? bytes->data + from : "";
}

/* ---- texts --------------------------------------------------------------------------------- */

void ifd_bench_texts_init(struct ifd_bench_texts *t)
{
    *t = (struct ifd_bench_texts){0};
    ifd_buf_init(&t->bytes, TEXTS_BYTES);
    ifd_buf_init(&t->ends, TEXTS_BYTES);
}

void ifd_bench_texts_fini(struct ifd_bench_texts *t)
{
    ifd_buf_fini(&t->bytes);
    ifd_buf_fini(&t->ends);
}

inferd_status ifd_bench_texts_add(struct ifd_bench_texts *t, const char *text, size_t size,
                                  inferd_error *err)
{
    ifd_buf_add(&t->bytes, text, size);
    size_t end = t->bytes.size;
    ifd_buf_add(&t->ends, &end, sizeof(end));
    if (t->bytes.failed || t->ends.failed)
        return ifd_fail(err, INFERD_NO_MEMORY,
                        "the texts take more than 256 MiB, or memory is short: use fewer");
    t->count++;
    return INFERD_OK;
}

inferd_status ifd_bench_texts_read(struct ifd_bench_texts *t, int fd,
                                   enum ifd_records_format format, inferd_error *err)
{
    const struct ifd_records_options options = {
        .format = format, .header = true, .line_max = LINE_BYTES};
    struct ifd_records records;
    struct ifd_record record;
    inferd_status s;
    ifd_records_init(&records, fd, &options);
    while (!(s = ifd_records_next(&records, &record, err)) && record.text)
        if ((s = ifd_bench_texts_add(t, record.text, record.size, err)))
            break;
    ifd_records_fini(&records);
    if (!s && !t->count)
        s = ifd_fail(err, INFERD_INVALID_REQUEST, "there is no text in it: put one on each line");
    return s;
}

/* ---- requests ------------------------------------------------------------------------------ */

/* What the request's framing depends on is written here and nowhere else. */
inferd_status ifd_bench_header_check(const char *header, inferd_error *err)
{
    static const char *const ours[] = {"host",       "content-length", "transfer-encoding",
                                       "connection", "expect",         "upgrade"};
    size_t name = strcspn(header, ":"), size = strlen(header);
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)header[i] < ' ' || header[i] == 0x7F)
            return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                            "--header: a control character is in it; give one header each");
    if (name == 0 || !header[name] || strcspn(header, " \t") < name)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "--header %.64s: must be of the form 'Name: value'", header);
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (strlen(ours[i]) == name && strncasecmp(header, ours[i], name) == 0)
            return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                            "--header %.64s: bench frames its requests itself; leave it out",
                            header);
    return INFERD_OK;
}

static bool has_header(const struct ifd_bench_head *head, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < head->header_count; i++)
        if (strncasecmp(head->headers[i], name, n) == 0 && head->headers[i][n] == ':')
            return true;
    return false;
}

static void add_request(struct ifd_bench_requests *r, const struct ifd_bench_head *head,
                        const struct ifd_buf *body)
{
    struct ifd_buf *b = &r->bytes;
    ifd_buf_printf(b, "%s %s HTTP/1.1\r\nHost: %s\r\n", head->method, head->url->path,
                   head->url->authority);
    if (!has_header(head, "user-agent"))
        ifd_buf_add_str(b, "User-Agent: inferd-bench\r\n");
    for (size_t i = 0; i < head->header_count; i++)
        ifd_buf_printf(b, "%s\r\n", head->headers[i]);
    if (body && !has_header(head, "content-type"))
        ifd_buf_add_str(b, "Content-Type: application/json\r\n");
    if (body)
        ifd_buf_printf(b, "Content-Length: %zu\r\n", body->size);
    ifd_buf_add_str(b, "\r\n");
    if (body)
        ifd_buf_add(b, body->data, body->size);
    size_t end = b->size;
    ifd_buf_add(&r->ends, &end, sizeof(end));
    r->count++;
}

static size_t gcd(size_t a, size_t b)
{
    while (b) {
        size_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

inferd_status ifd_bench_requests_make(struct ifd_bench_requests *r,
                                      const struct ifd_bench_head *head,
                                      const struct ifd_bench_texts *texts, size_t inputs,
                                      bool random, uint64_t seed, inferd_error *err)
{
    struct ifd_buf body;
    size_t text = 0;
    *r = (struct ifd_bench_requests){0};
    ifd_buf_init(&r->bytes, 2 * IFD_BENCH_REQUESTS_BYTES + (texts ? texts->bytes.size * 8 : 0));
    ifd_buf_init(&r->ends, 2 * IFD_BENCH_REQUESTS_BYTES);
    ifd_buf_init(&body, SIZE_MAX / 2);
    if (!texts)
        add_request(r, head, NULL);
    /* in order the same requests come again after that many: every text at every place it takes */
    size_t count = !texts   ? 0
                   : random ? IFD_BENCH_REQUESTS_RANDOM
                            : texts->count / gcd(texts->count, inputs);
    for (size_t i = 0; i < count && (i == 0 || r->bytes.size < IFD_BENCH_REQUESTS_BYTES); i++) {
        ifd_buf_reset(&body);
        ifd_buf_add_str(&body, "{\"inputs\":[");
        for (size_t k = 0; k < inputs; k++) {
            size_t size;
            size_t which = random ? (size_t)(ifd_bench_random(&seed) % texts->count) : text;
            const char *s = slice(&texts->bytes, &texts->ends, which, &size);
            if (k)
                ifd_buf_add_char(&body, ',');
            ifd_jsonout_str(&body, s, size);
            text = (text + 1) % texts->count;
        }
        ifd_buf_add_str(&body, "]}");
        add_request(r, head, &body);
        if (body.failed)
            break;
    }
    bool failed = body.failed || r->bytes.failed || r->ends.failed;
    ifd_buf_fini(&body);
    if (!failed)
        return INFERD_OK;
    ifd_bench_requests_fini(r);
    return ifd_fail(err, INFERD_NO_MEMORY,
                    "no memory for the requests: use shorter texts or a lower --inputs");
}

void ifd_bench_requests_fini(struct ifd_bench_requests *r)
{
    ifd_buf_fini(&r->bytes);
    ifd_buf_fini(&r->ends);
    *r = (struct ifd_bench_requests){0};
}

const char *ifd_bench_requests_get(const struct ifd_bench_requests *r, size_t i, size_t *size)
{
    return slice(&r->bytes, &r->ends, i % r->count, size);
}
