/* SPDX-License-Identifier: Apache-2.0
 *
 * source.h - where a command's texts come from: its arguments, or records of a stream.
 */
#ifndef IFD_CLI_SOURCE_H
#define IFD_CLI_SOURCE_H

#include "cli/exit.h"
#include "cli/options.h"
#include "cli/records.h"

/* Rows for a table of options. */
#define IFD_SOURCE_FORMAT_OPTION                                                                 \
    {                                                                                            \
        .kind = IFD_OPTION_CHOICE, .name = "format", .value = "FORMAT", .preset = "text",        \
        .choices = "text|tsv|jsonl",                                                             \
        .help = "what a line of standard input is: a text, columns, or a JSON string or object " \
                "with \"text\""                                                                  \
    }
#define IFD_SOURCE_COLUMN_OPTION                                                               \
    {                                                                                          \
        .kind = IFD_OPTION_STRING, .name = "column", .value = "NAME|N",                        \
        .help = "column of a TSV that holds the texts; without one, \"text\" or the only one " \
                "beside \"label\""                                                             \
    }
#define IFD_SOURCE_HEADER_OPTION                                                         \
    {                                                                                    \
        .kind = IFD_OPTION_CHOICE, .name = "header", .value = "YES", .preset = "yes",    \
        .choices = "no|yes", .help = "whether the first line of a TSV names its columns" \
    }
#define IFD_SOURCE_LINE_OPTION                                                                  \
    {                                                                                           \
        .kind = IFD_OPTION_BYTES, .name = "max-line-bytes", .value = "SIZE", .preset = "16MiB", \
        .least = 1, .most = 1u << 30, .help = "longest line of input"                           \
    }

struct ifd_source {
    /* private */
    char *const *args; /* NULL: records */
    size_t arg_count, next;
    struct ifd_records records;
};

/* Arguments when there are any, else standard input as --format says. `o` has the rows above. */
void ifd_source_open(struct ifd_source *s, const struct ifd_options *o);
/* Records of `fd`, whatever the arguments are. */
void ifd_source_open_records(struct ifd_source *s, int fd, const struct ifd_records_options *r);
void ifd_source_close(struct ifd_source *s);
/* Like ifd_records_next. */
IFD_MUST_CHECK inferd_status ifd_source_next(struct ifd_source *s, struct ifd_record *out,
                                             inferd_error *err);
/* Whether the next call would not wait. */
bool ifd_source_ready(struct ifd_source *s);
/* The line of the last record, for messages. */
unsigned long long ifd_source_line(const struct ifd_source *s);

/* The exit code of a failure to read input. */
enum ifd_exit ifd_exit_of_input(inferd_status status);

#endif
