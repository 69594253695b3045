/* SPDX-License-Identifier: Apache-2.0
 *
 * pull_options.h - the options of `inferd pull`, shared with inferd-pull, the executable that does
 * the work: it alone links libcurl.
 */
#ifndef IFD_CLI_PULL_OPTIONS_H
#define IFD_CLI_PULL_OPTIONS_H

#include "cli/options.h"

#define IFD_PULL_OPTION_COUNT 6u
extern const struct ifd_option ifd_pull_options[IFD_PULL_OPTION_COUNT];
#define IFD_PULL_ARGUMENTS "REPO_ID"
extern const char ifd_pull_about[];

#endif
