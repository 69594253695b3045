/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_requests.h - the requests of a load, made once as the bytes that go out: sending one is one
 * system call and no work. They are sent in turn, from the first again after the last.
 */
#ifndef IFD_CLI_BENCH_REQUESTS_H
#define IFD_CLI_BENCH_REQUESTS_H

#include "base/buf.h"
#include "base/http_client.h"
#include "cli/records.h"

#define IFD_BENCH_REQUESTS_BYTES ((size_t)64 << 20) /* fewer distinct requests rather than more */
#define IFD_BENCH_REQUESTS_RANDOM 4096u             /* distinct ones in random order */

struct ifd_bench_texts {
    size_t count;
    /* private */
    struct ifd_buf bytes, ends; /* the texts; a size_t per text, where it ends */
};

void ifd_bench_texts_init(struct ifd_bench_texts *t);
void ifd_bench_texts_fini(struct ifd_bench_texts *t);
/* Sentences of 1 to 60 words that come with the program. */
IFD_MUST_CHECK inferd_status ifd_bench_texts_built_in(struct ifd_bench_texts *t, inferd_error *err);
/* All records of `fd`. Fails as ifd_records_next does, and when there are none. */
IFD_MUST_CHECK inferd_status ifd_bench_texts_read(struct ifd_bench_texts *t, int fd,
                                                  enum ifd_records_format format,
                                                  inferd_error *err);
IFD_MUST_CHECK inferd_status ifd_bench_texts_add(struct ifd_bench_texts *t, const char *text,
                                                 size_t size, inferd_error *err);

struct ifd_bench_requests {
    size_t count;
    /* private */
    struct ifd_buf bytes, ends;
};

struct ifd_bench_head {
    const struct ifd_url *url;
    const char *method; /* GET has no body, and there is then one request */
    const char *const
        *headers; /* [header_count] "Name: value", checked by ifd_bench_header_check */
    size_t header_count;
};

/* `inputs` texts per request, taken in order round and round, or at random by `seed`. */
IFD_MUST_CHECK inferd_status ifd_bench_requests_make(struct ifd_bench_requests *r,
                                                     const struct ifd_bench_head *head,
                                                     const struct ifd_bench_texts *texts,
                                                     size_t inputs, bool random, uint64_t seed,
                                                     inferd_error *err);
void ifd_bench_requests_fini(struct ifd_bench_requests *r);
/* Bytes of request i modulo count. */
const char *ifd_bench_requests_get(const struct ifd_bench_requests *r, size_t i, size_t *size);

/* INFERD_INVALID_ARGUMENT for a header that would end the head, or that the program writes. */
IFD_MUST_CHECK inferd_status ifd_bench_header_check(const char *header, inferd_error *err);

#endif
