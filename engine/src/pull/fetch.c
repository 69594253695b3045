/* SPDX-License-Identifier: Apache-2.0 */
#include "pull/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HOPS_MAX 8
#define CONNECT_S 15L

struct hop {
    struct ifd_fetch *f;
    const struct ifd_fetch_job *job;
    struct ifd_fetch_answer *out;
    bool first;
    bool ready;        /* the body's place is known */
    uint64_t at;       /* the next byte's place in the file */
    uint64_t range_at; /* where the answer's range begins */
    bool has_range;
    inferd_status fail; /* of a callback, with why */
    inferd_error why;
};

inferd_status ifd_fetch_init(struct ifd_fetch *f, inferd_error *err)
{
    f->curl = curl_global_init(CURL_GLOBAL_DEFAULT) == 0 ? curl_easy_init() : NULL;
    return f->curl ? INFERD_OK : ifd_fail(err, INFERD_NO_MEMORY, "libcurl cannot be started");
}

void ifd_fetch_fini(struct ifd_fetch *f)
{
    if (f->curl)
        curl_easy_cleanup(f->curl);
    f->curl = NULL;
    curl_global_cleanup();
}

bool ifd_fetch_origin(const char *url, char *out, size_t size)
{
    char *scheme = NULL, *host = NULL, *port = NULL;
    CURLU *u = curl_url();
    bool good = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0);
    int n = good ? snprintf(out, size, "%s://%s:%s", scheme, host, port) : -1;
    for (int i = 0; i < n && out[i]; i++) /* hosts know no case */
        out[i] = out[i] >= 'A' && out[i] <= 'Z' ? (char)(out[i] + 32) : out[i];
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);
    return n > 0 && (size_t)n < size;
}

bool ifd_fetch_is_safe(const char *url)
{
    char origin[320];
    return ifd_fetch_origin(url, origin, sizeof(origin)) &&
           (strncmp(origin, "https://", 8) == 0 || strncmp(origin, "http://127.", 11) == 0 ||
            strncmp(origin, "http://localhost:", 17) == 0 ||
            strncmp(origin, "http://[::1]:", 13) == 0);
}

static bool same_origin(const char *a, const char *b)
{
    char x[320], y[320];
    return ifd_fetch_origin(a, x, sizeof(x)) && ifd_fetch_origin(b, y, sizeof(y)) &&
           strcmp(x, y) == 0;
}

/* ---- what comes ---------------------------------------------------------------------------- */

/* The header's value without blanks and line end into out[size], if it is that header. */
static bool take(const char *line, size_t n, const char *name, char *out, size_t size)
{
    const size_t k = strlen(name);
    if (n <= k || strncasecmp(line, name, k) != 0 || line[k] != ':')
        return false;
    size_t from = k + 1, end = n;
    while (from < end && (line[from] == ' ' || line[from] == '\t'))
        from++;
    while (end > from && strchr(" \t\r\n", line[end - 1]))
        end--;
    if (end - from >= size)
        return false;
    memcpy(out, line + from, end - from);
    out[end - from] = '\0';
    return true;
}

static size_t on_header(char *line, size_t size, size_t count, void *ctx)
{
    struct hop *h = ctx;
    const size_t n = size * count;
    char text[160];
    if (n > 5 &&
        memcmp(line, "HTTP/", 5) == 0) { /* an interim answer's headers are not this one's */
        h->has_range = false;
        h->out->retry_after_s = 0;
    }
    if (h->first) { /* what the hub itself says, not where it sends us */
        if (take(line, n, "X-Linked-ETag", text, sizeof(text)) ||
            (!h->out->etag[0] && take(line, n, "ETag", text, sizeof(text))))
            snprintf(h->out->etag, sizeof(h->out->etag), "%s", text);
        (void)take(line, n, "X-Error-Code", h->out->error_code, sizeof(h->out->error_code));
    }
    if (take(line, n, "Retry-After", text, sizeof(text)))
        h->out->retry_after_s = (unsigned)strtoul(text, NULL, 10);
    if (take(line, n, "Content-Range", text, sizeof(text)) && strncmp(text, "bytes ", 6) == 0) {
        h->has_range = true;
        h->range_at = strtoull(text + 6, NULL, 10);
    }
    return n;
}

static size_t refuse(struct hop *h, inferd_status status, const char *fmt, const char *what)
{
    h->fail = ifd_fail(&h->why, status, fmt, what);
    return 0; /* ends the transfer */
}

