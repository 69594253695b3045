/* SPDX-License-Identifier: Apache-2.0
 *
 * team.h - a fixed group of threads that walk through the steps of one function together.
 *
 * The caller is one member; the others are threads that sleep between runs (a short bounded spin,
 * then a futex-backed condition variable: no busy waiting that would starve a neighbour).
 * Every step has as many parts as the team has members, and each part is done once, by whoever
 * comes first: a member that wakes late or is interrupted holds up the part that it has taken and
 * nothing else, and the caller alone would finish.
 * One run at a time per team; a team belongs to the thread that calls ifd_team_run.
 */
#ifndef IFD_BASE_TEAM_H
#define IFD_BASE_TEAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct ifd_team;

/* Where a member is in a run. Its own. */
struct ifd_team_walk {
    struct ifd_team *team;
    uint64_t passed; /* parts of the steps behind it */
    bool holds;      /* it has a part of this step */
};

/* The same steps in the same order on every member: which it takes part in may depend on arg, not
 * on what a step computes. */
typedef void ifd_team_fn(void *arg, struct ifd_team_walk *walk);

/* members >= 1; a team of one starts no thread. */
IFD_MUST_CHECK inferd_status ifd_team_create(unsigned members, struct ifd_team **out,
                                             inferd_error *err);
void ifd_team_free(struct ifd_team *team);
unsigned ifd_team_size(const struct ifd_team *team);
/* Run fn(arg) here and on every member that comes before it ends here; return when all have left.
 */
void ifd_team_run(struct ifd_team *team, ifd_team_fn *fn, void *arg);
/* Inside fn, `while (ifd_team_part(walk, &part))` is one step: true gives a part in [0, members) to
 * do; false says that all parts are done, by whomever, and what they wrote is seen. Some 0.2 us a
 * step when the members come together. */
bool ifd_team_part(struct ifd_team_walk *walk, unsigned *part);

#endif
