/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "server/route.h"

bool ifd_route_matches(const char *pattern, const char *path, size_t size,
                       struct ifd_route_part *model, struct ifd_route_part *version)
{
    const char *end = path + size;
    *model = *version = (struct ifd_route_part){0};
    while (*pattern) {
        if (*pattern != '{') {
            if (path == end || *path++ != *pattern++)
                return false;
            continue;
        }
        struct ifd_route_part *part = pattern[1] == 'm' ? model : version;
        pattern = strchr(pattern, '}') + 1;
        part->at = path;
        while (path < end && *path != '/' && *path != *pattern)
            path++;
        part->size = (size_t)(path - part->at);
        if (part->size == 0)
            return false;
    }
    return path == end;
}
