/* SPDX-License-Identifier: Apache-2.0
 *
 * utf8.h - well-formed UTF-8 (Unicode 15, table 3-7) and nothing else. Pure functions.
 */
#ifndef IFD_BASE_UTF8_H
#define IFD_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Decode one scalar at s (n >= 1 bytes left). Returns its length 1..4, or 0 if ill-formed or cut.
 */
static inline size_t ifd_utf8_decode(const char *s, size_t n, uint32_t *scalar)
{
    const unsigned char *u = (const unsigned char *)s;
    uint32_t c = u[0];
    if (c < 0x80) {
        *scalar = c;
        return 1;
    }
    if (c < 0xC2 || c > 0xF4)
        return 0;
    size_t need = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (n < need)
        return 0;
    uint32_t v = c & (0x7Fu >> need);
    for (size_t i = 1; i < need; i++) {
        if ((u[i] & 0xC0u) != 0x80u)
            return 0;
        v = v << 6 | (u[i] & 0x3Fu);
    }
    if ((need == 3 && (v < 0x800 || (v >= 0xD800 && v < 0xE000))) ||
        (need == 4 && (v < 0x10000 || v > 0x10FFFF)))
        return 0;
    *scalar = v;
    return need;
}

/* Encode a scalar (not a surrogate, <= 0x10FFFF) into out[4]; returns its length. */
static inline size_t ifd_utf8_encode(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0u | c >> 6);
        out[1] = (char)(0x80u | (c & 0x3Fu));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0u | c >> 12);
        out[1] = (char)(0x80u | (c >> 6 & 0x3Fu));
        out[2] = (char)(0x80u | (c & 0x3Fu));
        return 3;
    }
    out[0] = (char)(0xF0u | c >> 18);
    out[1] = (char)(0x80u | (c >> 12 & 0x3Fu));
    out[2] = (char)(0x80u | (c >> 6 & 0x3Fu));
    out[3] = (char)(0x80u | (c & 0x3Fu));
    return 4;
}

/* Offset of the first ill-formed byte, or n when all of s is well-formed. */
size_t ifd_utf8_check(const char *s, size_t n);

#endif
