/* SPDX-License-Identifier: Apache-2.0
 *
 * wheel.h - time-outs of many connections: a hashed timer wheel. Arming, re-arming and disarming
 * are O(1) and allocate nothing; a time-out fires at most one tick late. Belongs to one thread.
 */
#ifndef IFD_SERVER_WHEEL_H
#define IFD_SERVER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IFD_WHEEL_TICK_MS 50u
#define IFD_WHEEL_SLOTS 512u /* one turn is 25.6 s; longer ones stay for several turns */

/* A link of a ring; part of whatever is timed. Zeroed = not linked. */
struct ifd_link {
    struct ifd_link *next, *prev;
};

struct ifd_timer {
    struct ifd_link link; /* first */
    uint64_t due;         /* in ticks */
};

struct ifd_wheel {
    struct ifd_link slot[IFD_WHEEL_SLOTS];
    uint64_t now; /* in ticks; all timers due up to here have fired */
    size_t armed;
};

/* Rings, here because the I/O thread's lists of connections use them too. */
void ifd_ring_init(struct ifd_link *ring);
bool ifd_ring_is_empty(const struct ifd_link *ring);
void ifd_ring_append(struct ifd_link *ring, struct ifd_link *link); /* not linked elsewhere */
void ifd_ring_remove(struct ifd_link *link);                        /* fine if not linked */
static inline bool ifd_ring_has(const struct ifd_link *link)
{
    return link->next != NULL;
}

void ifd_wheel_init(struct ifd_wheel *w, uint64_t now_ms);
/* Fire once, no earlier than `ms` after now_ms. Re-arms. */
void ifd_wheel_arm(struct ifd_wheel *w, struct ifd_timer *t, uint64_t now_ms, uint64_t ms);
void ifd_wheel_disarm(struct ifd_wheel *w, struct ifd_timer *t);
/* Take out one timer that is due at now_ms, or NULL when none is. Its owner may arm and disarm any
 * timer before the next call. */
struct ifd_timer *ifd_wheel_expire(struct ifd_wheel *w, uint64_t now_ms);

#endif
