/* SPDX-License-Identifier: Apache-2.0 */
#include "model/options.h"

#include <string.h>

inferd_status ifd_options_copy(const char *what, const void *from, void *to, size_t size,
                               inferd_error *err)
{
    size_t given;
    memset(to, 0, size);
    if (!from)
        return INFERD_OK;
    memcpy(&given, from, sizeof(given));
    if (given < sizeof(given) || given > IFD_OPTIONS_BYTES_MAX)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                        "%s.struct_size is %zu; zero the struct and set it to sizeof(%s)", what,
                        given, what);
    for (size_t i = size; i < given; i++)
        if (((const char *)from)[i] != 0)
            return ifd_fail(err, INFERD_INVALID_ARGUMENT,
                            "%s sets a field that inferd %s does not know; use a newer library",
                            what, INFERD_VERSION);
    memcpy(to, from, given < size ? given : size);
    return INFERD_OK;
}

void ifd_figures_copy(void *to, const void *from, size_t size)
{
    size_t wanted;
    memcpy(&wanted, to, sizeof(wanted));
    if (wanted < sizeof(wanted) || wanted > IFD_OPTIONS_BYTES_MAX)
        return;
    const size_t common = wanted < size ? wanted : size;
    memcpy(to, from, common);
    memset((char *)to + common, 0, wanted - common);
}
