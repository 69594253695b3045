/* SPDX-License-Identifier: Apache-2.0 */
#include "server/tls.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "server/server_state.h"

struct ifd_tls {
    SSL *ssl;
    BIO *in, *out; /* the SSL's */
};

/* --- the context --- */

static inferd_status failed(const char *option, const char *path, inferd_error *err)
{
    char why[128] = "OpenSSL does not say why";
    const unsigned long code = ERR_peek_last_error();
    if (code)
        ERR_error_string_n(code, why, sizeof(why));
    ERR_clear_error();
    return ifd_fail(err, INFERD_INVALID_ARGUMENT, "%s %s cannot be used: %s", option, path, why);
}

/* A key with a pass phrase would wait for a terminal. */
static int no_password(char *buf, int size, int writes, void *arg)
{
    (void)buf, (void)size, (void)writes, (void)arg;
    return 0;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *offered, unsigned offered_size, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl, (void)arg;
    return SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_size, ours, sizeof(ours) - 1,
                                 offered, offered_size) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static inferd_status set_client_ca(SSL_CTX *ctx, const char *path, inferd_error *err)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);
    if (!names || SSL_CTX_load_verify_locations(ctx, path, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return failed("--tls-client-ca", path, err);
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return INFERD_OK;
}

/* When the certificate ends, Unix time; 0: not known. */
static uint64_t expiry_of(SSL_CTX *ctx)
{
    struct tm tm = {0};
    const X509 *certificate = SSL_CTX_get0_certificate(ctx);
    if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
        return 0;
    const time_t at = timegm(&tm);
    return at > 0 ? (uint64_t)at : 0;
}

static inferd_status load(const struct ifd_server_config *c, SSL_CTX **out, inferd_error *err)
{
    static const unsigned char session[] = "inferd";
    inferd_status st = INFERD_OK;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for TLS");
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); /* an idle connection holds no buffers */
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    SSL_CTX_set_session_id_context(ctx, session, sizeof(session) - 1);
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, c->tls_cert) != 1)
        st = failed("--tls-cert", c->tls_cert, err);
    else if (SSL_CTX_use_PrivateKey_file(ctx, c->tls_key, SSL_FILETYPE_PEM) != 1 ||
             SSL_CTX_check_private_key(ctx) != 1)
        st = failed("--tls-key", c->tls_key, err);
    else if (c->tls_client_ca)
        st = set_client_ca(ctx, c->tls_client_ca, err);
    if (st)
        SSL_CTX_free(ctx);
    else
        *out = ctx;
    return st;
}

static void put_in_use(struct ifd_server *s, SSL_CTX *ctx)
{
    pthread_mutex_lock(&s->lock);
    SSL_CTX *old = s->tls;
    s->tls = ctx;
    pthread_mutex_unlock(&s->lock);
    SSL_CTX_free(old); /* connections hold references of their own */
    atomic_store_explicit(&s->tls_expiry, expiry_of(ctx), memory_order_relaxed);
}

inferd_status ifd_tls_open(struct ifd_server *s, inferd_error *err)
{
    SSL_CTX *ctx = NULL;
    if (!s->config.tls_cert)
        return INFERD_OK;
    inferd_status st = load(&s->config, &ctx, err);
    if (!st)
        put_in_use(s, ctx);
    return st;
}

void ifd_tls_reread(struct ifd_server *s)
{
    SSL_CTX *ctx = NULL;
    inferd_error err;
    if (!s->config.tls_cert)
        return;
    if (load(&s->config, &ctx, &err)) {
        ifd_log(IFD_LOG_ERROR, "certificate not read again: the old one stays",
                IFD_STR("message", err.message));
        return;
    }
    put_in_use(s, ctx);
    ifd_log(IFD_LOG_INFO, "certificate read",
            IFD_U64("expires", atomic_load_explicit(&s->tls_expiry, memory_order_relaxed)));
}

void ifd_tls_fini(struct ifd_server *s)
{
    SSL_CTX_free(s->tls);
    s->tls = NULL;
}

/* --- a connection --- */

struct ifd_tls *ifd_tls_accept(struct ifd_server *s)
{
    struct ifd_tls *t = ifd_zalloc(sizeof(*t));
    if (!t)
        return NULL;
    pthread_mutex_lock(&s->lock);
    t->ssl = SSL_new(s->tls);
    pthread_mutex_unlock(&s->lock);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (!t->ssl || !t->in || !t->out) {
        SSL_free(t->ssl);
        BIO_free(t->in);
        BIO_free(t->out);
        ifd_free(t);
        return NULL;
    }
    BIO_set_mem_eof_return(t->in, -1); /* empty means "later" */
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_accept_state(t->ssl);
    return t;
}

void ifd_tls_free(struct ifd_tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl); /* and its BIOs */
    ifd_free(t);
}

bool ifd_tls_put(struct ifd_tls *t, const char *bytes, size_t n)
{
    return n <= INT_MAX && BIO_write(t->in, bytes, (int)n) == (int)n;
}

bool ifd_tls_is_open(const struct ifd_tls *t)
{
    return SSL_is_init_finished(t->ssl);
}

enum ifd_tls_result ifd_tls_get(struct ifd_tls *t, char *out, size_t *n)
{
    ERR_clear_error(); /* SSL_get_error looks at the thread's queue */
    const int got = SSL_read(t->ssl, out, IFD_TLS_RECORD_BYTES);
    if (got > 0) {
        *n = (size_t)got;
        return IFD_TLS_DATA;
    }
    switch (SSL_get_error(t->ssl, got)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return IFD_TLS_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return IFD_TLS_END;
    default:
        ERR_clear_error();
        return IFD_TLS_FAILED;
    }
}

bool ifd_tls_has_input(const struct ifd_tls *t)
{
    return BIO_pending(t->in) > 0 || SSL_has_pending(t->ssl);
}

bool ifd_tls_write(struct ifd_tls *t, const char *bytes, size_t n)
{
    ERR_clear_error();
    return n == 0 || (n <= INT_MAX && SSL_write(t->ssl, bytes, (int)n) == (int)n);
}

void ifd_tls_bye(struct ifd_tls *t)
{
    if (SSL_is_init_finished(t->ssl))
        (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

size_t ifd_tls_pending(const struct ifd_tls *t, const char **bytes)
{
    char *data = NULL;
    const long n = BIO_get_mem_data(t->out, &data);
    *bytes = data;
    return n > 0 ? (size_t)n : 0;
}

void ifd_tls_sent(struct ifd_tls *t)
{
    (void)BIO_reset(t->out);
}
