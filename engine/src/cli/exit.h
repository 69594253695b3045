/* SPDX-License-Identifier: Apache-2.0
 *
 * exit.h - the exit codes of every command. They are an interface: scripts and container probes
 * depend on them. docs/cli.md and --help print this table; new codes are only appended.
 */
#ifndef IFD_CLI_EXIT_H
#define IFD_CLI_EXIT_H

/* X(name, code, text) */
#define IFD_EXIT_MAP(X)                                                                       \
    X(OK, 0, "success")                                                                       \
    X(INTERNAL, 1, "internal error, out of memory, or a server that had to cut requests off") \
    X(USAGE, 2, "wrong usage: an unknown command or option, a value out of range")            \
    X(SETUP, 3, "a set-up script needs something that it must not install by itself")         \
    X(MODEL, 4, "the model cannot be loaded")                                                 \
    X(LISTEN, 5, "the server cannot listen on its address")                                   \
    X(INPUT, 6, "bad input: not UTF-8, not the format asked for, an unknown label")           \
    X(UNHEALTHY, 7, "healthcheck: the server is not ready or does not answer")                \
    X(IO, 8, "reading input or writing output failed")                                        \
    X(UNREACHABLE, 9, "bench: the server cannot be connected to")                             \
    X(FETCH, 10, "pull: the model could not be fetched")                                      \
    X(UNFIT, 11,                                                                              \
      "doctor: something would keep the server from working; tune: no setting meets the goal")

enum ifd_exit {
#define IFD_EXIT_ENUM_(name, code, text) IFD_EXIT_##name = code,
    IFD_EXIT_MAP(IFD_EXIT_ENUM_)
#undef IFD_EXIT_ENUM_
};

#endif
