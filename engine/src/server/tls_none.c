/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_none.c - a build without TLS: the options are refused, nothing else is ever called.
 */
#include "server/server_state.h"
#include "server/tls.h"

inferd_status ifd_tls_open(struct ifd_server *s, inferd_error *err)
{
    return s->config.tls_cert ? ifd_fail(err, INFERD_INVALID_ARGUMENT,
                                         "--tls-cert: this inferd was built without TLS "
                                         "(-DIFD_TLS=OFF)")
                              : INFERD_OK;
}

void ifd_tls_reread(struct ifd_server *s)
{
    (void)s;
}

void ifd_tls_fini(struct ifd_server *s)
{
    (void)s;
}

struct ifd_tls *ifd_tls_accept(struct ifd_server *s)
{
    (void)s;
    return NULL;
}

void ifd_tls_free(struct ifd_tls *t)
{
    (void)t;
}

bool ifd_tls_put(struct ifd_tls *t, const char *bytes, size_t n)
{
    (void)t, (void)bytes, (void)n;
    return false;
}

bool ifd_tls_is_open(const struct ifd_tls *t)
{
    (void)t;
    return false;
}

enum ifd_tls_result ifd_tls_get(struct ifd_tls *t, char *out, size_t *n)
{
    (void)t, (void)out, (void)n;
    return IFD_TLS_FAILED;
}

bool ifd_tls_has_input(const struct ifd_tls *t)
{
    (void)t;
    return false;
}

bool ifd_tls_write(struct ifd_tls *t, const char *bytes, size_t n)
{
    (void)t, (void)bytes, (void)n;
    return false;
}

void ifd_tls_bye(struct ifd_tls *t)
{
    (void)t;
}

size_t ifd_tls_pending(const struct ifd_tls *t, const char **bytes)
{
    (void)t, (void)bytes;
    return 0;
}

void ifd_tls_sent(struct ifd_tls *t)
{
    (void)t;
}
