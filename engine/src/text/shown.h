/* SPDX-License-Identifier: Apache-2.0
 *
 * shown.h - how much of a token a message repeats: "%.*s" with IFD_SHOWN(text, size).
 */
#ifndef IFD_TEXT_SHOWN_H
#define IFD_TEXT_SHOWN_H

#include <stddef.h>
#include <stdint.h>

/* At most 64 bytes of valid UTF-8, not cut inside a scalar. */
static inline int ifd_shown(const char *text, size_t size)
{
    size_t n = size < 64 ? size : 64;
    while (n < size && n > 0 && ((uint8_t)text[n] & 0xC0u) == 0x80u)
        n--;
    return (int)n;
}

#define IFD_SHOWN(text, size) ifd_shown((text), (size)), (text)

#endif
