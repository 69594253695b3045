/* SPDX-License-Identifier: Apache-2.0 */
#include "server/negotiate.h"

#include <stddef.h>
#include <string.h>

#include "server/http_chars.h"

static const char *skip_blanks(const char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

/* "0.8" and the like in thousandths; -1 when it is no weight. */
static int read_weight(const char *s, size_t n)
{
    int weight = 0, unit = 100;
    if (n == 0 || n > 5 || (s[0] != '0' && s[0] != '1') || (n > 1 && s[1] != '.'))
        return -1;
    weight = s[0] == '1' ? 1000 : 0;
    for (size_t i = 2; i < n; i++, unit /= 10) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        weight += unit * (s[i] - '0');
    }
    return weight > 1000 ? -1 : weight;
}

/* Of an element's parameters ";q=0.5;x=y", up to `n`; 1000 without q, -1 when q is malformed. */
static int weight_of(const char *s, size_t n)
{
    const char *end = s + n;
    while (s < end) {
        s = skip_blanks(s + 1); /* past the semicolon */
        size_t size = strcspn(s, ";,");
        size_t bare = size;
        while (bare > 0 && (s[bare - 1] == ' ' || s[bare - 1] == '\t'))
            bare--;
        if (bare >= 2 && (s[0] == 'q' || s[0] == 'Q') && s[1] == '=')
            return read_weight(s + 2, bare - 2);
        s += size;
    }
    return 1000;
}

int ifd_negotiate_weight(const char *value, const char *item)
{
    int best = -1;
    for (const char *s = value; s && *s;) {
        s = skip_blanks(s);
        const size_t size = strcspn(s, ",");
        size_t name = strcspn(s, ";,");
        const size_t parameters = name;
        while (name > 0 && (s[name - 1] == ' ' || s[name - 1] == '\t'))
            name--;
        if (ifd_http_same(s, name, item)) {
            const int weight = weight_of(s + parameters, size - parameters);
            best = weight > best ? weight : best;
        }
        s += size + (s[size] == ',');
    }
    return best;
}

bool ifd_negotiate_html(const char *accept)
{
    const int html = ifd_negotiate_weight(accept, "text/html");
    return html > 0 && html >= ifd_negotiate_weight(accept, "application/json");
}

bool ifd_negotiate_openmetrics(const char *accept)
{
    const int open = ifd_negotiate_weight(accept, "application/openmetrics-text");
    return open > 0 && open >= ifd_negotiate_weight(accept, "text/plain");
}

bool ifd_negotiate_gzip(const char *accept_encoding)
{
    return ifd_negotiate_weight(accept_encoding, "gzip") > 0;
}

bool ifd_negotiate_has(const char *if_none_match, const char *tag)
{
    const size_t n = strlen(tag);
    if (!if_none_match)
        return false;
    if (strcmp(if_none_match, "*") == 0)
        return true;
    for (const char *s = strchr(if_none_match, '"'); s;) {
        const char *end = strchr(++s, '"');
        if (!end)
            return false;
        if ((size_t)(end - s) == n && memcmp(s, tag, n) == 0)
            return true;
        s = strchr(end + 1, '"');
    }
    return false;
}
