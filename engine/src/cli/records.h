/* SPDX-License-Identifier: Apache-2.0
 *
 * records.h - texts from a stream of lines: plain text, TSV or JSONL.
 *
 * text: a line is a text.
 * tsv: columns are separated by tabs, nothing is quoted, one CR before the LF is dropped; the first
 *     line names the columns unless `header` is false.
 * jsonl: a line is a JSON string, or an object with a string `text`; other members are ignored.
 * Every line but a TSV header gives one text. All texts are valid UTF-8. One owner at a time.
 */
#ifndef IFD_CLI_RECORDS_H
#define IFD_CLI_RECORDS_H

#include "base/jsondoc.h"
#include "cli/lines.h"

enum ifd_records_format { IFD_RECORDS_TEXT, IFD_RECORDS_TSV, IFD_RECORDS_JSONL };

struct ifd_records_options {
    enum ifd_records_format format;
    bool header;              /* of a TSV */
    const char *column;       /* name or number (from 1) of the text's; NULL: "text", or the only
                               * one that is not the label */
    const char *label_column; /* of a TSV with labels, name or number; NULL: no labels wanted */
    size_t line_max;
};

struct ifd_record {
    const char *text; /* NULL at the end */
    size_t size;
    const char *label; /* NULL when no labels are wanted */
    size_t label_size;
};

struct ifd_records {
    struct ifd_lines lines; /* lines.number: of the record's line */
    /* private */
    struct ifd_records_options options;
    bool begun;
    size_t text_column, label_column; /* from 0 */
    struct ifd_jsondoc *doc;          /* of the current line */
};

void ifd_records_init(struct ifd_records *r, int fd, const struct ifd_records_options *options);
void ifd_records_fini(struct ifd_records *r);
/* The next record, valid until the next call. INFERD_INVALID_REQUEST, INFERD_INVALID_UTF8 or
 * INFERD_INVALID_JSON name the line; INFERD_INVALID_ARGUMENT: there is no such column. */
IFD_MUST_CHECK inferd_status ifd_records_next(struct ifd_records *r, struct ifd_record *out,
                                              inferd_error *err);

#endif
