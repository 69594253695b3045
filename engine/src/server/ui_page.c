/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ui_page.h"

#include <stdio.h>
#include <string.h>

#include "server/negotiate.h"
#include "server/route.h"
#include "ui/ui.h"

#define POLICY                                                                  \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const char ifd_ui_vary[] = "Vary: Accept\r\n";

bool ifd_ui_page_wanted(const struct ifd_request *r)
{
    const struct ifd_route *route = r->route;
    return route->file && r->io->server->config.ui &&
           (!route->page || ifd_negotiate_html(ifd_http_header(&r->http, "accept")));
}

static const struct ifd_ui_file *find(const char *name)
{
    for (size_t i = 0; i < ifd_ui_file_count; i++)
        if (strcmp(ifd_ui_files[i].name, name) == 0)
            return &ifd_ui_files[i];
    return NULL;
}

int ifd_ui_page(struct ifd_request *r, struct ifd_buf *body)
{
    const struct ifd_ui_file *file = find(r->route->file);
    IFD_ASSERT(file); /* a route names a file that embed.cmake has */
    const bool gzip = ifd_negotiate_gzip(ifd_http_header(&r->http, "accept-encoding"));
    char tag[32];
    snprintf(tag, sizeof(tag), "%s%s", file->digest, gzip ? "-gz" : "");
    r->media_type = file->media_type;
    snprintf(r->headers, sizeof(r->headers),
             "ETag: \"%s\"\r\nCache-Control: no-cache\r\nVary: Accept-Encoding%s\r\n%s"
             "Content-Security-Policy: " POLICY "\r\nX-Content-Type-Options: nosniff\r\n"
             "Referrer-Policy: no-referrer\r\n",
             tag, r->route->page ? ", Accept" : "", gzip ? "Content-Encoding: gzip\r\n" : "");
    if (ifd_negotiate_has(ifd_http_header(&r->http, "if-none-match"), tag))
        return 304;
    ifd_buf_add(body, gzip ? file->gzip : file->plain, gzip ? file->gzip_size : file->plain_size);
    return 200;
}
