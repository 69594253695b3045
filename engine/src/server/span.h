/* SPDX-License-Identifier: Apache-2.0
 *
 * span.h - one request as a trace tells it: a server span, and a child for each stage that it went
 * through. Plain data of fixed size, so that recording it copies and allocates nothing.
 */
#ifndef IFD_SERVER_SPAN_H
#define IFD_SERVER_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "server/http_parser.h"
#include "server/ident.h"

/* Boundaries of the stages; span i is from boundary i to i + 1. As inferd_stage_seconds has them.
 */
enum ifd_span_stage {
    IFD_SPAN_PARSE,
    IFD_SPAN_TOKENIZE,
    IFD_SPAN_QUEUE,
    IFD_SPAN_INFER,
    IFD_SPAN_SERIALIZE,
    IFD_SPAN_STAGES
};

struct ifd_span {
    struct ifd_ident ident; /* trace and id are not empty */
    const char *route;      /* a string that lives for ever; NULL: none of ours */
    const char *outcome;    /* the same; never NULL */
    char method[IFD_HTTP_METHOD_MAX + 1];
    int code; /* HTTP status */
    uint32_t texts;
    uint64_t tokens;
    uint64_t began_ns, ended_ns; /* ifd_clock_ns */
    bool staged;                 /* at_ns is set */
    uint64_t at_ns[IFD_SPAN_STAGES + 1];
};

#endif
