/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cli/nearest.h"

#define CONFIG_BYTES_MAX ((size_t)1 << 20)

static bool is_number(enum ifd_option_kind kind)
{
    return kind == IFD_OPTION_COUNT || kind == IFD_OPTION_BYTES || kind == IFD_OPTION_DURATION;
}

static const struct ifd_option *find(const struct ifd_options *o, const char *name, size_t n)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct ifd_option *row = &o->table[i];
        if (row->kind != IFD_OPTION_SECTION && strlen(row->name) == n &&
            memcmp(row->name, name, n) == 0)
            return row;
    }
    return NULL;
}

static struct ifd_option_value *value_of(struct ifd_options *o, const struct ifd_option *row)
{
    return &o->value[row - o->table];
}

/* ---- one value ----------------------------------------------------------------------------- */

/* Index of `text` in "a|b|c", or -1. */
static int choice_index(const char *choices, const char *text)
{
    size_t n = strlen(text);
    for (int index = 0;; index++) {
        size_t k = strcspn(choices, "|");
        if (k == n && memcmp(choices, text, n) == 0)
            return index;
        if (!choices[k])
            return -1;
        choices += k + 1;
    }
}

static bool flag_value(const char *text, uint64_t *out)
{
    int i = choice_index("no|yes|0|1|false|true|off|on", text);
    *out = (uint64_t)i & 1;
    return i >= 0;
}

static const char *form(enum ifd_option_kind kind)
{
    switch (kind) {
    case IFD_OPTION_BYTES:
        return "a whole number of bytes, or one with KiB, MiB or GiB";
    case IFD_OPTION_DURATION:
        return "a time such as 250ms, 1.5s or 20 (seconds)";
    default:
        return "a whole number";
    }
}

/* Where a value came from, for messages: "--port 99999" or "INFERD_PORT=99999 (environment)". */
static void describe(const struct ifd_option *row, const char *text, enum ifd_option_origin origin,
                     char *out, size_t size)
{
    if (row->secret)
        text = "(secret)";
    size_t shown = ifd_utf8_check(text, strnlen(text, 64));
    if (origin == IFD_FROM_FILE) {
        snprintf(out, size, "%s = %.*s", row->name, (int)shown, text);
    } else if (origin == IFD_FROM_ENVIRONMENT) {
        char env[64];
        ifd_option_env(row, env, sizeof(env));
        snprintf(out, size, "%s=%.*s (environment)", env, (int)shown, text);
    } else {
        snprintf(out, size, "--%s %.*s", row->name, (int)shown, text);
    }
}

/* The values of a list do not add to those of a weaker origin: they replace them. */
static inferd_status add_item(struct ifd_options *o, const struct ifd_option *row, const char *text,
                              enum ifd_option_origin origin, inferd_error *err)
{
    if (origin > value_of(o, row)->origin) {
        size_t kept = 0;
        for (size_t i = 0; i < o->item_count; i++)
            if (o->item[i].row != row)
                o->item[kept++] = o->item[i];
        o->item_count = kept;
    }
    if (o->item_count == IFD_OPTIONS_ITEMS_MAX)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "--%s: given more than %u times", row->name,
                        IFD_OPTIONS_ITEMS_MAX);
    o->item[o->item_count].row = row;
    o->item[o->item_count++].text = text;
    return INFERD_OK;
}

static inferd_status set(struct ifd_options *o, const struct ifd_option *row, const char *text,
                         enum ifd_option_origin origin, inferd_error *err)
{
    struct ifd_option_value v = {.text = text, .origin = origin};
    char what[160], least[32], most[32];
    describe(row, text, origin, what, sizeof(what));
    if (row->kind == IFD_OPTION_FLAG) {
        if (!flag_value(text, &v.number))
            return ifd_fail(err, INFERD_INVALID_ARGUMENT, "%s: must be yes or no", what);
    } else if (row->kind == IFD_OPTION_CHOICE) {
        int i = choice_index(row->choices, text);
        if (i < 0)
            return ifd_fail(err, INFERD_INVALID_ARGUMENT, "%s: must be one of %s", what,
                            row->choices);
        v.number = (uint64_t)i;
    } else if (is_number(row->kind)) {
        if (!ifd_option_number(row->kind, text, &v.number))
            return ifd_fail(err, INFERD_INVALID_ARGUMENT, "%s: must be %s", what, form(row->kind));
        if (v.number < row->least || v.number > row->most) {
            ifd_option_format(row->kind, row->least, least, sizeof(least));
            ifd_option_format(row->kind, row->most, most, sizeof(most));
            return ifd_fail(err, INFERD_INVALID_ARGUMENT, "%s: must be from %s to %s", what, least,
                            most);
        }
    } else if (!text[0]) {
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "--%s: must not be empty", row->name);
    }
    if (row->kind == IFD_OPTION_LIST) {
        inferd_status s = add_item(o, row, text, origin, err);
        if (s)
            return s;
    }
    *value_of(o, row) = v;
    return INFERD_OK;
}

