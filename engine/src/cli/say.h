/* SPDX-License-Identifier: Apache-2.0
 *
 * say.h - what a command says on stderr beside its output: errors, notices, progress.
 *
 * Colour only on a terminal, and not with NO_COLOR set (no-color.org) or TERM=dumb. Progress only
 * on a terminal, only when the work takes longer than a second. Belongs to the main thread.
 */
#ifndef IFD_CLI_SAY_H
#define IFD_CLI_SAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* "inferd: message", one line; control characters in it are replaced. */
void ifd_say_error(const char *fmt, ...) IFD_PRINTF(1, 2);
void ifd_say_notice(const char *fmt, ...) IFD_PRINTF(1, 2);

/* Whether stderr is a terminal that understands carriage returns. */
bool ifd_say_terminal(void);

struct ifd_progress {
    bool on;
    uint64_t began_ns, shown_ns;
    unsigned width; /* of the line that stands there */
};

/* `allowed` false: never shown, e.g. because results go to the same terminal. */
void ifd_progress_begin(struct ifd_progress *p, bool allowed);
void ifd_progress_tick(struct ifd_progress *p, uint64_t texts);
/* Wipes the line. */
void ifd_progress_end(struct ifd_progress *p);

#endif
