/* SPDX-License-Identifier: Apache-2.0 */
#include "server/wheel.h"

void ifd_ring_init(struct ifd_link *ring)
{
    ring->next = ring->prev = ring;
}

bool ifd_ring_is_empty(const struct ifd_link *ring)
{
    return ring->next == ring;
}

void ifd_ring_append(struct ifd_link *ring, struct ifd_link *link)
{
    link->prev = ring->prev;
    link->next = ring;
    ring->prev->next = link;
    ring->prev = link;
}

void ifd_ring_remove(struct ifd_link *link)
{
    if (!link->next)
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = link->prev = NULL;
}

void ifd_wheel_init(struct ifd_wheel *w, uint64_t now_ms)
{
    for (size_t i = 0; i < IFD_WHEEL_SLOTS; i++)
        ifd_ring_init(&w->slot[i]);
    w->now = now_ms / IFD_WHEEL_TICK_MS;
    w->armed = 0;
}

void ifd_wheel_disarm(struct ifd_wheel *w, struct ifd_timer *t)
{
    if (!ifd_ring_has(&t->link))
        return;
    ifd_ring_remove(&t->link);
    w->armed--;
}

void ifd_wheel_arm(struct ifd_wheel *w, struct ifd_timer *t, uint64_t now_ms, uint64_t ms)
{
    ifd_wheel_disarm(w, t);
    if (w->armed == 0 && now_ms / IFD_WHEEL_TICK_MS > w->now)
        w->now = now_ms / IFD_WHEEL_TICK_MS; /* nothing to step over */
    /* rounded up: a tick's slot is emptied when the tick has begun */
    t->due = (now_ms + ms + IFD_WHEEL_TICK_MS - 1) / IFD_WHEEL_TICK_MS;
    if (t->due <= w->now)
        t->due = w->now + 1; /* slots up to `now` have been passed */
    ifd_ring_append(&w->slot[t->due % IFD_WHEEL_SLOTS], &t->link);
    w->armed++;
}

struct ifd_timer *ifd_wheel_expire(struct ifd_wheel *w, uint64_t now_ms)
{
    const uint64_t target = now_ms / IFD_WHEEL_TICK_MS;
    while (w->armed > 0 && w->now < target) {
        struct ifd_link *ring = &w->slot[(w->now + 1) % IFD_WHEEL_SLOTS];
        for (struct ifd_link *link = ring->next; link != ring; link = link->next) {
            struct ifd_timer *t = (struct ifd_timer *)link;
            if (t->due > w->now + 1)
                continue; /* a later turn */
            ifd_wheel_disarm(w, t);
            return t;
        }
        w->now++;
    }
    return NULL;
}
