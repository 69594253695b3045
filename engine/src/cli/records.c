/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/records.h"

#include <string.h>

#include "base/utf8.h"

#define COLUMNS_MAX 1024u

void ifd_records_init(struct ifd_records *r, int fd, const struct ifd_records_options *options)
{
    *r = (struct ifd_records){.options = *options};
    ifd_lines_init(&r->lines, fd, options->line_max);
}

void ifd_records_fini(struct ifd_records *r)
{
    ifd_jsondoc_free(r->doc);
    r->doc = NULL;
    ifd_lines_fini(&r->lines);
}

static unsigned long long line_number(const struct ifd_records *r)
{
    return r->lines.number;
}

static inferd_status check_utf8(const struct ifd_records *r, const char *line, size_t n,
                                inferd_error *err)
{
    size_t good = ifd_utf8_check(line, n);
    if (good == n)
        return INFERD_OK;
    return ifd_fail(err, INFERD_INVALID_UTF8, "line %llu is not valid UTF-8: byte %zu of it",
                    line_number(r), good + 1);
}

/* ---- TSV ----------------------------------------------------------------------------------- */

/* Column `index` of a line; false when it has fewer. */
static bool cell(const char *line, size_t n, size_t index, const char **text, size_t *size)
{
    const char *end = line + n;
    for (size_t i = 0;; i++) {
        const char *tab = memchr(line, '\t', (size_t)(end - line));
        if (i == index) {
            *text = line;
            *size = (size_t)((tab ? tab : end) - line);
            return true;
        }
        if (!tab)
            return false;
        line = tab + 1;
    }
}

static size_t count_cells(const char *line, size_t n)
{
    size_t count = 1;
    for (size_t i = 0; i < n; i++)
        count += line[i] == '\t';
    return count;
}

static bool find_column(const char *line, size_t n, const char *name, size_t *index)
{
    const char *text;
    size_t size;
    for (size_t i = 0; i < COLUMNS_MAX && cell(line, n, i, &text, &size); i++) {
        if (size == strlen(name) && memcmp(text, name, size) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

static bool column_number(const char *s, size_t *index)
{
    size_t v = 0;
    for (; *s >= '0' && *s <= '9' && v <= COLUMNS_MAX; s++)
        v = 10 * v + (size_t)(*s - '0');
    if (*s || v == 0 || v > COLUMNS_MAX)
        return false;
    *index = v - 1;
    return true;
}

/* A column that the user named, by its header's name first, else by its number. */
static inferd_status named_column(const struct ifd_records *r, const char *line, size_t n,
                                  const char *option, const char *name, size_t *index,
                                  inferd_error *err)
{
    if ((r->options.header && find_column(line, n, name, index)) ||
        (column_number(name, index) && *index < count_cells(line, n)))
        return INFERD_OK;
    size_t shown = ifd_utf8_check(line, n < 120 ? n : 120);
    if (r->options.header)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "--%s %s: no such column; the header is: %.*s", option, name, (int)shown,
                        line);
    return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                    "--%s %s: without a header a column is a number from 1 to %zu", option, name,
                    count_cells(line, n));
}

/* The text's column when nobody named it: "text", or the only one beside the label's. */
static inferd_status guess_column(struct ifd_records *r, const char *line, size_t n,
                                  inferd_error *err)
{
    size_t columns = count_cells(line, n), label = columns;
    if (r->options.header && find_column(line, n, "text", &r->text_column))
        return INFERD_OK;
    if (r->options.label_column)
        label = r->label_column;
    else if (r->options.header)
        (void)find_column(line, n, "label", &label);
    if (columns == 1 && label == columns)
        r->text_column = 0;
    else if (columns == 2 && label < 2)
        r->text_column = 1 - label;
    else
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "which of the %zu columns holds the texts? --column NAME or a number says",
                        columns);
    return INFERD_OK;
}

static inferd_status choose_columns(struct ifd_records *r, const char *line, size_t n,
                                    inferd_error *err)
{
    const struct ifd_records_options *o = &r->options;
    inferd_status s = check_utf8(r, line, n, err);
    if (!s && o->label_column)
        s = named_column(r, line, n, "label-column", o->label_column, &r->label_column, err);
    if (s)
        return s;
    return o->column ? named_column(r, line, n, "column", o->column, &r->text_column, err)
                     : guess_column(r, line, n, err);
}

static size_t without_cr(const char *line, size_t n)
{
    return n > 0 && line[n - 1] == '\r' ? n - 1 : n;
}

static inferd_status tsv_record(struct ifd_records *r, const char *line, size_t n,
                                struct ifd_record *out, inferd_error *err)
{
    size_t last = r->text_column;
    if (r->options.label_column && r->label_column > last)
        last = r->label_column;
    if (!cell(line, n, r->text_column, &out->text, &out->size) ||
        (r->options.label_column && !cell(line, n, r->label_column, &out->label, &out->label_size)))
        return ifd_fail(err, INFERD_INVALID_REQUEST,
                        "line %llu has %zu columns; column %zu is needed", line_number(r),
                        count_cells(line, n), last + 1);
    return INFERD_OK;
}

/* ---- JSONL --------------------------------------------------------------------------------- */

static inferd_status jsonl_record(struct ifd_records *r, const char *line, size_t n,
                                  struct ifd_record *out, inferd_error *err)
{
    size_t memory = 64 * n + 65536; /* no tree is larger: a value of two bytes is one node */
    inferd_status s = ifd_jsondoc_parse(line, n, memory, &r->doc, err);
    if (s)
        return ifd_fail_prefix(err, "line %llu", line_number(r));
    const struct ifd_json_node *node = ifd_jsondoc_root(r->doc);
    if (node->type == IFD_JSON_T_OBJECT)
        node = ifd_json_get(node, "text");
    if (!node || node->type != IFD_JSON_T_STRING)
        return ifd_fail(err, INFERD_INVALID_REQUEST,
                        "line %llu is neither a JSON string nor an object with a string \"text\"",
                        line_number(r));
    out->text = node->text;
    out->size = node->size;
    return INFERD_OK;
}

/* -------------------------------------------------------------------------------------------- */

inferd_status ifd_records_next(struct ifd_records *r, struct ifd_record *out, inferd_error *err)
{
    const bool tsv = r->options.format == IFD_RECORDS_TSV;
    const char *line;
    size_t n;
    ifd_jsondoc_free(r->doc);
    r->doc = NULL;
    *out = (struct ifd_record){0};
    inferd_status s = ifd_lines_next(&r->lines, &line, &n, err);
    if (s || !line)
        return s;
    if (tsv) {
        n = without_cr(line, n);
        if (!r->begun) {
            r->begun = true;
            s = choose_columns(r, line, n, err);
            if (s)
                return s;
            if (r->options.header)
                return ifd_records_next(r, out, err); /* once: `begun` is set */
        }
    }
    s = r->options.format == IFD_RECORDS_JSONL ? INFERD_OK : check_utf8(r, line, n, err);
    if (s)
        return s;
    if (tsv)
        return tsv_record(r, line, n, out, err);
    if (r->options.format == IFD_RECORDS_JSONL)
        return jsonl_record(r, line, n, out, err);
    out->text = line;
    out->size = n;
    return INFERD_OK;
}
