/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <string.h>

size_t ifd_utf8_check(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint64_t eight;
        if (n - i >= 8) { /* skip ASCII a word at a time: most text is */
            memcpy(&eight, s + i, 8);
            if (!(eight & 0x8080808080808080u)) {
                i += 8;
                continue;
            }
        }
        uint32_t scalar;
        size_t len = ifd_utf8_decode(s + i, n - i, &scalar);
        if (len == 0)
            return i;
        i += len;
    }
    return n;
}
