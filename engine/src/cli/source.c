/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/source.h"

#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "cli/say.h"

void ifd_source_open_records(struct ifd_source *s, int fd, const struct ifd_records_options *r)
{
    *s = (struct ifd_source){0};
    ifd_records_init(&s->records, fd, r);
}

void ifd_source_open(struct ifd_source *s, const struct ifd_options *o)
{
    if (o->arg_count) {
        *s = (struct ifd_source){.args = o->args, .arg_count = o->arg_count};
        return;
    }
    const struct ifd_records_options r = {
        .format = (enum ifd_records_format)ifd_options_number(o, "format"),
        .header = ifd_options_number(o, "header") != 0,
        .column = ifd_options_text(o, "column"),
        .line_max = (size_t)ifd_options_number(o, "max-line-bytes"),
    };
    if (isatty(STDIN_FILENO))
        ifd_say_notice("reading texts from the terminal, one per line; Ctrl-D ends");
    ifd_source_open_records(s, STDIN_FILENO, &r);
}

void ifd_source_close(struct ifd_source *s)
{
    if (!s->args)
        ifd_records_fini(&s->records);
}

inferd_status ifd_source_next(struct ifd_source *s, struct ifd_record *out, inferd_error *err)
{
    if (!s->args)
        return ifd_records_next(&s->records, out, err);
    *out = (struct ifd_record){0};
    if (s->next == s->arg_count)
        return INFERD_OK;
    out->text = s->args[s->next++];
    out->size = strlen(out->text);
    size_t good = ifd_utf8_check(out->text, out->size);
    if (good < out->size)
        return ifd_fail(err, INFERD_INVALID_UTF8, "text %zu is not valid UTF-8: byte %zu of it",
                        s->next, good + 1);
    return INFERD_OK;
}

bool ifd_source_ready(struct ifd_source *s)
{
    return s->args || ifd_lines_ready(&s->records.lines);
}

unsigned long long ifd_source_line(const struct ifd_source *s)
{
    return s->args ? s->next : s->records.lines.number;
}

enum ifd_exit ifd_exit_of_input(inferd_status status)
{
    switch (status) {
    case INFERD_OK:
        return IFD_EXIT_OK;
    case INFERD_INVALID_ARGUMENT:
        return IFD_EXIT_USAGE;
    case INFERD_IO:
    case INFERD_NOT_FOUND:
        return IFD_EXIT_IO;
    case INFERD_INVALID_UTF8:
    case INFERD_INVALID_JSON:
    case INFERD_INVALID_REQUEST:
        return IFD_EXIT_INPUT;
    default:
        return IFD_EXIT_INTERNAL;
    }
}
