/* SPDX-License-Identifier: Apache-2.0 */
#include "server/metrics_text.h"

#include <string.h>

#include "base/utf8.h"

/* Bytes of the name that a counter's family has in OpenMetrics; 0: it cannot be a counter there, as
 * its name does not end so, or is that of the gauge before it but for the end. */
static size_t family_bytes(const char *name, const char *before)
{
    static const char total[] = "_total";
    const size_t n = strlen(name), end = sizeof(total) - 1;
    if (n <= end || strcmp(name + n - end, total) != 0)
        return 0;
    return before && strlen(before) == n - end && memcmp(before, name, n - end) == 0 ? 0 : n - end;
}

void ifd_mtext_family(struct ifd_mtext *m, enum ifd_mtype type, const char *name, const char *help)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const char *kind = types[type];
    size_t n = 0;
    if (m->open_metrics && type == IFD_MTYPE_COUNTER && !(n = family_bytes(name, m->name)))
        kind = "unknown";
    if (n == 0)
        n = strlen(name);
    m->name = name;
    ifd_buf_printf(m->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)n, name, help, (int)n, name,
                   kind);
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

static void add_exemplar(struct ifd_buf *out, const struct ifd_exemplar *x, unsigned decimals)
{
    ifd_buf_printf(out, " # {trace_id=\"%s\"} ", x->trace);
    add_scaled(out, x->value, decimals);
    ifd_buf_printf(out, " %llu", (unsigned long long)x->unix_s);
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
        add_scaled(m->out, below, 0);
        if (m->open_metrics && m->exemplars && m->exemplars[i].trace[0])
            add_exemplar(m->out, &m->exemplars[i], v->scale->decimals);
        ifd_buf_add_char(m->out, '\n');
    }
    m->exemplars = NULL;
    begin(m, "_sum", labels, count);
    end(m, v->sum, v->scale->decimals);
    begin(m, "_count", labels, count);
    end(m, v->count, 0);
}

void ifd_mtext_counter(struct ifd_mtext *m, const char *name, const char *help, uint64_t value)
{
    ifd_mtext_family(m, IFD_MTYPE_COUNTER, name, help);
    ifd_mtext_u64(m, NULL, 0, value);
}

void ifd_mtext_histogram(struct ifd_mtext *m, const char *name, const char *help,
                         const struct ifd_hist_view *v)
{
    ifd_mtext_family(m, IFD_MTYPE_HISTOGRAM, name, help);
    ifd_mtext_hist(m, NULL, 0, v);
}

void ifd_mtext_end(struct ifd_mtext *m)
{
    if (m->open_metrics)
        ifd_buf_add_str(m->out, "# EOF\n");
}
