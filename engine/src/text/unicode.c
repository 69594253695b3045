/* SPDX-License-Identifier: Apache-2.0 */
#include "text/unicode.h"

#include <string.h>

#include <utf8proc.h>

#include "text/unicode_pins.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

inferd_status ifd_unicode_check(inferd_error *err)
{
    const char *have = utf8proc_unicode_version();
    if (strcmp(have, PINS_UTF8PROC_UNICODE) != 0)
        return ifd_fail(err, INFERD_INTERNAL,
                        "libutf8proc carries Unicode %s, but the tables of this build are for %s: "
                        "install the libutf8proc it was built with, or regenerate unicode_pins.h",
                        have, PINS_UTF8PROC_UNICODE);
    return INFERD_OK;
}

static bool on_pinned_page(uint32_t c)
{
    uint32_t page = c >> 8;
    return (pin_pages[page >> 5] >> (page & 31) & 1u) != 0;
}

/* Index of the last row whose first member is <= c, or -1. Every pin table is sorted by it. */
#define FIND_ROW(table, member, c, at)           \
    do {                                         \
        size_t lo_ = 0, hi_ = COUNT(table);      \
        while (lo_ < hi_) {                      \
            size_t mid_ = lo_ + (hi_ - lo_) / 2; \
            if ((table)[mid_].member <= (c))     \
                lo_ = mid_ + 1;                  \
            else                                 \
                hi_ = mid_;                      \
        }                                        \
        (at) = (ptrdiff_t)lo_ - 1;               \
    } while (0)

static bool is_cjk(uint32_t c)
{
    if (c < 0x3400)
        return false;
    return (c <= 0x4DBF) || (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
           (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0x2F800 && c <= 0x2FA1F);
}

/* What the general category alone says. */
static unsigned category_flags(utf8proc_category_t category)
{
    switch (category) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
        return IFD_U_WORD;
    case UTF8PROC_CATEGORY_MN:
        return IFD_U_WORD | IFD_U_MARK;
    case UTF8PROC_CATEGORY_PC:
        return IFD_U_WORD | IFD_U_PUNCT;
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return IFD_U_PUNCT;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return IFD_U_BLANK | IFD_U_SPACE;
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
        return IFD_U_DROP;
    default:
        return 0;
    }
}

unsigned ifd_unicode_flags(uint32_t c)
{
    if (on_pinned_page(c)) {
        ptrdiff_t at;
        FIND_ROW(flag_pins, first, c, at);
        if (at >= 0 && c <= flag_pins[at].last)
            return flag_pins[at].flags;
    }
    unsigned flags = category_flags(utf8proc_category((utf8proc_int32_t)c));
    if (c < 0x80) {
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20u) >= 'a' && (c | 0x20u) <= 'z');
        if (c > ' ' && c < 0x7F && !alnum)
            flags |= IFD_U_PUNCT; /* ASCII symbols count, whatever their category */
        if (c == '\t' || c == '\n' || c == '\r')
            return IFD_U_BLANK | IFD_U_SPACE;
    }
    if (c == 0x0B || c == 0x0C || c == 0x85)
        flags |= IFD_U_SPACE; /* controls to the clean-up, white space to the splitter */
    if (c == 0xFFFD)
        flags |= IFD_U_DROP;
    if (is_cjk(c))
        flags |= IFD_U_CJK;
    return flags;
}

size_t ifd_unicode_lower(uint32_t c, uint32_t out[2])
{
    if (c < 0x80) {
        out[0] = c >= 'A' && c <= 'Z' ? c | 0x20u : c;
        return 1;
    }
    if (on_pinned_page(c)) {
        ptrdiff_t at;
        FIND_ROW(lower_pins, c, c, at);
        if (at >= 0 && lower_pins[at].c == c) {
            out[0] = lower_pins[at].to[0];
            out[1] = lower_pins[at].to[1];
            return out[1] ? 2 : 1;
        }
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    return 1;
}

size_t ifd_unicode_decompose(uint32_t c, uint32_t out[4])
{
    if (c < 0xC0) {
        out[0] = c;
        return 1;
    }
    if (on_pinned_page(c)) {
        ptrdiff_t at;
        FIND_ROW(nfd_pins, c, c, at);
        if (at >= 0 && nfd_pins[at].c == c) {
            size_t n = 0;
            while (n < 4 && nfd_pins[at].to[n]) {
                out[n] = nfd_pins[at].to[n];
                n++;
            }
            return n;
        }
    }
    utf8proc_int32_t to[4];
    int boundary = 0;
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)c, to, 4, UTF8PROC_DECOMPOSE, &boundary);
    IFD_ASSERT(n >= 1 && n <= 4); /* the generator checked it for every scalar of this version */
    for (utf8proc_ssize_t i = 0; i < n; i++)
        out[i] = (uint32_t)to[i];
    return (size_t)n;
}

unsigned ifd_unicode_ccc(uint32_t c)
{
    if (c < 0x300)
        return 0;
    if (on_pinned_page(c)) {
        ptrdiff_t at;
        FIND_ROW(ccc_pins, first, c, at);
        if (at >= 0 && c <= ccc_pins[at].last)
            return ccc_pins[at].ccc;
    }
    return (unsigned)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}
