/* SPDX-License-Identifier: Apache-2.0
 *
 * unicode.h - what the reference tokenizer knows about one Unicode scalar.
 *
 * Data comes from utf8proc; where its Unicode version or its view differs from the reference's, the
 * generated tables of unicode_pins.h win. The pins hold for one version of utf8proc's data only, so
 * ifd_unicode_check refuses to run on another. Pure functions over constant data, any thread.
 */
#ifndef IFD_TEXT_UNICODE_H
#define IFD_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The values are those of tests/text/tools/gen_unicode_pins.py. */
enum ifd_unicode_flag {
    IFD_U_DROP = 1,   /* clean-up removes it: control, format, private use, NUL, U+FFFD */
    IFD_U_BLANK = 2,  /* clean-up makes it a plain space */
    IFD_U_CJK = 4,    /* an ideograph that gets spaces around it */
    IFD_U_SPACE = 8,  /* White_Space: ends a word, is trimmed around added tokens */
    IFD_U_PUNCT = 16, /* a word of its own */
    IFD_U_MARK = 32,  /* accent stripping removes it (Mn); set for fully decomposed scalars only */
    IFD_U_WORD = 64,  /* \w of the added tokens' whole-word test */
};

/* INFERD_INTERNAL when the utf8proc at run time is not the one that the pins were made for. */
IFD_MUST_CHECK inferd_status ifd_unicode_check(inferd_error *err);

/* Flags of a scalar (<= 0x10FFFF, not a surrogate, here and below). */
unsigned ifd_unicode_flags(uint32_t c);

/* Lower case of one scalar, regardless of its neighbours (no final sigma): 1 or 2 scalars. */
size_t ifd_unicode_lower(uint32_t c, uint32_t out[2]);

/* Full canonical decomposition, not reordered: 1 to 4 scalars. */
size_t ifd_unicode_decompose(uint32_t c, uint32_t out[4]);

/* Canonical combining class; 0 for starters. */
unsigned ifd_unicode_ccc(uint32_t c);

static inline bool ifd_unicode_is_space(uint32_t c)
{
    return c < 0x80 ? (c == ' ' || (c >= '\t' && c <= '\r'))
                    : (ifd_unicode_flags(c) & IFD_U_SPACE) != 0;
}

#endif
