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
    const char *path;  /* {model} and {version} stand for a part of it: up to a '/', or to what
                        * follows them here */
    const char *allow; /* the methods, as the Allow header says them */
    const struct ifd_codec *codec; /* POST: classify what this codec decodes; or */
    ifd_error_encoder *error;      /* the shape of its errors; NULL: our own */
    int (*page)(struct ifd_io *io,
                struct ifd_buf *body); /* GET and HEAD: appends, returns status */
    const char *media_type;            /* of what `page` says; NULL = application/json */
    const char *file;                  /* with --ui on: this file of ui/, also beside a `page` */
    /* POST: changes the server */
    inferd_status (*admin)(struct ifd_io *io, struct ifd_request *r, inferd_error *err);
    bool open;      /* for everybody, whatever the keys: a probe */
    bool needs_key; /* only there with --admin-key-file, and for who has one of its keys */
};

/* The table; and whether this server has that route. */
const struct ifd_route *ifd_routes(size_t *count);
bool ifd_route_is_there(const struct ifd_server *s, const struct ifd_route *route);

/* A part of a path, not decoded; `at` NULL: the route has none. */
struct ifd_route_part {
    const char *at;
    size_t size;
};
/* Is path[0 .. size) one of the pattern's (a route's `path`)? Pure (route_path.c). */
bool ifd_route_matches(const char *pattern, const char *path, size_t size,
                       struct ifd_route_part *model, struct ifd_route_part *version);

/* Looks the request's head over: sets r->route, or r->error (and r->allow) with what is wrong with
 * its path, method, body length, content type or expectation. */
void ifd_route_request(struct ifd_request *r);
/* GET and HEAD of a route with `page` or `file`: fills io->body and r->headers, returns the status.
 */
int ifd_route_page(struct ifd_io *io, struct ifd_request *r);

#endif
