/* SPDX-License-Identifier: Apache-2.0
 *
 * otlp.h - spans as an OTLP/HTTP request body in JSON: ExportTraceServiceRequest of
 * opentelemetry-proto 1.x, with the attribute names of OpenTelemetry's HTTP semantic conventions
 * and our own under inferd.*. Pure; no I/O.
 */
#ifndef IFD_SERVER_OTLP_H
#define IFD_SERVER_OTLP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "server/span.h"

struct ifd_otlp_resource {
    const char *service;  /* service.name */
    const char *instance; /* service.instance.id */
    int64_t epoch_ns;     /* to add to ifd_clock_ns for nanoseconds since 1970 */
};

/* Appends the body to `out`; a failure shows in out->failed. `ids` makes the ids of the spans. */
void ifd_otlp_body(struct ifd_buf *out, const struct ifd_otlp_resource *resource,
                   const struct ifd_span *spans, size_t count, struct ifd_ident_source *ids);

#endif
