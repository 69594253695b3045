/* SPDX-License-Identifier: Apache-2.0
 *
 * negotiate.h - what a client prefers, from its Accept, Accept-Encoding and If-None-Match headers
 * (RFC 9110 12.5 and 13.1.2). Pure functions over header values; a malformed element counts as not
 * there. `value` NULL: the client did not send the header.
 */
#ifndef IFD_SERVER_NEGOTIATE_H
#define IFD_SERVER_NEGOTIATE_H

#include <stdbool.h>

/* The weight of `item` ("gzip", "text/html") where the list names it: 0 to 1000 thousandths; -1
 * where it does not. Wildcards are not the item. */
int ifd_negotiate_weight(const char *value, const char *item);
/* Would a person rather read HTML than JSON? Only who names text/html. */
bool ifd_negotiate_html(const char *accept);
/* Would a scraper rather read OpenMetrics than Prometheus' text format? Only who names it. */
bool ifd_negotiate_openmetrics(const char *accept);
bool ifd_negotiate_gzip(const char *accept_encoding);
/* Has the client the entity of this tag (without quotes) already? Weak comparison. */
bool ifd_negotiate_has(const char *if_none_match, const char *tag);

#endif
