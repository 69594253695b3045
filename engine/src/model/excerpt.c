/* SPDX-License-Identifier: Apache-2.0 */
#include "model/excerpt.h"

#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

struct ifd_excerpt ifd_excerpt(const char *text)
{
    struct ifd_excerpt e;
    size_t size = strlen(text), room = sizeof(e.s) - sizeof("...");
    size_t at = 0, to = 0;
    while (at < size) {
        uint32_t scalar;
        size_t n = ifd_utf8_decode(text + at, size - at, &scalar);
        size_t bytes = n > 0 ? n : 1;
        if (to + bytes > room)
            break;
        if (n == 0 || scalar < 0x20 || (scalar >= 0x7F && scalar < 0xA0))
            memset(e.s + to, '?', bytes);
        else
            memcpy(e.s + to, text + at, bytes);
        at += bytes;
        to += bytes;
    }
    memcpy(e.s + to, "...", sizeof("..."));
    if (at == size)
        e.s[to] = '\0';
    return e;
}
