/* SPDX-License-Identifier: Apache-2.0
 *
 * option_values.c - numbers with units, as text and back; and how options are printed.
 */
#include <stdio.h>
#include <string.h>

#include "cli/options.h"

static const struct {
    const char *suffix;
    uint64_t factor;
} byte_units[] = {
    {"GiB", (uint64_t)1 << 30}, {"MiB", (uint64_t)1 << 20}, {"KiB", (uint64_t)1 << 10}, {"", 1}};

static bool read_digits(const char **text, uint64_t *out)
{
    const char *s = *text;
    if (*s < '0' || *s > '9')
        return false;
    uint64_t v = 0;
    for (; *s >= '0' && *s <= '9'; s++)
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return false;
    *text = s;
    *out = v;
    return true;
}

/* "1.5s": the fraction is of a second and not finer than a millisecond. */
static bool read_duration(const char *text, uint64_t *out)
{
    uint64_t whole, ms = 0;
    if (!read_digits(&text, &whole))
        return false;
    if (strcmp(text, "ms") == 0) {
        *out = whole;
        return true;
    }
    if (*text == '.') {
        uint64_t unit = 100;
        if (text[1] < '0' || text[1] > '9')
            return false;
        for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10) {
            if (unit == 0 && *text != '0')
                return false;
            ms += unit * (uint64_t)(*text - '0');
        }
    }
    if (*text && strcmp(text, "s") != 0)
        return false;
    return !__builtin_mul_overflow(whole, (uint64_t)1000, &whole) &&
           !__builtin_add_overflow(whole, ms, out);
}

bool ifd_option_number(enum ifd_option_kind kind, const char *text, uint64_t *out)
{
    uint64_t v;
    if (kind == IFD_OPTION_DURATION)
        return read_duration(text, out);
    if (!read_digits(&text, &v))
        return false;
    if (kind == IFD_OPTION_COUNT) {
        *out = v;
        return *text == '\0';
    }
    for (size_t i = 0; i < sizeof(byte_units) / sizeof(byte_units[0]); i++)
        if (strcmp(text, byte_units[i].suffix) == 0)
            return !__builtin_mul_overflow(v, byte_units[i].factor, out);
    return false;
}

void ifd_option_format(enum ifd_option_kind kind, uint64_t number, char *out, size_t size)
{
    unsigned long long v = number;
    if (kind == IFD_OPTION_BYTES) {
        size_t i = 0;
        while (number % byte_units[i].factor != 0 || number < byte_units[i].factor) {
            if (byte_units[i].factor == 1)
                break;
            i++;
        }
        snprintf(out, size, "%llu%s", v / byte_units[i].factor, byte_units[i].suffix);
    } else if (kind == IFD_OPTION_DURATION) {
        if (number % 1000)
            snprintf(out, size, "%llums", v);
        else
            snprintf(out, size, "%llus", v / 1000);
    } else {
        snprintf(out, size, "%llu", v);
    }
}

/* The value in force as a user would write it, or NULL when there is none. */
static const char *shown_value(const struct ifd_option *row, const struct ifd_option_value *v,
                               char *scratch, size_t size)
{
    switch (row->kind) {
    case IFD_OPTION_FLAG:
        return v->number ? "yes" : "no";
    case IFD_OPTION_COUNT:
    case IFD_OPTION_BYTES:
    case IFD_OPTION_DURATION:
        ifd_option_format(row->kind, v->number, scratch, size);
        return scratch;
    default:
        return v->text;
    }
}

/* Text in lines of at most 92 columns, indented by six. */
static void add_wrapped(struct ifd_buf *b, const char *text)
{
    size_t column = 0; /* 0: at the start of a line */
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column && column + 1 + word > 86) {
            ifd_buf_add_char(b, '\n');
            column = 0;
        }
        ifd_buf_add_str(b, column ? " " : "      ");
        ifd_buf_add(b, text, word);
        column += word + (column > 0);
        text += word + (text[word] == ' ');
    }
    ifd_buf_add_char(b, '\n');
}

static void add_row(const struct ifd_option *row, const struct ifd_option_value *v,
                    struct ifd_buf *b)
{
    char scratch[32], least[32], most[32], env[64];
    ifd_buf_printf(b, "  --%s%s%s\n", row->name, row->value ? " " : "",
                   row->value ? row->value : "");
    add_wrapped(b, row->help);
    const char *preset = shown_value(row, v, scratch, sizeof(scratch));
    ifd_buf_printf(b, "      [default: %s", preset ? preset : "none");
    if (row->choices) {
        ifd_buf_printf(b, "; one of %s", row->choices);
    } else if (row->kind >= IFD_OPTION_COUNT) {
        ifd_option_format(row->kind, row->least, least, sizeof(least));
        ifd_option_format(row->kind, row->most, most, sizeof(most));
        ifd_buf_printf(b, "; from %s to %s", least, most);
    }
    ifd_option_env(row, env, sizeof(env));
    ifd_buf_printf(b, env[0] ? "; env %s]\n" : "]\n", env);
}

void ifd_options_help(const struct ifd_options *o, struct ifd_buf *b)
{
    for (size_t i = 0; i < o->count; i++) {
        if (o->table[i].kind == IFD_OPTION_SECTION)
            ifd_buf_printf(b, "\n%s:\n", o->table[i].name);
        else
            add_row(&o->table[i], &o->value[i], b);
    }
    ifd_buf_add_str(b, "  --help, -h\n      print this\n");
}

void ifd_options_print(const struct ifd_options *o, struct ifd_buf *b)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct ifd_option *row = &o->table[i];
        const struct ifd_option_value *v = &o->value[i];
        char scratch[32], env[64];
        if (row->kind == IFD_OPTION_SECTION)
            continue;
        const char *value = shown_value(row, v, scratch, sizeof(scratch));
        if (row->secret && value)
            value = "(set)";
        ifd_option_env(row, env, sizeof(env));
        ifd_buf_printf(b, "%-20s %-24s ", row->name, value ? value : "-");
        if (v->origin == IFD_FROM_ENVIRONMENT)
            ifd_buf_printf(b, "environment %s\n", env);
        else if (v->origin == IFD_FROM_FILE)
            ifd_buf_printf(b, "file %s:%u\n", o->file_name, v->line);
        else
            ifd_buf_add_str(b, v->origin == IFD_FROM_DEFAULT ? "default\n" : "command line\n");
    }
}
