/* SPDX-License-Identifier: Apache-2.0
 *
 * access.h - who may ask: API keys, admin keys, and how often each client may.
 *
 * Without --api-key-file everybody may use the inference routes and pages; with it, who presents
 * one of its keys, or an admin key. Routes under /admin are there with --admin-key-file only, and
 * for who has one of its keys. Probes and the page's files, which tell nothing, are always open.
 * Keys are read again on SIGHUP and when their file changes; a bad file leaves the old ones.
 */
#ifndef IFD_SERVER_ACCESS_H
#define IFD_SERVER_ACCESS_H

#include "server/io.h"

struct ifd_route;

/* At the start: a failure stops it. Free with fini. */
IFD_MUST_CHECK inferd_status ifd_access_open(struct ifd_server *s, inferd_error *err);
void ifd_access_fini(struct ifd_server *s);
/* Again; a failure is logged. I/O thread 0. */
void ifd_access_reread(struct ifd_server *s);

/* Are there /admin routes at all? */
bool ifd_access_has_admin(const struct ifd_server *s);
/* INFERD_UNAUTHORIZED, _FORBIDDEN (an API key on an admin route) or _RATE_LIMITED, with
 * r->retry_after_s. `r->route` is set. */
IFD_MUST_CHECK inferd_status ifd_access_check(struct ifd_request *r, inferd_error *err);

#endif
