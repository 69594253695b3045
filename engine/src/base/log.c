/* SPDX-License-Identifier: Apache-2.0
 *
 * A line is put together in a fixed array, so that logging needs no heap and works when there is
 * none. What does not fit is shortened or left out field by field: the line stays one valid JSON
 * object (or readable text), and says that it was cut.
 */
#include "base/log.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/jsonout.h"
#include "base/utf8.h"

#define LINE_MAX_BYTES 4096u
#define TAIL_BYTES 16u /* room for the mark of a cut line, the closing brace and the line feed */

/* Set once by ifd_log_init before other threads start; read-only after. */
static enum ifd_log_level level_least = IFD_LOG_INFO;
static bool as_text;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void ifd_log_init(enum ifd_log_level least, enum ifd_log_format format)
{
    level_least = least;
    as_text = format == IFD_LOG_TEXT || (format == IFD_LOG_AUTO && isatty(STDERR_FILENO));
}

/* s[0, n) without its ill-formed bytes: each becomes U+FFFD. */
static void add_text(struct ifd_buf *b, const char *s, size_t n, bool quote)
{
    char clean[LINE_MAX_BYTES];
    size_t used = 0, i = 0;
    while (i < n && used + 4 < sizeof(clean)) {
        uint32_t scalar;
        size_t k = ifd_utf8_decode(s + i, n - i, &scalar);
        if (k) {
            memcpy(clean + used, s + i, k);
            used += k;
            i += k;
        } else {
            used += ifd_utf8_encode(0xFFFD, clean + used);
            i++;
        }
    }
    if (i < n)
        b->failed = true; /* longer than any line */
    else if (quote)
        ifd_jsonout_str(b, clean, used);
    else
        ifd_buf_add(b, clean, used);
}

/* Whether a value can stand in a text line as it is. */
static bool is_word(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7F)
            return false;
    }
    return n > 0;
}

static void add_string(struct ifd_buf *b, const char *s, size_t n)
{
    add_text(b, s, n, !as_text || !is_word(s, n));
}

static void add_key(struct ifd_buf *b, const char *key)
{
    if (as_text) {
        ifd_buf_printf(b, " %s=", key);
    } else {
        ifd_buf_add_char(b, ',');
        ifd_jsonout_cstr(b, key);
        ifd_buf_add_char(b, ':');
    }
}

static void add_value(struct ifd_buf *b, const struct ifd_log_field *f, size_t str_size)
{
    switch (f->type) {
    case IFD_LOG_T_STR:
        add_string(b, f->str ? f->str : "", str_size);
        break;
    case IFD_LOG_T_U64:
        ifd_buf_printf(b, "%llu", (unsigned long long)f->u64);
        break;
    case IFD_LOG_T_F64:
        ifd_jsonout_fixed(b, f->f64, 6);
        break;
    }
}

/* False when the field was shortened or left out. */
static bool add_field(struct ifd_buf *b, const struct ifd_log_field *f)
{
    const size_t before = b->size;
    const size_t whole = f->type == IFD_LOG_T_STR && f->str ? strnlen(f->str, LINE_MAX_BYTES) : 0;
    for (size_t n = whole;; n /= 2) {
        add_key(b, f->key);
        add_value(b, f, n);
        if (!b->failed)
            return n == whole && whole < LINE_MAX_BYTES;
        b->failed = false;
        b->size = before;
        if (n < 16)
            return false;
    }
}

static void add_head(struct ifd_buf *b, enum ifd_log_level level, const char *event)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char date[32];
    size_t n = strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
    int ms = (int)(now.tv_nsec / 1000000);
    const char *name = level_names[level];
    if (as_text) {
        ifd_buf_printf(b, "%.*s.%03dZ %-5s %s", (int)n, date, ms, name, event);
    } else {
        ifd_buf_printf(b, "{\"time\":\"%.*s.%03dZ\",\"level\":\"%s\",\"event\":", (int)n, date, ms,
                       name);
        ifd_jsonout_cstr(b, event);
    }
}

void ifd_log_write(enum ifd_log_level level, const char *event, const struct ifd_log_field *fields,
                   unsigned count)
{
    if (level < level_least)
        return;
    char line[LINE_MAX_BYTES];
    /* a buffer that is full from the start never asks the heap for more */
    const size_t limit = sizeof(line) - TAIL_BYTES;
    struct ifd_buf b = {.data = line, .capacity = limit, .max = limit};
    add_head(&b, level, event);
    bool whole = !b.failed;
    b.failed = false;
    for (unsigned i = 0; i < count; i++)
        whole = add_field(&b, &fields[i]) && whole;
    b.capacity = b.max = sizeof(line);
    if (!whole)
        ifd_buf_add_str(&b, as_text ? " cut=true" : ",\"cut\":true");
    ifd_buf_add_str(&b, as_text ? "\n" : "}\n");
    while (write(STDERR_FILENO, b.data, b.size) < 0 && errno == EINTR)
        ;
}
