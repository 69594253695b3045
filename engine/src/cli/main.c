/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c - finds the command, reads its options, runs it, and sees that its output arrived.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/nearest.h"
#include "cli/say.h"

const struct ifd_command *const ifd_commands[] = {
    &ifd_command_serve,       &ifd_command_classify,   &ifd_command_tokenize, &ifd_command_inspect,
    &ifd_command_pull,        &ifd_command_bench,      &ifd_command_tune,     &ifd_command_doctor,
    &ifd_command_healthcheck, &ifd_command_completion, &ifd_command_man,      &ifd_command_version,
};
#define COMMANDS (sizeof(ifd_commands) / sizeof(ifd_commands[0]))
const size_t ifd_command_count = COMMANDS;

static void add_exit_codes(struct ifd_buf *b)
{
    ifd_buf_add_str(b, "\nExit codes:\n");
#define ROW(name, code, text) ifd_buf_printf(b, "  %d  %s\n", code, text);
    IFD_EXIT_MAP(ROW)
#undef ROW
}

static void add_overview(struct ifd_buf *b)
{
    ifd_buf_add_str(b, "inferd " INFERD_VERSION " - text classification in one binary\n\n"
                       "Usage: inferd COMMAND [options]\n\nCommands:\n");
    for (size_t i = 0; i < COMMANDS; i++)
        ifd_buf_printf(b, "  %-12s %s\n", ifd_commands[i]->name, ifd_commands[i]->summary);
    ifd_buf_add_str(b,
                    "\n`inferd COMMAND --help` lists a command's options. A value comes from the "
                    "command\nline, else from the environment, else from a file (serve --config), "
                    "else from the\ndefault.\n");
    add_exit_codes(b);
}

static void add_help(const struct ifd_command *c, const struct ifd_options *o, struct ifd_buf *b)
{
    ifd_buf_printf(b, "inferd %s - %s\n\nUsage: inferd %s [options]%s%s\n", c->name, c->summary,
                   c->name, c->arguments[0] ? " " : "", c->arguments);
    if (c->about[0])
        ifd_buf_printf(b, "\n%s", c->about);
    if (c->option_count && c->options[0].kind != IFD_OPTION_SECTION)
        ifd_buf_add_str(b, "\nOptions:\n");
    ifd_options_help(o, b);
    add_exit_codes(b);
}

static const char *get_environment(const char *name)
{
    return getenv(name);
}

static enum ifd_exit usage(const char *command, const char *message)
{
    ifd_say_error("%s%s%s (inferd%s%s --help)", command, command[0] ? ": " : "", message,
                  command[0] ? " " : "", command);
    return IFD_EXIT_USAGE;
}

static enum ifd_exit run_with(struct ifd_options *o, const struct ifd_command *c, int argc,
                              char **argv, struct ifd_out *out)
{
    inferd_error err;
    ifd_options_init(o, c->options, c->option_count);
    if (c->prepare)
        c->prepare(o);
    if (ifd_options_parse(o, argc, argv, get_environment, &err))
        return usage(c->name, err.message);
    if (o->help) {
        add_help(c, o, &out->buf);
        return IFD_EXIT_OK;
    }
    if (o->arg_count > c->args_most) {
        char message[128];
        snprintf(message, sizeof(message), "unexpected argument '%.64s'", o->args[c->args_most]);
        return usage(c->name, message);
    }
    if (o->arg_count < c->args_least) {
        char message[128];
        snprintf(message, sizeof(message), "%s is missing", c->arguments);
        return usage(c->name, message);
    }
    return c->run(o, out);
}

static enum ifd_exit run(const struct ifd_command *c, int argc, char **argv, struct ifd_out *out)
{
    static struct ifd_options o; /* too large for some stacks; main's alone */
    enum ifd_exit code = run_with(&o, c, argc, argv, out);
    ifd_options_fini(&o);
    return code;
}

const struct ifd_command *ifd_command_find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(ifd_commands[i]->name, name) == 0)
            return ifd_commands[i];
    return NULL;
}

static enum ifd_exit unknown(const char *name)
{
    const char *names[COMMANDS];
    char message[192];
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = ifd_commands[i]->name;
    const char *near = ifd_nearest(name, names, COMMANDS);
    snprintf(message, sizeof(message), "there is no command '%.64s'%s%s%s", name,
             near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return usage("", message);
}

static bool is_one_of(const char *s, const char *a, const char *b, const char *c)
{
    return strcmp(s, a) == 0 || strcmp(s, b) == 0 || strcmp(s, c) == 0;
}

static enum ifd_exit dispatch(int argc, char **argv, struct ifd_out *out)
{
    static char help_option[] = "--help";
    char *help[] = {help_option};
    if (argc < 2)
        return usage("", "a command is missing; the help lists them");
    const char *name = argv[1];
    if (is_one_of(name, "--help", "-h", "help")) {
        if (argc < 3) {
            add_overview(&out->buf);
            return IFD_EXIT_OK;
        }
        const struct ifd_command *c = ifd_command_find(argv[2]);
        return c ? run(c, 1, help, out) : unknown(argv[2]);
    }
    if (is_one_of(name, "--version", "-V", "-v"))
        return run(&ifd_command_version, 0, argv, out);
    const struct ifd_command *c = ifd_command_find(name);
    return c ? run(c, argc - 2, argv + 2, out) : unknown(name);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write, seen by ifd_out */
    struct ifd_out out;
    ifd_out_init(&out, STDOUT_FILENO);
    enum ifd_exit code = dispatch(argc, argv, &out);
    enum ifd_exit written = ifd_out_finish(&out);
    ifd_out_fini(&out);
    return (int)(written ? written : code);
}
