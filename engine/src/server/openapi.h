/* SPDX-License-Identifier: Apache-2.0
 *
 * openapi.h - GET /openapi.json: an OpenAPI 3.1 document of the routes that this server has, made
 * of the route table, a row of description for each route, and the schemas that the rows name.
 */
#ifndef IFD_SERVER_OPENAPI_H
#define IFD_SERVER_OPENAPI_H

#include <stddef.h>

struct ifd_buf;
struct ifd_io;

struct ifd_operation {
    const char *path; /* as the route's */
    const char *tag, *summary;
    const char *body, *answer, *error; /* schemas; body NULL: none is needed */
};
extern const struct ifd_operation ifd_operations[];
extern const size_t ifd_operation_count;

struct ifd_openapi_schema {
    const char *name, *json;
};
extern const struct ifd_openapi_schema ifd_openapi_schemas[];
extern const size_t ifd_openapi_schema_count;

/* NULL if there is none. */
const struct ifd_operation *ifd_operation_of(const char *path);
int ifd_openapi_page(struct ifd_io *io, struct ifd_buf *body);

#endif