/* ---- the four sources --------------------------------------------------------------------- */

void ifd_options_init(struct ifd_options *o, const struct ifd_option *table, size_t count)
{
    IFD_ASSERT(count <= IFD_OPTIONS_MAX);
    *o = (struct ifd_options){.table = table, .count = count};
    for (size_t i = 0; i < count; i++)
        if (table[i].kind != IFD_OPTION_SECTION && table[i].preset)
            IFD_ASSERT(!set(o, &table[i], table[i].preset, IFD_FROM_DEFAULT, NULL));
}

void ifd_options_preset(struct ifd_options *o, const char *name, uint64_t number)
{
    const struct ifd_option *row = find(o, name, strlen(name));
    IFD_ASSERT(row && is_number(row->kind) && number >= row->least && number <= row->most);
    *value_of(o, row) = (struct ifd_option_value){.number = number};
}

void ifd_option_env(const struct ifd_option *row, char *out, size_t size)
{
    if (row->env) {
        snprintf(out, size, "%s", row->env);
        return;
    }
    int n = snprintf(out, size, "INFERD_%s", row->name);
    IFD_ASSERT(n > 0 && (size_t)n < size);
    for (char *c = out; *c; c++)
        *c = *c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
}

static inferd_status read_environment(struct ifd_options *o, ifd_getenv_fn *env, inferd_error *err)
{
    for (size_t i = 0; i < o->count; i++) {
        char name[64];
        if (o->table[i].kind == IFD_OPTION_SECTION)
            continue;
        ifd_option_env(&o->table[i], name, sizeof(name));
        const char *text = name[0] ? env(name) : NULL;
        if (!text || !text[0])
            continue;
        inferd_status s = set(o, &o->table[i], text, IFD_FROM_ENVIRONMENT, err);
        if (s)
            return s;
    }
    return INFERD_OK;
}

static inferd_status unknown(const struct ifd_options *o, const char *dashes, const char *name,
                             size_t n, inferd_error *err);

/* ---- a configuration file ------------------------------------------------------------------ */

static char *trimmed(char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    size_t n = strlen(s);
    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
        n--;
    s[n] = '\0';
    return s;
}

/* Cuts a comment off that is not within quotes. */
static void cut_comment(char *line)
{
    bool quoted = false;
    for (char *c = line; *c; c++) {
        quoted ^= *c == '"';
        if (*c == '#' && !quoted && (c == line || c[-1] == ' ' || c[-1] == '\t')) {
            *c = '\0';
            return;
        }
    }
}

static inferd_status read_line(struct ifd_options *o, char *line, unsigned number,
                               inferd_error *err)
{
    cut_comment(line);
    char *name = trimmed(line), *sign = strchr(name, '=');
    if (!name[0])
        return INFERD_OK;
    if (!sign)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "a line is `name = value`, not '%.40s'",
                        name);
    *sign = '\0';
    char *value = trimmed(sign + 1);
    const size_t n = strlen(value);
    name = trimmed(name);
    if (n >= 2 && value[0] == '"' && value[n - 1] == '"') {
        value[n - 1] = '\0';
        value++;
    }
    const struct ifd_option *row = find(o, name, strlen(name));
    if (!row || strcmp(name, "config") == 0)
        return unknown(o, "", name, strlen(name), err);
    if (value_of(o, row)->origin == IFD_FROM_FILE && row->kind != IFD_OPTION_LIST)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "%s is there twice, first in line %u", name,
                        value_of(o, row)->line);
    inferd_status s = set(o, row, value, IFD_FROM_FILE, err);
    if (!s)
        value_of(o, row)->line = number;
    return s;
}

inferd_status ifd_options_read_file(struct ifd_options *o, const char *name, char *text,
                                    inferd_error *err)
{
    unsigned number = 0;
    ifd_free(o->file);
    o->file = text;
    o->file_name = name;
    for (char *line = text; line;) {
        char *end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        inferd_status s = read_line(o, line, ++number, err);
        if (s)
            return ifd_fail_prefix(err, "%s:%u", name, number);
        line = end;
    }
    return INFERD_OK;
}

void ifd_options_fini(struct ifd_options *o)
{
    ifd_free(o->file);
    o->file = NULL;
}

/* The value of --config or its variable; the same as parsing will find. */
static const char *find_file(const struct ifd_options *o, int argc, char **argv, ifd_getenv_fn *env)
{
    static const char option[] = "--config";
    const size_t n = sizeof(option) - 1;
    const struct ifd_option *row = find(o, "config", 6);
    char name[64];
    if (!row)
        return NULL;
    ifd_option_env(row, name, sizeof(name));
    const char *found = name[0] ? env(name) : NULL;
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], option, n) != 0)
            continue;
        if (argv[i][n] == '=')
            found = argv[i] + n + 1;
        else if (!argv[i][n] && i + 1 < argc)
            found = argv[i + 1];
    }
    return found && found[0] ? found : NULL;
}

