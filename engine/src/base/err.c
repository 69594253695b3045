/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW_TYPE(name, code, type, text, http, retry) [code] = type,
#define ROW_TEXT(name, code, type, text, http, retry) [code] = text,
#define ROW_HTTP(name, code, type, text, http, retry) [code] = http,
#define ROW_RETRY(name, code, type, text, http, retry) [code] = retry,
static const char *const status_type[] = {INFERD_STATUS_MAP(ROW_TYPE)};
static const char *const status_text[] = {INFERD_STATUS_MAP(ROW_TEXT)};
static const short status_http[] = {INFERD_STATUS_MAP(ROW_HTTP)};
static const char status_retry[] = {INFERD_STATUS_MAP(ROW_RETRY)};
#define STATUS_COUNT (sizeof(status_http) / sizeof(status_http[0]))

static int known(inferd_status status)
{
    return (size_t)status < STATUS_COUNT;
}

const char *inferd_status_type(inferd_status status)
{
    return known(status) ? status_type[status] : "unknown";
}

const char *inferd_status_text(inferd_status status)
{
    return known(status) ? status_text[status] : "unknown status";
}

int ifd_status_http(inferd_status status)
{
    return known(status) ? status_http[status] : 500;
}

int ifd_status_retryable(inferd_status status)
{
    return known(status) && status_retry[status];
}

/* Cut a string that filled its buffer back to a whole UTF-8 character. */
static void cut_at_character(char *s, size_t size)
{
    size_t n = strlen(s);
    if (n + 1 < size)
        return;
    while (n > 0 && ((unsigned char)s[n - 1] & 0xC0u) == 0x80u)
        n--;
    if (n > 0 && (unsigned char)s[n - 1] >= 0xC0u)
        n--;
    s[n] = '\0';
}

inferd_status ifd_fail(inferd_error *err, inferd_status status, const char *fmt, ...)
{
    if (err) {
        va_list args;
        va_start(args, fmt);
        err->status = status;
        vsnprintf(err->message, sizeof(err->message), fmt, args);
        va_end(args);
        cut_at_character(err->message, sizeof(err->message));
    }
    return status;
}

inferd_status ifd_fail_prefix(inferd_error *err, const char *fmt, ...)
{
    if (!err)
        return INFERD_INTERNAL;
    char old[sizeof(err->message)];
    memcpy(old, err->message, sizeof(old));
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used + 2 < sizeof(err->message)) {
        size_t room = sizeof(err->message) - used - 3, size = strlen(old);
        memcpy(err->message + used, ": ", 2);
        memcpy(err->message + used + 2, old, size < room ? size : room);
        err->message[used + 2 + (size < room ? size : room)] = '\0';
    }
    cut_at_character(err->message, sizeof(err->message));
    return err->status;
}

_Noreturn void ifd_assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "inferd: broken invariant at %s:%d: %s\n", file, line, cond);
    abort();
}
