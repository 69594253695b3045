/* SPDX-License-Identifier: Apache-2.0
 *
 * hub_id.h - names of a Hugging Face-compatible hub: repositories and revisions. They become parts
 * of URLs and of paths, so what is not plainly a name is refused. Pure; any thread.
 */
#ifndef IFD_CLI_HUB_ID_H
#define IFD_CLI_HUB_ID_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define IFD_HUB_PART_MOST 96u
#define IFD_HUB_ID_SIZE (2u * IFD_HUB_PART_MOST + 2u)
#define IFD_HUB_REVISION_SIZE 129u

/* NAME or ORGANISATION/NAME, each of letters, digits, '.', '_' and '-', not beginning or ending
 * with '.' or '-', without ".." and "--". INFERD_INVALID_ARGUMENT says what is wrong. */
IFD_MUST_CHECK inferd_status ifd_hub_id_check(const char *id, inferd_error *err);
/* A branch, tag or commit: letters, digits and "._-/+", beginning with a letter, digit or '_',
 * without "..". */
IFD_MUST_CHECK inferd_status ifd_hub_revision_check(const char *revision, inferd_error *err);
/* "ORGANISATION/NAME" or "ORGANISATION/NAME@REVISION" into its parts; false when it is neither.
 * revision is "main" without one. */
bool ifd_hub_id_split(const char *text, char id[IFD_HUB_ID_SIZE],
                      char revision[IFD_HUB_REVISION_SIZE]);

#endif
