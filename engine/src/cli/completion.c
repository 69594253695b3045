/* SPDX-License-Identifier: Apache-2.0
 *
 * completion.c - `inferd completion SHELL`: what a shell needs to complete commands, options and
 * their values, from the same tables that the parser reads.
 */
#include <string.h>

#include "cli/command.h"
#include "cli/say.h"

enum takes { NOTHING, CHOICE, DIRECTORY, ANY_FILE, TEXT };

static enum takes takes_of(const struct ifd_option *row)
{
    if (row->kind == IFD_OPTION_FLAG)
        return NOTHING;
    if (row->kind == IFD_OPTION_CHOICE)
        return CHOICE;
    if (row->value && strncmp(row->value, "DIR", 3) == 0)
        return DIRECTORY;
    return row->value && strcmp(row->value, "FILE") == 0 ? ANY_FILE : TEXT;
}

/* What an argument is; NULL: nothing of ours. */
static const char *argument_words(const struct ifd_command *c)
{
    return strcmp(c->name, "completion") == 0 ? "bash zsh fish" : NULL;
}

static bool argument_is_directory(const struct ifd_command *c)
{
    return strstr(c->arguments, "DIR") != NULL;
}

/* The text with each character of `special` behind a backslash, a quote as '\'' within quotes. */
static void add_escaped(struct ifd_buf *b, const char *text, const char *special)
{
    for (; *text; text++) {
        if (*text == '\'')
            ifd_buf_add_str(b, "'\\''");
        else if (strchr(special, *text))
            ifd_buf_printf(b, "\\%c", *text);
        else
            ifd_buf_add_char(b, *text);
    }
}

static void add_choices(struct ifd_buf *b, const char *choices)
{
    for (; *choices; choices++)
        ifd_buf_add_char(b, *choices == '|' ? ' ' : *choices);
}

static void add_commands(struct ifd_buf *b)
{
    for (size_t i = 0; i < ifd_command_count; i++)
        ifd_buf_printf(b, "%s ", ifd_commands[i]->name);
    ifd_buf_add_str(b, "help");
}

/* --- bash --- */

static void bash_values(struct ifd_buf *b, const struct ifd_command *c)
{
    for (size_t i = 0; i < c->option_count; i++) {
        const struct ifd_option *row = &c->options[i];
        if (row->kind == IFD_OPTION_SECTION || takes_of(row) == NOTHING)
            continue;
        ifd_buf_printf(b, "    '%s --%s')", c->name, row->name);
        switch (takes_of(row)) {
        case CHOICE:
            ifd_buf_add_str(b, " mapfile -t COMPREPLY < <(compgen -W '");
            add_choices(b, row->choices);
            ifd_buf_add_str(b, "' -- \"$cur\"); return ;;\n");
            break;
        case DIRECTORY:
            ifd_buf_add_str(b, " mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); return ;;\n");
            break;
        case ANY_FILE:
            ifd_buf_add_str(b, " mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n");
            break;
        default:
            ifd_buf_add_str(b, " return ;;\n");
        }
    }
}

static void bash_options(struct ifd_buf *b, const struct ifd_command *c)
{
    ifd_buf_printf(b, "    %s) words='", c->name);
    for (size_t i = 0; i < c->option_count; i++)
        if (c->options[i].kind != IFD_OPTION_SECTION)
            ifd_buf_printf(b, "--%s ", c->options[i].name);
    ifd_buf_printf(b, "--help%s%s'", argument_words(c) ? " " : "",
                   argument_words(c) ? argument_words(c) : "");
    if (argument_is_directory(c))
        ifd_buf_add_str(b, "; files=-d");
    ifd_buf_add_str(b, " ;;\n");
}

static void add_bash(struct ifd_buf *b)
{
    ifd_buf_add_str(
        b,
        "# shellcheck shell=bash\n"
        "# inferd " INFERD_VERSION ": source this, or put it into "
        "/usr/share/bash-completion/completions/inferd\n"
        "_inferd() {\n"
        "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words='' files=''\n"
        "  COMPREPLY=()\n"
        "  if [ \"$cur\" = '=' ]; then\n"
        "    cur=''\n"
        "  elif [ \"$prev\" = '=' ]; then # bash cuts --name=value in three\n"
        "    prev=${COMP_WORDS[COMP_CWORD-2]}\n"
        "  fi\n"
        "  if [ \"$COMP_CWORD\" -eq 1 ] || [ \"$prev\" = help ]; then\n"
        "    mapfile -t COMPREPLY < <(compgen -W '");
    add_commands(b);
    ifd_buf_add_str(b, "' -- \"$cur\")\n    return\n  fi\n  case \"${COMP_WORDS[1]} $prev\" in\n");
    for (size_t i = 0; i < ifd_command_count; i++)
        bash_values(b, ifd_commands[i]);
    ifd_buf_add_str(b, "  esac\n  case \"${COMP_WORDS[1]}\" in\n");
    for (size_t i = 0; i < ifd_command_count; i++)
        bash_options(b, ifd_commands[i]);
    ifd_buf_add_str(b, "  esac\n"
                       "  if [ -n \"$files\" ] && [ \"${cur:0:1}\" != - ]; then\n"
                       "    mapfile -t COMPREPLY < <(compgen \"$files\" -- \"$cur\")\n"
                       "  else\n"
                       "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                       "  fi\n"
                       "}\n"
                       "complete -F _inferd inferd\n");
}

/* --- zsh --- */

