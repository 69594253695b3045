/* SPDX-License-Identifier: Apache-2.0 */
#include "server/rate.h"

#include <pthread.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"

#define SETS 1024u
#define WAYS 8u

struct place {
    uint64_t client;
    uint64_t full_ns; /* when the bucket is full again; past: the place is free */
};

struct ifd_rate {
    pthread_mutex_t lock;
    uint64_t interval_ns; /* a token */
    uint64_t depth_ns;    /* a full bucket */
    uint64_t secret;      /* clients cannot tell who shares their set */
    struct place sets[SETS][WAYS];
};

inferd_status ifd_rate_create(uint32_t per_second, uint32_t burst, struct ifd_rate **out,
                              inferd_error *err)
{
    struct ifd_rate *r = ifd_zalloc(sizeof(*r));
    if (!r)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for the clients' rates");
    pthread_mutex_init(&r->lock, NULL);
    r->interval_ns = UINT64_C(1000000000) / per_second;
    r->depth_ns = r->interval_ns * burst;
    if (getrandom(&r->secret, sizeof(r->secret), GRND_NONBLOCK) != (ssize_t)sizeof(r->secret))
        r->secret = ifd_clock_ns();
    *out = r;
    return INFERD_OK;
}

void ifd_rate_free(struct ifd_rate *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->lock);
    ifd_free(r);
}

/* The finaliser of MurmurHash3, 64 bits: every bit of the input moves every bit of the output. */
static uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    x = (x ^ (x >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ (x >> 33);
}

/* The client's place; else a free one, else that of who owes least. */
static struct place *place_of(struct ifd_rate *r, uint64_t client, uint64_t now_ns)
{
    struct place *set = r->sets[mixed(client ^ r->secret) % SETS], *best = &set[0];
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].client == client)
            return &set[i];
        if (set[i].full_ns < best->full_ns)
            best = &set[i];
    }
    *best = (struct place){.client = client, .full_ns = now_ns};
    return best;
}

bool ifd_rate_take(struct ifd_rate *r, uint64_t client, uint64_t now_ns, uint64_t *wait_ns)
{
    pthread_mutex_lock(&r->lock);
    struct place *p = place_of(r, client, now_ns);
    const uint64_t from = p->full_ns > now_ns ? p->full_ns : now_ns;
    const uint64_t full_ns = from + r->interval_ns;
    const bool good = full_ns - now_ns <= r->depth_ns;
    if (good)
        p->full_ns = full_ns;
    else
        *wait_ns = full_ns - now_ns - r->depth_ns;
    pthread_mutex_unlock(&r->lock);
    return good;
}
