/* SPDX-License-Identifier: Apache-2.0 */
#include "base/truncation.h"

#include <string.h>

const char *const ifd_truncation_names[IFD_TRUNCATIONS] = {
    "right", "left", "none", "head_tail", "window_mean", "window_max",
};

bool ifd_truncation_parse(const char *name, size_t n, uint8_t *out)
{
    for (unsigned i = 0; i < IFD_TRUNCATIONS; i++)
        if (strlen(ifd_truncation_names[i]) == n && memcmp(ifd_truncation_names[i], name, n) == 0) {
            *out = (uint8_t)i;
            return true;
        }
    return false;
}
