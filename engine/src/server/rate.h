/* SPDX-License-Identifier: Apache-2.0
 *
 * rate.h - how often each client may ask: a token bucket a client, kept as the time at which it
 * will be full again (the generic cell rate algorithm, ITU-T I.371). A bucket that is full needs no
 * place, so memory is bounded whatever the number of clients: 8,192 places, in sets of eight by a
 * keyed hash. When a set is full of debtors, the one that owes least is forgiven.
 *
 * Any thread; one short lock.
 */
#ifndef IFD_SERVER_RATE_H
#define IFD_SERVER_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct ifd_rate;

/* per_second >= 1 requests, burst >= 1 of them at once. */
IFD_MUST_CHECK inferd_status ifd_rate_create(uint32_t per_second, uint32_t burst,
                                             struct ifd_rate **out, inferd_error *err);
void ifd_rate_free(struct ifd_rate *r); /* accepts NULL */
/* One request of `client` at now_ns. False: not now; *wait_ns is how long until it would be taken.
 */
bool ifd_rate_take(struct ifd_rate *r, uint64_t client, uint64_t now_ns, uint64_t *wait_ns);

#endif
