/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http_response.h"

#include <stdio.h>
#include <string.h>

#include "base/jsonout.h"

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = {
        {200, "OK"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].status == status)
            return rows[i].text;
    return ""; /* RFC 9112 4: it may be empty */
}

/* Digits without printf: this runs for every answer. */
static void add_number(struct ifd_buf *out, size_t n)
{
    char digits[24];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    ifd_buf_add(out, digits + at, sizeof(digits) - at);
}

static void add_header(struct ifd_buf *out, const char *name, const char *value)
{
    ifd_buf_add_str(out, name);
    ifd_buf_add_str(out, value);
    ifd_buf_add(out, "\r\n", 2);
}

/* The Fetch standard's CORS protocol. */
static void add_cors(struct ifd_buf *out, const struct ifd_response *r)
{
    add_header(out, "Access-Control-Allow-Origin: ", r->cors_origin);
    add_header(out, "Vary: ", "Origin");
    if (!r->preflight_allow) {
        add_header(out, "Access-Control-Expose-Headers: ",
                   "X-Request-ID, X-Model-Digest, X-Truncated-Inputs, Retry-After, "
                   "Inference-Header-Content-Length");
        return;
    }
    add_header(out, "Access-Control-Allow-Methods: ", r->preflight_allow);
    add_header(out, "Access-Control-Allow-Headers: ",
               "Authorization, Content-Type, X-Request-ID, X-Request-Timeout-Ms, traceparent, "
               "Inference-Header-Content-Length");
    add_header(out, "Access-Control-Max-Age: ", "600");
}

void ifd_response_head(struct ifd_buf *out, const struct ifd_response *r)
{
    ifd_buf_add_str(out, "HTTP/1.1 ");
    add_number(out, (size_t)r->status);
    ifd_buf_add_char(out, ' ');
    add_header(out, reason(r->status), "");
    if (r->status != 304 && r->status != 204) {
        add_header(out, "Content-Type: ", r->media_type);
        ifd_buf_add_str(out, "Content-Length: ");
        add_number(out, r->body_size);
        ifd_buf_add(out, "\r\n", 2);
    }
    add_header(out, "Date: ", r->date);
    if (r->allow)
        add_header(out, "Allow: ", r->allow);
    if (r->retry_after_s) {
        ifd_buf_add_str(out, "Retry-After: ");
        add_number(out, r->retry_after_s);
        ifd_buf_add(out, "\r\n", 2);
    }
    if (r->cors_origin)
        add_cors(out, r);
    if (r->headers)
        ifd_buf_add_str(out, r->headers);
    if (r->status == 401)
        add_header(out, "WWW-Authenticate: ", "Bearer");
    if (r->request_id)
        add_header(out, "X-Request-ID: ", r->request_id);
    if (r->model_digest)
        add_header(out, "X-Model-Digest: ", r->model_digest);
    if (!r->keep_alive)
        add_header(out, "Connection: ", "close");
    else if (r->say_keep_alive)
        add_header(out, "Connection: ", "keep-alive");
    ifd_buf_add(out, "\r\n", 2);
}

void ifd_response_error(struct ifd_buf *out, const inferd_error *error, const char *request_id)
{
    ifd_buf_add_str(out, "{\"error\":{\"code\":");
    add_number(out, (size_t)ifd_status_http(error->status));
    ifd_buf_add_str(out, ",\"type\":");
    ifd_jsonout_cstr(out, inferd_status_type(error->status));
    ifd_buf_add_str(out, ",\"message\":");
    ifd_jsonout_cstr(out, error->message[0] ? error->message : inferd_status_text(error->status));
    if (request_id) {
        ifd_buf_add_str(out, ",\"request_id\":");
        ifd_jsonout_cstr(out, request_id);
    }
    ifd_buf_add_str(out, "}}\n");
}

void ifd_http_date(char out[IFD_HTTP_DATE_SIZE], time_t now)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t;
    if (!gmtime_r(&now, &t) || t.tm_year < 0 || t.tm_year > 8099)
        memset(&t, 0, sizeof(t)), t.tm_mday = 1, t.tm_year = 70, t.tm_wday = 4;
    snprintf(out, IFD_HTTP_DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
             days + 3 * t.tm_wday, (unsigned)t.tm_mday % 100u, months + 3 * t.tm_mon,
             (unsigned)(t.tm_year + 1900) % 10000u, (unsigned)t.tm_hour % 100u,
             (unsigned)t.tm_min % 100u, (unsigned)t.tm_sec % 100u);
}
