/* SPDX-License-Identifier: Apache-2.0 */
#include "server/access.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/conn.h"
#include "server/rate.h"
#include "server/route.h"

#define API_OPTION "--api-key-file"
#define ADMIN_OPTION "--admin-key-file"

bool ifd_access_has_admin(const struct ifd_server *s)
{
    return s->config.admin_key_file != NULL;
}

inferd_status ifd_access_open(struct ifd_server *s, inferd_error *err)
{
    const struct ifd_server_config *c = &s->config;
    inferd_status st = INFERD_OK;
    if (c->admin_key_file)
        st = ifd_keys_read(ADMIN_OPTION, c->admin_key_file, &s->admin_keys, err);
    if (!st && c->api_key_file)
        st = ifd_keys_read(API_OPTION, c->api_key_file, &s->api_keys, err);
    if (!st && c->rate_limit)
        st = ifd_rate_create(c->rate_limit, c->rate_burst ? c->rate_burst : c->rate_limit, &s->rate,
                             err);
    return st;
}

void ifd_access_fini(struct ifd_server *s)
{
    ifd_keys_fini(&s->admin_keys);
    ifd_keys_fini(&s->api_keys);
    ifd_rate_free(s->rate);
}

static void reread(struct ifd_server *s, const char *option, const char *path,
                   struct ifd_keys *in_use)
{
    struct ifd_keys keys = {0};
    inferd_error err;
    if (!path)
        return;
    if (ifd_keys_read(option, path, &keys, &err)) {
        ifd_log(IFD_LOG_ERROR, "keys not read again: the old ones stay",
                IFD_STR("message", err.message));
        return;
    }
    pthread_mutex_lock(&s->lock);
    struct ifd_keys old = *in_use;
    *in_use = keys;
    pthread_mutex_unlock(&s->lock);
    ifd_keys_fini(&old);
    ifd_log(IFD_LOG_INFO, "keys read", IFD_STR("option", option), IFD_U64("keys", keys.count));
}

void ifd_access_reread(struct ifd_server *s)
{
    reread(s, ADMIN_OPTION, s->config.admin_key_file, &s->admin_keys);
    reread(s, API_OPTION, s->config.api_key_file, &s->api_keys);
}

/* What the key in the request's head is good for. */
struct standing {
    bool api, admin;
    uint64_t client; /* tells keys apart; 0: no key that we know */
};

static struct standing standing_of(const struct ifd_request *r)
{
    struct ifd_server *s = r->io->server;
    uint8_t digest[IFD_SHA256_BYTES];
    struct standing found = {0};
    if (!ifd_keys_present(&r->io->sha, ifd_http_header(&r->http, "authorization"), digest))
        return found;
    pthread_mutex_lock(&s->lock);
    found.api = ifd_keys_match(&s->api_keys, digest);
    found.admin = ifd_keys_match(&s->admin_keys, digest);
    pthread_mutex_unlock(&s->lock);
    if (found.api || found.admin)
        memcpy(&found.client, digest, sizeof(found.client));
    return found;
}

static inferd_status check_rate(struct ifd_request *r, uint64_t client, inferd_error *err)
{
    uint64_t wait_ns = 0;
    struct ifd_rate *rate = r->io->server->rate;
    if (ifd_rate_take(rate, client ? client : r->conn->client, ifd_clock_ns(), &wait_ns))
        return INFERD_OK;
    r->retry_after_s = (unsigned)(wait_ns / 1000000000u) + 1;
    return ifd_fail(err, INFERD_RATE_LIMITED,
                    "more requests than the --rate-limit %u per second of one client",
                    r->io->server->config.rate_limit);
}

inferd_status ifd_access_check(struct ifd_request *r, inferd_error *err)
{
    const struct ifd_server *s = r->io->server;
    const struct ifd_route *route = r->route;
    const bool keyed = route->needs_key || s->config.api_key_file;
    if (route->open || route->file || (!keyed && !s->rate))
        return INFERD_OK;
    /* a server without keys reads none, also where it counts */
    const struct standing who = keyed ? standing_of(r) : (struct standing){0};
    if (route->needs_key && !who.admin && who.api)
        return ifd_fail(err, INFERD_FORBIDDEN, "this route needs a key of " ADMIN_OPTION);
    if (route->needs_key && !who.admin) /* not which of the two it was */
        return ifd_fail(err, INFERD_UNAUTHORIZED,
                        "this route needs Authorization: Bearer and a key of " ADMIN_OPTION);
    if (keyed && !who.admin && !who.api)
        return ifd_fail(err, INFERD_UNAUTHORIZED,
                        "this server needs Authorization: Bearer and a key of " API_OPTION);
    return s->rate && !who.admin ? check_rate(r, who.client, err) : INFERD_OK;
}
