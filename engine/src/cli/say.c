/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define FIRST_NS 1000000000u
#define EVERY_NS 200000000u

bool ifd_say_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && (!term || strcmp(term, "dumb") != 0);
}

static bool has_colour(void)
{
    const char *no = getenv("NO_COLOR");
    return ifd_say_terminal() && (!no || !no[0]);
}

static void say(const char *before, const char *after, const char *fmt, va_list args)
{
    char message[1024];
    vsnprintf(message, sizeof(message), fmt, args);
    for (char *c = message; *c; c++) /* a file's or a client's bytes must not steer the terminal */
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '?';
    fprintf(stderr, "%sinferd:%s %s\n", before, after, message);
}

void ifd_say_error(const char *fmt, ...)
{
    bool colour = has_colour();
    va_list args;
    va_start(args, fmt);
    say(colour ? "\033[31m" : "", colour ? "\033[0m" : "", fmt, args);
    va_end(args);
}

void ifd_say_notice(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say("", "", fmt, args);
    va_end(args);
}

void ifd_progress_begin(struct ifd_progress *p, bool allowed)
{
    *p = (struct ifd_progress){.on = allowed && ifd_say_terminal(), .began_ns = ifd_clock_ns()};
}

void ifd_progress_tick(struct ifd_progress *p, uint64_t texts)
{
    if (!p->on)
        return;
    uint64_t now = ifd_clock_ns();
    if (now - p->began_ns < FIRST_NS || now - p->shown_ns < EVERY_NS)
        return;
    char line[96];
    double seconds = (double)(now - p->began_ns) / 1e9;
    int n = snprintf(line, sizeof(line), "%llu texts, %.0f per second", (unsigned long long)texts,
                     (double)texts / seconds);
    fprintf(stderr, "\r%-*s", (int)p->width, line);
    p->width = n > 0 ? (unsigned)n : 0;
    p->shown_ns = now;
}

void ifd_progress_end(struct ifd_progress *p)
{
    if (p->width)
        fprintf(stderr, "\r%*s\r", (int)p->width, "");
    p->width = 0;
}
