/* SPDX-License-Identifier: Apache-2.0
 *
 * ui.h - the page for a person, as bytes in the binary: what a browser needs to show `/` and
 * `/docs`, and nothing from anywhere else. embed.cmake makes the table from the files beside this
 * one. Read-only; any thread.
 */
#ifndef IFD_UI_UI_H
#define IFD_UI_UI_H

#include <stddef.h>

struct ifd_ui_file {
    const char *name;       /* "index.html" */
    const char *media_type; /* with its charset */
    const char *digest;     /* 16 hex digits of the plain bytes' SHA-256, for ETag */
    const unsigned char *plain;
    size_t plain_size;
    const unsigned char *gzip; /* the same bytes, RFC 1952 */
    size_t gzip_size;
};

extern const struct ifd_ui_file ifd_ui_files[];
extern const size_t ifd_ui_file_count;

#endif
