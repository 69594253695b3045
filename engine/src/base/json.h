/* SPDX-License-Identifier: Apache-2.0
 *
 * json.h - a strict, incremental JSON parser (RFC 8259), for request bodies and model files alike.
 *
 * Push parser: feed bytes as they come, in pieces of any size; it calls back with events. The
 * events and the verdict are the same for every way of cutting the input. It never recurses and
 * never allocates: nesting is one bit per level, an escape or a UTF-8 sequence cut by a piece is
 * held in a few bytes of state.
 *
 * Strict: one value, white space around it, nothing else; no BOM, no NUL, no comments, no trailing
 * commas, no NaN; control characters in strings must be escaped; strings must be well-formed UTF-8
 * and \u escapes must not leave a lone surrogate. Numbers are checked for their grammar and given
 * as text, so no range is lost here. Duplicate keys are not this layer's business: see jsondoc.h
 * (refused) and the request codec.
 *
 * One owner at a time; no I/O, no globals.
 */
#ifndef IFD_BASE_JSON_H
#define IFD_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define IFD_JSON_DEPTH_MAX 64u

enum ifd_json_event {
    IFD_JSON_OBJECT_BEGIN,
    IFD_JSON_OBJECT_END,
    IFD_JSON_ARRAY_BEGIN,
    IFD_JSON_ARRAY_END,
    IFD_JSON_KEY,    /* like STRING */
    IFD_JSON_STRING, /* decoded UTF-8, in one or more pieces: `last` on the final one (maybe empty)
                      */
    IFD_JSON_NUMBER, /* the number's text, in one or more pieces: `last` on the final one */
    IFD_JSON_TRUE,
    IFD_JSON_FALSE,
    IFD_JSON_NULL,
};

/* `data` is valid during the call. `last` is true for events that are not in pieces. A status other
 * than INFERD_OK stops the parse and becomes ifd_json_feed's (the callback has filled `err`). */
typedef inferd_status ifd_json_callback(void *ctx, enum ifd_json_event event, const char *data,
                                        size_t size, bool last, inferd_error *err);

struct ifd_json {
    uint64_t offset; /* bytes consumed; after an error, the offset of the offending byte */
    uint32_t depth;  /* open objects and arrays */
    /* private */
    ifd_json_callback *callback;
    void *ctx;
    uint64_t is_object; /* bit d: level d + 1 is an object */
    const char *literal;
    const char *why; /* what a failed parse expected; NULL when the callback stopped it */
    uint32_t depth_max;
    uint16_t surrogate, hex;
    uint8_t state, utf8_need, utf8_have, hex_have, literal_at;
    uint8_t found; /* the offending byte */
    uint8_t pending[4];
    bool in_key, at_end;
    inferd_status failed;
};

/* depth_max: 1..IFD_JSON_DEPTH_MAX. */
void ifd_json_init(struct ifd_json *p, uint32_t depth_max, ifd_json_callback *callback, void *ctx);
/* INFERD_INVALID_JSON or INFERD_INVALID_UTF8 with the byte offset in the message. After a failure
 * every further call fails in the same way. */
IFD_MUST_CHECK inferd_status ifd_json_feed(struct ifd_json *p, const char *bytes, size_t n,
                                           inferd_error *err);
/* No more bytes come: fails if the value is not complete. */
IFD_MUST_CHECK inferd_status ifd_json_finish(struct ifd_json *p, inferd_error *err);

#endif
