/* SPDX-License-Identifier: Apache-2.0
 *
 * st_verdict.c - for tools/st_differential.py: our verdict on safetensors files that come on stdin,
 * each as a 4-byte little-endian size and its bytes. One line each: "ok" or the message.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/safetensors.h"

int main(void)
{
    uint32_t size;
    while (fread(&size, sizeof(size), 1, stdin) == 1) {
        unsigned char *file = malloc(size ? size : 1);
        struct ifd_st_header h = {0};
        inferd_error err = {INFERD_OK, ""};
        size_t n = 0;
        if (!file || fread(file, 1, size, stdin) != size)
            return 1;
        inferd_status st = ifd_st_header_bytes(file, size, &n, &err);
        if (!st)
            st = ifd_st_header_parse((const char *)file + IFD_ST_PREFIX_BYTES, n,
                                     size - IFD_ST_PREFIX_BYTES - n, &h, &err);
        puts(st ? err.message : "ok");
        ifd_st_header_free(&h);
        free(file);
    }
    return 0;
}
