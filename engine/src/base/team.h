/* SPDX-License-Identifier: Apache-2.0
 *
 * team.h - a fixed group of threads that run one function together.
 *
 * The caller is member 0; members 1..n-1 are threads that sleep between runs (a short bounded spin,
 * then a futex-backed condition variable: no busy waiting that would starve a neighbour).
 * One run at a time per team; a team belongs to the thread that calls ifd_team_run.
 */
#ifndef IFD_BASE_TEAM_H
#define IFD_BASE_TEAM_H

#include "base/err.h"

struct ifd_team;

typedef void ifd_team_fn(void *arg, unsigned member, unsigned members);

/* members >= 1; a team of one starts no thread. */
IFD_MUST_CHECK inferd_status ifd_team_create(unsigned members, struct ifd_team **out,
                                             inferd_error *err);
void ifd_team_free(struct ifd_team *team);
unsigned ifd_team_size(const struct ifd_team *team);
/* Run fn(arg, i, n) on every member and return when all are done (a full barrier). */
void ifd_team_run(struct ifd_team *team, ifd_team_fn *fn, void *arg);

#endif
