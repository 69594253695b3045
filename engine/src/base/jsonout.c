/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers are formatted by snprintf, whose decimal point is the locale's: a process that embeds
 * this library may have set one. What stands there is replaced by '.'.
 */
#include "base/jsonout.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The two-character escape of a byte, or 0. */
static char short_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
        return c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

void ifd_jsonout_str(struct ifd_buf *b, const char *s, size_t n)
{
    ifd_buf_add_char(b, '"');
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        ifd_buf_add(b, s + from, i - from);
        from = i + 1;
        char escape = short_escape(s[i]);
        if (escape) {
            const char two[2] = {'\\', escape};
            ifd_buf_add(b, two, 2);
        } else {
            ifd_buf_printf(b, "\\u%04x", c);
        }
    }
    ifd_buf_add(b, s + from, n - from);
    ifd_buf_add_char(b, '"');
}

void ifd_jsonout_cstr(struct ifd_buf *b, const char *s)
{
    ifd_jsonout_str(b, s, strlen(s));
}

static void add_number(struct ifd_buf *b, const char *text)
{
    static const char parts[] = "0123456789+-eE";
    size_t whole = strspn(text, parts);
    ifd_buf_add(b, text, whole);
    if (!text[whole])
        return;
    ifd_buf_add_char(b, '.');
    size_t point = strcspn(text + whole, parts); /* the locale's may take several bytes */
    ifd_buf_add_str(b, text + whole + point);
}

static bool reads_back(char *text, size_t size, float v, int digits)
{
    snprintf(text, size, "%.*g", digits, (double)v);
    return strtof(text, NULL) == v;
}

void ifd_jsonout_float(struct ifd_buf *b, float v)
{
    char text[48];
    if (!isfinite(v)) {
        ifd_buf_add_str(b, "null");
        return;
    }
    /* Nine digits always do. Fewer than six rarely do: asked only when six do. */
    int digits = reads_back(text, sizeof(text), v, 6) ? 1 : 7;
    while (!reads_back(text, sizeof(text), v, digits))
        digits++;
    add_number(b, text);
}

void ifd_jsonout_fixed(struct ifd_buf *b, double v, int digits)
{
    char text[352]; /* the largest double has 309 digits before the point */
    if (!isfinite(v)) {
        ifd_buf_add_str(b, "null");
        return;
    }
    snprintf(text, sizeof(text), "%.*f", digits < 0 ? 0 : digits > 9 ? 9 : digits, v);
    add_number(b, text);
}