static void zsh_option(struct ifd_buf *b, const struct ifd_option *row)
{
    static const char special[] = "[]:\\";
    const enum takes takes = takes_of(row);
    ifd_buf_printf(b, " \\\n        '%s--%s%s[", row->kind == IFD_OPTION_LIST ? "*" : "", row->name,
                   takes == NOTHING ? "" : "=");
    add_escaped(b, row->help, special);
    ifd_buf_add_char(b, ']');
    if (takes != NOTHING) {
        ifd_buf_add_char(b, ':');
        add_escaped(b, row->value, special);
        ifd_buf_add_char(b, ':');
    }
    if (takes == CHOICE) {
        ifd_buf_add_char(b, '(');
        add_choices(b, row->choices);
        ifd_buf_add_char(b, ')');
    } else if (takes == DIRECTORY || takes == ANY_FILE) {
        ifd_buf_add_str(b, takes == DIRECTORY ? "_files -/" : "_files");
    }
    ifd_buf_add_char(b, '\'');
}

static void zsh_command(struct ifd_buf *b, const struct ifd_command *c)
{
    ifd_buf_printf(b, "    %s)\n      _arguments '--help[print the help]'", c->name);
    for (size_t i = 0; i < c->option_count; i++)
        if (c->options[i].kind != IFD_OPTION_SECTION)
            zsh_option(b, &c->options[i]);
    if (argument_words(c))
        ifd_buf_printf(b, " \\\n        '1:%s:(%s)'", c->arguments, argument_words(c));
    else if (argument_is_directory(c))
        ifd_buf_printf(b, " \\\n        '1:%s:_files -/'", c->arguments);
    ifd_buf_add_str(b, "\n      ;;\n");
}

static void add_zsh(struct ifd_buf *b)
{
    ifd_buf_add_str(b, "#compdef inferd\n# inferd " INFERD_VERSION
                       ": put it as _inferd into a directory of $fpath\n"
                       "_inferd() {\n  local -a commands\n  commands=(\n");
    for (size_t i = 0; i < ifd_command_count; i++) {
        ifd_buf_printf(b, "    '%s:", ifd_commands[i]->name);
        add_escaped(b, ifd_commands[i]->summary, ":\\");
        ifd_buf_add_str(b, "'\n");
    }
    ifd_buf_add_str(b, "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n"
                       "    return\n  fi\n  local command=$words[2]\n"
                       "  shift words\n  (( CURRENT-- ))\n  case $command in\n");
    for (size_t i = 0; i < ifd_command_count; i++)
        zsh_command(b, ifd_commands[i]);
    ifd_buf_add_str(b, "  esac\n}\nif [[ $funcstack[1] == _inferd ]]; then\n  _inferd \"$@\"\n"
                       "else\n  compdef _inferd inferd\nfi\n");
}

/* --- fish --- */

static void add_fish_text(struct ifd_buf *b, const char *text)
{
    ifd_buf_add_str(b, " -d '");
    for (; *text; text++)
        ifd_buf_printf(b, *text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
    ifd_buf_add_str(b, "'\n");
}

static void fish_option(struct ifd_buf *b, const struct ifd_command *c,
                        const struct ifd_option *row)
{
    ifd_buf_printf(b, "complete -c inferd -n '__fish_seen_subcommand_from %s' -l %s", c->name,
                   row->name);
    switch (takes_of(row)) {
    case CHOICE:
        ifd_buf_add_str(b, " -x -a '");
        add_choices(b, row->choices);
        ifd_buf_add_char(b, '\'');
        break;
    case DIRECTORY:
        ifd_buf_add_str(b, " -x -a '(__fish_complete_directories)'");
        break;
    case ANY_FILE:
        ifd_buf_add_str(b, " -r -F");
        break;
    case TEXT:
        ifd_buf_add_str(b, " -x");
        break;
    default:
        break;
    }
    add_fish_text(b, row->help);
}

static void add_fish(struct ifd_buf *b)
{
    ifd_buf_add_str(b, "# inferd " INFERD_VERSION
                       ": put it into ~/.config/fish/completions/inferd.fish\n"
                       "complete -c inferd -f\n");
    for (size_t i = 0; i < ifd_command_count; i++) {
        const struct ifd_command *c = ifd_commands[i];
        ifd_buf_printf(b, "complete -c inferd -n __fish_use_subcommand -a %s", c->name);
        add_fish_text(b, c->summary);
        for (size_t k = 0; k < c->option_count; k++)
            if (c->options[k].kind != IFD_OPTION_SECTION)
                fish_option(b, c, &c->options[k]);
        if (argument_words(c))
            ifd_buf_printf(b, "complete -c inferd -n '__fish_seen_subcommand_from %s' -a '%s'\n",
                           c->name, argument_words(c));
        if (argument_is_directory(c))
            ifd_buf_printf(b,
                           "complete -c inferd -n '__fish_seen_subcommand_from %s' -a "
                           "'(__fish_complete_directories)'\n",
                           c->name);
    }
}

static enum ifd_exit run_completion(const struct ifd_options *o, struct ifd_out *out)
{
    const char *shell = o->args[0];
    if (strcmp(shell, "bash") == 0)
        add_bash(&out->buf);
    else if (strcmp(shell, "zsh") == 0)
        add_zsh(&out->buf);
    else if (strcmp(shell, "fish") == 0)
        add_fish(&out->buf);
    else {
        ifd_say_error("completion: no shell '%.32s': bash, zsh or fish", shell);
        return IFD_EXIT_USAGE;
    }
    return IFD_EXIT_OK;
}

const struct ifd_command ifd_command_completion = {
    .name = "completion",
    .summary = "print the completion of commands and options for a shell",
    .arguments = "SHELL",
    .about =
        "For bash, `source <(inferd completion bash)`; `make install` puts all three where the\n"
        "shells look.\n",
    .args_least = 1,
    .args_most = 1,
    .run = run_completion,
};
