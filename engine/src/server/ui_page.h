/* SPDX-License-Identifier: Apache-2.0
 *
 * ui_page.h - the embedded page over HTTP: which form the client gets, whether it has it already,
 * and what a browser may do with it. I/O thread.
 *
 * Each file may be kept by a cache but is asked for again with its ETag (Cache-Control: no-cache),
 * so a new binary shows at once and an unchanged one costs a 304. The policy lets the page load and
 * ask nothing but this server, run no inline code and be framed by nobody.
 */
#ifndef IFD_SERVER_UI_PAGE_H
#define IFD_SERVER_UI_PAGE_H

#include "server/io.h"

/* Is the request answered with a file: is there one, and on a route that has JSON as well, does the
 * client prefer it? */
bool ifd_ui_page_wanted(const struct ifd_request *r);
/* The file into `body`, its headers into the request; returns the status, 200 or 304. */
int ifd_ui_page(struct ifd_request *r, struct ifd_buf *body);
/* What an answer says that could have been another one with another Accept. */
extern const char ifd_ui_vary[];

#endif
