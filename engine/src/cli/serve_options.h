/* SPDX-License-Identifier: Apache-2.0
 *
 * serve_options.h - the options of `inferd serve` and the server's configuration that they fill.
 */
#ifndef IFD_CLI_SERVE_OPTIONS_H
#define IFD_CLI_SERVE_OPTIONS_H

#include "cli/options.h"
#include "server/server.h"

#define IFD_SERVE_OPTION_COUNT 58u
extern const struct ifd_option ifd_serve_options[IFD_SERVE_OPTION_COUNT];

/* The server's own defaults into the table's, so that there is one place that knows them. */
void ifd_serve_prepare(struct ifd_options *o);
/* All fields but model_dir. Strings are those of `o`. */
void ifd_serve_config(const struct ifd_options *o, struct ifd_server_config *c);

#endif
