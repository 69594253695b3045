/* SPDX-License-Identifier: Apache-2.0
 *
 * route.h - which path does what, and the small pages that need no model.
 */
#ifndef IFD_SERVER_ROUTE_H
#define IFD_SERVER_ROUTE_H

#include "codec/codec.h"
#include "server/request.h"
#include "server/server_state.h"

struct ifd_route {
    const char *path;
    const char *allow;             /* the methods, as the Allow header says them */
    const struct ifd_codec *codec; /* POST: classify what this codec decodes; or */
    int (*page)(struct ifd_io *io,
                struct ifd_buf *body); /* GET and HEAD: appends, returns status */
    const char *media_type;            /* of what `page` says; NULL = application/json */
    const char *file;                  /* with --ui on: this file of ui/, also beside a `page` */
    /* POST: changes the server */
    inferd_status (*admin)(struct ifd_io *io, struct ifd_request *r, inferd_error *err);
    bool needs_key; /* only there with --admin-key-file, and for who has one of its keys */
};

/* Looks the request's head over: sets r->route, or r->error (and r->allow) with what is wrong with
 * its path, method, body length, content type or expectation. */
void ifd_route_request(struct ifd_request *r);
/* GET and HEAD of a route with `page` or `file`: fills io->body and r->headers, returns the status.
 */
int ifd_route_page(struct ifd_io *io, struct ifd_request *r);

#endif