static inferd_status read_configuration(struct ifd_options *o, const char *name, inferd_error *err)
{
    size_t size = 0;
    char *text = NULL;
    inferd_status s = ifd_file_slurp(name, CONFIG_BYTES_MAX, &text, &size, err);
    if (s)
        return ifd_fail_prefix(err, "--config");
    if (strlen(text) != size) {
        ifd_free(text);
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "--config %s: it holds a NUL: no text file",
                        name);
    }
    return ifd_options_read_file(o, name, text, err);
}

/* `dashes`: as the user wrote the name. */
static inferd_status unknown(const struct ifd_options *o, const char *dashes, const char *name,
                             size_t n, inferd_error *err)
{
    const char *names[IFD_OPTIONS_MAX + 1] = {"help"};
    size_t count = 1;
    for (size_t i = 0; i < o->count; i++)
        if (o->table[i].kind != IFD_OPTION_SECTION)
            names[count++] = o->table[i].name;
    char shown[65];
    size_t k = ifd_utf8_check(name, n < 64 ? n : 64);
    memcpy(shown, name, k);
    shown[k] = '\0';
    const char *near = ifd_nearest(shown, names, count);
    if (near)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "there is no option %s%s; did you mean %s%s?",
                        dashes, shown, dashes, near);
    return ifd_fail(err, INFERD_INVALID_ARGUMENT, "there is no option %s%s; see --help", dashes,
                    shown);
}

/* The option at argv[*at]; moves *at past its value. */
static inferd_status read_option(struct ifd_options *o, int argc, char **argv, int *at,
                                 inferd_error *err)
{
    const char *name = argv[*at] + 2;
    size_t n = strcspn(name, "=");
    const struct ifd_option *row = find(o, name, n);
    if (!row)
        return unknown(o, "--", name, n, err);
    const char *text;
    if (name[n] == '=')
        text = name + n + 1;
    else if (row->kind == IFD_OPTION_FLAG)
        text = "yes";
    else if (*at + 1 < argc)
        text = argv[++*at];
    else
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "--%s needs a value: --%s %s", row->name,
                        row->name, row->value);
    return set(o, row, text, IFD_FROM_COMMAND_LINE, err);
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

inferd_status ifd_options_parse(struct ifd_options *o, int argc, char **argv, ifd_getenv_fn *env,
                                inferd_error *err)
{
    o->args = argv;
    o->arg_count = 0;
    if (asks_for_help(argc, argv)) { /* also beside what is wrong: help is the remedy */
        o->help = true;
        return INFERD_OK;
    }
    const char *file = find_file(o, argc, argv, env);
    inferd_status s = file ? read_configuration(o, file, err) : INFERD_OK;
    if (!s)
        s = read_environment(o, env, err);
    bool ended = false;
    for (int i = 0; i < argc && !s; i++) {
        if (!ended && strcmp(argv[i], "--") == 0)
            ended = true;
        else if (!ended && strncmp(argv[i], "--", 2) == 0)
            s = read_option(o, argc, argv, &i, err);
        else if (!ended && argv[i][0] == '-' && argv[i][1])
            s = ifd_fail(err, INFERD_INVALID_ARGUMENT,
                         "there is no option %.32s; options have two dashes, and -- comes before "
                         "an argument that begins with one",
                         argv[i]);
        else
            o->args[o->arg_count++] = argv[i];
    }
    return s;
}

/* ---- reading values ------------------------------------------------------------------------ */

const struct ifd_option_value *ifd_options_get(const struct ifd_options *o, const char *name)
{
    const struct ifd_option *row = find(o, name, strlen(name));
    IFD_ASSERT(row);
    return &o->value[row - o->table];
}

const char *ifd_options_text(const struct ifd_options *o, const char *name)
{
    return ifd_options_get(o, name)->text;
}

uint64_t ifd_options_number(const struct ifd_options *o, const char *name)
{
    return ifd_options_get(o, name)->number;
}

bool ifd_options_flag(const struct ifd_options *o, const char *name)
{
    return ifd_options_get(o, name)->number != 0;
}

const char *ifd_options_item(const struct ifd_options *o, const char *name, size_t i)
{
    const struct ifd_option *row = find(o, name, strlen(name));
    IFD_ASSERT(row && row->kind == IFD_OPTION_LIST);
    for (size_t k = 0; k < o->item_count; k++)
        if (o->item[k].row == row && i-- == 0)
            return o->item[k].text;
    return NULL;
}
