/* SPDX-License-Identifier: Apache-2.0
 *
 * fields.h - where in a JSON request an event is, as one number: what the codecs of other people's
 * protocols are written with.
 *
 * A codec lists the keys that it knows. The path of a value has a byte for each level, the
 * outermost first: IFD_FIELDS_ITEM for an item of a list, 2 + k for the value of key k. So the
 * strings of {"inputs": [{"data": ["a"]}]} are at P4(INPUTS, ITEM, DATA, ITEM), and a decoder is a
 * switch. Beginnings and ends of objects and lists are told at their own path, but those of the
 * body itself: that must be an object, which is checked here. A key that is known and given twice
 * in one object is refused; unknown keys are refused or, with all that is below them, ignored: as
 * the codec says.
 */
#ifndef IFD_CODEC_FIELDS_H
#define IFD_CODEC_FIELDS_H

#include "codec/codec.h"

#define IFD_FIELDS_ITEM 1u
#define IFD_FIELDS_KEY(k) (2u + (k))
#define IFD_FIELDS_TOO_DEEP UINT64_MAX

#define P1(a) ((uint64_t)(a))
#define P2(a, b) (P1(a) << 8 | (b))
#define P3(a, b, c) (P2(a, b) << 8 | (c))
#define P4(a, b, c, d) (P3(a, b, c) << 8 | (d))
#define P5(a, b, c, d, e) (P4(a, b, c, d) << 8 | (e))

/* begin, feed and finish of a codec that has `keys` and `value`. */
void ifd_fields_begin(struct ifd_decode *d);
IFD_MUST_CHECK inferd_status ifd_fields_feed(struct ifd_decode *d, const char *bytes, size_t n,
                                             inferd_error *err);
IFD_MUST_CHECK inferd_status ifd_fields_finish(struct ifd_decode *d, inferd_error *err);

/* For `value`, by event: */
/* A piece of a short string or number. True when it is complete: d->key[0 .. d->key_size); what is
 * longer than IFD_CODEC_KEY_MAX has a larger key_size. The next piece begins anew. */
bool ifd_fields_keep(struct ifd_decode *d, const char *s, size_t n, bool last);
/* The bytes alone, to those that are kept: for who says by itself where a piece begins. */
void ifd_fields_append(struct ifd_decode *d, const char *s, size_t n);
bool ifd_fields_kept_is(const struct ifd_decode *d, const char *s);
/* A piece of a text; *empty: it is complete, and an empty string, which no protocol takes. */
IFD_MUST_CHECK inferd_status ifd_fields_string(struct ifd_decode *d, const char *s, size_t n,
                                               bool last, bool *empty, inferd_error *err);
/* The same, with that refused. `what` names the field in messages. */
IFD_MUST_CHECK inferd_status ifd_fields_text(struct ifd_decode *d, const char *s, size_t n,
                                             bool last, const char *what, inferd_error *err);
IFD_MUST_CHECK inferd_status ifd_fields_flag(enum ifd_json_event event, const char *what, bool *out,
                                             inferd_error *err);
/* "X must be Y, not Z". */
inferd_status ifd_fields_mismatch(const char *what, const char *must_be, enum ifd_json_event event,
                                  inferd_error *err);
const char *ifd_fields_event_name(enum ifd_json_event event);

#endif
