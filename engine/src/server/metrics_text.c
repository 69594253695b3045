/* SPDX-License-Identifier: Apache-2.0 */
#include "server/metrics_text.h"

#include <string.h>

#include "base/utf8.h"

void ifd_mtext_family(struct ifd_mtext *m, enum ifd_mtype type, const char *name, const char *help)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    m->name = name;
    ifd_buf_printf(m->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, types[type]);
}

static void add_value(struct ifd_buf *out, const char *s)
{
    size_t n = strlen(s);
    while (n > 0) {
        uint32_t scalar;
        const size_t k = ifd_utf8_decode(s, n, &scalar);
        if (k == 0)
            ifd_buf_add_char(out, '?');
        else if (*s == '\n')
            ifd_buf_add_str(out, "\\n");
        else if (*s == '"' || *s == '\\')
            ifd_buf_add_char(out, '\\'), ifd_buf_add_char(out, *s);
        else
            ifd_buf_add(out, s, k);
        s += k ? k : 1;
        n -= k ? k : 1;
    }
}

/* {a="b",c="d" and no brace at the end, as a bucket has one more label. */
static void add_labels(struct ifd_buf *out, const struct ifd_mlabel *labels, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ifd_buf_add_char(out, i ? ',' : '{');
        ifd_buf_add_str(out, labels[i].key);
        ifd_buf_add_str(out, "=\"");
        add_value(out, labels[i].value);
        ifd_buf_add_char(out, '"');
    }
}

static void begin(struct ifd_mtext *m, const char *suffix, const struct ifd_mlabel *labels,
                  unsigned count)
{
    ifd_buf_add_str(m->out, m->name);
    ifd_buf_add_str(m->out, suffix);
    add_labels(m->out, labels, count);
    ifd_buf_add_str(m->out, count ? "} " : " ");
}

/* Without printf: a scrape writes a thousand of these between requests. */
static void add_scaled(struct ifd_buf *out, uint64_t value, unsigned decimals)
{
    char digits[48];
    size_t at = sizeof(digits);
    unsigned left = decimals;
    bool shown = false;
    for (; left > 0; left--, value /= 10) {
        shown = shown || value % 10;
        if (shown)
            digits[--at] = (char)('0' + value % 10);
    }
    if (shown)
        digits[--at] = '.';
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    ifd_buf_add(out, digits + at, sizeof(digits) - at);
}

static void end(struct ifd_mtext *m, uint64_t value, unsigned decimals)
{
    add_scaled(m->out, value, decimals);
    ifd_buf_add_char(m->out, '\n');
}

void ifd_mtext_scaled(struct ifd_mtext *m, const struct ifd_mlabel *labels, unsigned count,
                      uint64_t value, unsigned decimals)
{
    begin(m, "", labels, count);
    end(m, value, decimals);
}

void ifd_mtext_u64(struct ifd_mtext *m, const struct ifd_mlabel *labels, unsigned count,
                   uint64_t value)
{
    ifd_mtext_scaled(m, labels, count, value, 0);
}

void ifd_mtext_f64(struct ifd_mtext *m, const struct ifd_mlabel *labels, unsigned count,
                   double value)
{
    begin(m, "", labels, count);
    ifd_buf_printf(m->out, "%.12g\n", value);
}

void ifd_mtext_hist(struct ifd_mtext *m, const struct ifd_mlabel *labels, unsigned count,
                    const struct ifd_hist_view *v)
{
    uint64_t below = 0;
    for (unsigned i = 0; i <= v->scale->count; i++) {
        below += v->counts[i];
        ifd_buf_add_str(m->out, m->name);
        ifd_buf_add_str(m->out, "_bucket");
        add_labels(m->out, labels, count);
        ifd_buf_add_str(m->out, count ? ",le=\"" : "{le=\"");
        if (i < v->scale->count)
            add_scaled(m->out, v->scale->bounds[i], v->scale->decimals);
        else
            ifd_buf_add_str(m->out, "+Inf");
        ifd_buf_add_str(m->out, "\"} ");
        end(m, below, 0);
    }
    begin(m, "_sum", labels, count);
    end(m, v->sum, v->scale->decimals);
    begin(m, "_count", labels, count);
    end(m, v->count, 0);
}
