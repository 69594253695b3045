/* SPDX-License-Identifier: Apache-2.0
 *
 * admin.h - the routes under /admin, for those who have a key of --admin-key-file.
 *
 *     GET  /admin/models                   active, candidate, previous; what the shadow has shown
 *     POST /admin/models/load              {"path": DIR}
 *     POST /admin/models/shadow            {"path": DIR, "share": 0.1}
 *     POST /admin/models/promote  /rollback  /unload_candidate
 *
 * Without the option there are no such routes. load and shadow answer when the work is done: the
 * request waits as one for the scheduler does, and comes back the same way. I/O thread.
 */
#ifndef IFD_SERVER_ADMIN_H
#define IFD_SERVER_ADMIN_H

#include "server/io.h"

#define IFD_ADMIN_BODY_BYTES_MAX 16384u
/* A load at idle priority takes what it takes; a client that waits longer than this gets a 504, and
 * the load goes on. */
#define IFD_ADMIN_TIMEOUT_MS 600000u

/* A piece of an admin route's body. */
void ifd_admin_body(struct ifd_request *r);
/* The request is complete. INFERD_OK: io->body has the answer, a 200, unless r->submitted says that
 * it comes later, through ifd_conn_job_done. */
IFD_MUST_CHECK inferd_status ifd_admin_request(struct ifd_io *io, struct ifd_request *r,
                                               inferd_error *err);

/* The handlers that route.c names. */
typedef inferd_status ifd_admin_handler(struct ifd_io *io, struct ifd_request *r,
                                        inferd_error *err);
ifd_admin_handler ifd_admin_load, ifd_admin_shadow, ifd_admin_promote, ifd_admin_rollback,
    ifd_admin_unload;
int ifd_admin_models_page(struct ifd_io *io, struct ifd_buf *body);

#endif
