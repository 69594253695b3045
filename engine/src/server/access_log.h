/* SPDX-License-Identifier: Apache-2.0
 *
 * access_log.h - one log line a request: with --access-log each, without it our own faults only.
 */
#ifndef IFD_SERVER_ACCESS_LOG_H
#define IFD_SERVER_ACCESS_LOG_H

#include "server/conn.h"

/* After ifd_outcome_answer and the first try to write; `r` may be NULL (a refused connection).
 * `error` NULL: a page or a result. */
void ifd_access_log(const struct ifd_conn *c, const struct ifd_request *r, const char *request_id,
                    const inferd_error *error);
/* A request that ends without an answer. Before ifd_outcome_cut. */
void ifd_access_log_cut(const struct ifd_conn *c);

#endif