/* The first byte of a good body: where does it belong? */
static bool place(struct hop *h, long status)
{
    const struct ifd_fetch_job *job = h->job;
    h->at = status == 206 ? job->offset : 0;
    if (status == 206 && (!h->has_range || h->range_at != job->offset))
        return refuse(h, INFERD_INVALID_HTTP,
                      "%s: the server answers another range than was asked for", job->url) != 0;
    if (!job->body && ftruncate(job->fd, (off_t)h->at) != 0) {
        h->out->disk = true;
        return refuse(h, INFERD_IO, "cannot write: %s", strerror(errno)) != 0;
    }
    h->ready = true;
    return true;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct hop *h = ctx;
    const struct ifd_fetch_job *job = h->job;
    const size_t n = size * count;
    long status = 0;
    curl_easy_getinfo(h->f->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 && status != 206)
        return n; /* of an error: not wanted */
    if (!h->ready && !place(h, status))
        return 0;
    if (n > job->most - (h->at < job->most ? h->at : job->most))
        return refuse(h, INFERD_INVALID_HTTP, "%s: the server sends more bytes than the file has",
                      job->url);
    if (job->body) {
        ifd_buf_add(job->body, bytes, n);
        if (job->body->failed)
            return refuse(h, INFERD_INVALID_HTTP, "%s: the answer is too large", job->url);
    }
    for (size_t done = 0; !job->body && done < n;) {
        ssize_t k = pwrite(job->fd, bytes + done, n - done, (off_t)(h->at + done));
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            h->out->disk = true;
            return refuse(h, INFERD_IO, "cannot write: %s", strerror(k < 0 ? errno : ENOSPC));
        }
        done += (size_t)k;
    }
    h->at += n;
    if (job->progress)
        job->progress(job->ctx, h->at);
    return n;
}

/* ---- one hop ------------------------------------------------------------------------------- */

static void set_options(struct hop *h, const char *url, struct curl_slist *headers)
{
    CURL *c = h->f->curl;
    char range[48];
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "inferd/" INFERD_VERSION);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)((h->f->stall_ms + 999) / 1000));
    const char *authorities = getenv("SSL_CERT_FILE"); /* OpenSSL's own variable for it */
    if (authorities && authorities[0])
        curl_easy_setopt(c, CURLOPT_CAINFO, authorities);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, h);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
    if (h->job->offset > 0) {
        snprintf(range, sizeof(range), "%llu-", (unsigned long long)h->job->offset);
        curl_easy_setopt(c, CURLOPT_RANGE, range);
    }
}

static inferd_status perform(struct hop *h, const char *url, inferd_error *err)
{
    struct curl_slist *headers = NULL;
    char authorization[1200], detail[CURL_ERROR_SIZE] = "";
    if (h->f->token && same_origin(url, h->f->endpoint)) {
        snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s", h->f->token);
        headers = curl_slist_append(headers, authorization);
    }
    set_options(h, url, headers);
    curl_easy_setopt(h->f->curl, CURLOPT_ERRORBUFFER, detail);
    const CURLcode rc = curl_easy_perform(h->f->curl);
    long status = 0;
    curl_easy_getinfo(h->f->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_setopt(h->f->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);
    explicit_bzero(authorization, sizeof(authorization));
    h->out->status = (int)status;
    h->out->end = h->ready ? h->at : h->job->offset;
    if (h->fail) {
        if (err)
            *err = h->why;
        return h->fail;
    }
    if (rc != CURLE_OK)
        return ifd_fail(err, INFERD_IO, "%.200s: %s", url,
                        detail[0] ? detail : curl_easy_strerror(rc));
    /* an empty file has no body to find a place for */
    if ((status == 200 || status == 206) && !h->ready && !place(h, status)) {
        if (err)
            *err = h->why;
        return h->fail;
    }
    h->out->end = h->at;
    return INFERD_OK;
}

inferd_status ifd_fetch_get(struct ifd_fetch *f, const struct ifd_fetch_job *job,
                            struct ifd_fetch_answer *out, inferd_error *err)
{
    char url[4096], *next = NULL;
    *out = (struct ifd_fetch_answer){.end = job->offset};
    int n = snprintf(url, sizeof(url), "%s", job->url);
    for (int hops = 0; n > 0 && (size_t)n < sizeof(url) && hops < HOPS_MAX; hops++) {
        struct hop h = {.f = f, .job = job, .out = out, .first = hops == 0};
        inferd_status s = perform(&h, url, err);
        if (s || out->status < 300 || out->status > 399)
            return s;
        curl_easy_getinfo(f->curl, CURLINFO_REDIRECT_URL, &next);
        if (!next)
            return ifd_fail(err, INFERD_INVALID_HTTP, "%.200s: a redirect to nowhere", url);
        if (strncmp(url, "https:", 6) == 0 && strncmp(next, "https:", 6) != 0)
            return ifd_fail(
                err, INFERD_INVALID_HTTP,
                "%.200s: a redirect from https to something less, which is not followed", url);
        n = snprintf(url, sizeof(url), "%s", next);
    }
    return ifd_fail(err, INFERD_INVALID_HTTP, "%.200s: more than %d redirects, or too long a one",
                    job->url, HOPS_MAX);
}
