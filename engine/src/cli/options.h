/* SPDX-License-Identifier: Apache-2.0
 *
 * options.h - command line options from one declarative table per command.
 *
 * A value comes from the command line (--name=value or --name value), else from the environment
 * variable (INFERD_NAME; one that is set but empty counts as unset), else from the table's default.
 * The last mention of an option wins; of a list, all count. "--" ends the options. Every value is
 * checked against its row, wherever it came from; a message names the origin.
 *
 * Strings point into argv, the environment or the table. One owner; used before threads start.
 */
#ifndef IFD_CLI_OPTIONS_H
#define IFD_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define IFD_OPTIONS_MAX 64u
#define IFD_OPTIONS_ITEMS_MAX 16u

enum ifd_option_kind {
    IFD_OPTION_SECTION, /* a heading in --help, not an option */
    IFD_OPTION_FLAG,    /* --name, --name=yes, --name=no */
    IFD_OPTION_STRING,
    IFD_OPTION_LIST,     /* a string each time it is given; all count, see ifd_options_item */
    IFD_OPTION_CHOICE,   /* one of `choices` */
    IFD_OPTION_COUNT,    /* an unsigned number */
    IFD_OPTION_BYTES,    /* with KiB, MiB or GiB, or nothing for bytes */
    IFD_OPTION_DURATION, /* kept in milliseconds; "250ms", "1.5s", or "1.5" for seconds */
};

struct ifd_option {
    enum ifd_option_kind kind;
    const char *name;     /* without dashes; of a section, its heading */
    const char *value;    /* what --help calls the value; NULL for a flag */
    const char *help;     /* one sentence without a full stop */
    const char *preset;   /* the default as a user would write it; NULL: none */
    const char *choices;  /* "a|b|c" */
    uint64_t least, most; /* of a number, inclusive */
    const char *env;      /* NULL: INFERD_ and the name; "": no environment variable */
};

enum ifd_option_origin { IFD_FROM_DEFAULT, IFD_FROM_ENVIRONMENT, IFD_FROM_COMMAND_LINE };

struct ifd_option_value {
    const char *text; /* as written, NULL when there is none */
    uint64_t number;  /* of a flag 0 or 1, of a choice its index */
    enum ifd_option_origin origin;
};

struct ifd_options {
    const struct ifd_option *table;
    size_t count;
    struct ifd_option_value value[IFD_OPTIONS_MAX];
    bool help;   /* --help or -h was there: nothing else was looked at */
    char **args; /* what is no option, in order */
    size_t arg_count;
    /* private */
    struct {
        const struct ifd_option *row;
        const char *text;
    } item[IFD_OPTIONS_ITEMS_MAX]; /* of lists, in order */
    size_t item_count;
};

/* Defaults from the table; a default that does not fit its own row is a broken invariant. */
void ifd_options_init(struct ifd_options *o, const struct ifd_option *table, size_t count);
/* Another default for a number (the caller knows it, the table does not). Before parsing. */
void ifd_options_preset(struct ifd_options *o, const char *name, uint64_t number);

typedef const char *ifd_getenv_fn(const char *name);
/* argv[0..argc) without the program's and the command's names; reordered so that `args` can point
 * into it. INFERD_INVALID_ARGUMENT with what to do. */
IFD_MUST_CHECK inferd_status ifd_options_parse(struct ifd_options *o, int argc, char **argv,
                                               ifd_getenv_fn *env, inferd_error *err);

/* By name; a name that the table lacks is a broken invariant. */
const struct ifd_option_value *ifd_options_get(const struct ifd_options *o, const char *name);
const char *ifd_options_text(const struct ifd_options *o, const char *name);
uint64_t ifd_options_number(const struct ifd_options *o, const char *name);
bool ifd_options_flag(const struct ifd_options *o, const char *name);
/* The i-th string of a list, from 0, or NULL when there are no more. */
const char *ifd_options_item(const struct ifd_options *o, const char *name, size_t i);

/* The environment variable of a row into out, or an empty string when it has none. */
void ifd_option_env(const struct ifd_option *row, char *out, size_t size);
/* A number as its kind is written: 2MiB, 5s, 300ms, 42. */
void ifd_option_format(enum ifd_option_kind kind, uint64_t number, char *out, size_t size);
/* The other way; false when it is not of that kind or does not fit 64 bits. */
IFD_MUST_CHECK bool ifd_option_number(enum ifd_option_kind kind, const char *text, uint64_t *out);

/* Each option with its value, range, default and environment variable, for --help. */
void ifd_options_help(const struct ifd_options *o, struct ifd_buf *b);
/* Each option's value and origin, for --print-config. */
void ifd_options_print(const struct ifd_options *o, struct ifd_buf *b);

#endif
