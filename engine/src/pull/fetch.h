/* SPDX-License-Identifier: Apache-2.0
 *
 * fetch.h - one HTTP GET by libcurl, with what a hub needs: redirects that are followed by hand so
 * that a token reaches no other host, and a range for what is still missing.
 *
 * One fetch at a time; one thread.
 */
#ifndef IFD_PULL_FETCH_H
#define IFD_PULL_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct ifd_fetch {
    const char *endpoint; /* of the hub, without a slash at the end */
    const char *token;    /* NULL: none. Sent to the endpoint's scheme, host and port alone */
    uint64_t stall_ms;    /* without a byte: given up */
    /* private */
    void *curl;
};

/* Where the body goes: into `body`, or from `offset` on into the file `fd`, which is cut there
 * first. */
struct ifd_fetch_job {
    const char *url;
    struct ifd_buf *body;
    int fd;
    uint64_t offset;
    uint64_t most; /* bytes of the whole file; a longer answer is refused. UINT64_MAX: any */
    void (*progress)(void *ctx, uint64_t bytes); /* of the file so far; may be NULL */
    void *ctx;
};

struct ifd_fetch_answer {
    int status;             /* of the last hop; 0: no answer came */
    char etag[160];         /* of the first hop: X-Linked-ETag, else ETag */
    char error_code[64];    /* X-Error-Code of the hub */
    unsigned retry_after_s; /* 0: not said */
    uint64_t end;           /* bytes that the file has now */
    bool disk;              /* the failure was ours: writing */
};

IFD_MUST_CHECK inferd_status ifd_fetch_init(struct ifd_fetch *f, inferd_error *err);
void ifd_fetch_fini(struct ifd_fetch *f);

/* INFERD_OK: an answer came, whatever its status; its body was taken if it is 200 or 206.
 * INFERD_IO: none came, it was cut short, or the file could not be written (`disk`). Then what came
 * stays in the file. INFERD_INVALID_HTTP: an answer that must not be trusted: a redirect away from
 * TLS, another range than was asked for, more bytes than the file has. */
IFD_MUST_CHECK inferd_status ifd_fetch_get(struct ifd_fetch *f, const struct ifd_fetch_job *job,
                                           struct ifd_fetch_answer *out, inferd_error *err);

/* An URL's scheme, host and port into out[size] ("https://host:443"); false when it is no http or
 * https URL. */
bool ifd_fetch_origin(const char *url, char *out, size_t size);
/* May a token be sent there: https, or this machine's loopback? */
bool ifd_fetch_is_safe(const char *url);

#endif
