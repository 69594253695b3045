/* SPDX-License-Identifier: Apache-2.0
 *
 * server_state.h - what the threads of one server share. Internal to the room.
 *
 * Threads: I/O threads 0 (the one that called ifd_server_run; it has the signals) to n - 1, the
 * scheduler's workers, and the loader (loader.h). Each field names its rule.
 */
#ifndef IFD_SERVER_SERVER_STATE_H
#define IFD_SERVER_SERVER_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "sched/engine.h"
#include "sched/sched.h"
#include "sched/load_signal.h"
#include "server/keys.h"
#include "server/models.h"
#include "server/server.h"
#include "server/watch.h"

struct ifd_io;
struct ifd_rate;

#define IFD_MODEL_NAME_SIZE 129u

enum ifd_readiness { IFD_LOADING, IFD_WARMING, IFD_READY, IFD_LOAD_FAILED };

/* In this order, never back. */
enum ifd_phase {
    IFD_SERVING,
    IFD_DRAINING, /* not ready any more; everything is still answered, with Connection: close */
    IFD_CLOSING,  /* no listener; what is in flight is answered */
    IFD_KILLED,   /* connections are cut */
};

struct ifd_server {
    /* set before the threads start, read-only then */
    struct ifd_server_config config;
    unsigned threads;
    uint64_t began_ns;
    char url[96];
    char model_name[IFD_MODEL_NAME_SIZE]; /* that clients call the model by */
    struct ifd_sched *sched;
    struct ifd_io *ios;   /* [config.http_threads] */
    double start_seconds; /* of the process, since the epoch; negative: not known */

    struct ifd_load_signal load;    /* has its own lock */
    _Atomic uint64_t model_load_ns; /* of the active model; 0 until there is one */

    _Atomic int
        readiness;     /* enum ifd_readiness; written by the loader (WARMING) and I/O thread 0 */
    _Atomic int phase; /* enum ifd_phase; written by I/O thread 0 */
    _Atomic unsigned ios_running;
    _Atomic uint64_t dropped; /* requests cut off */

    struct ifd_models models; /* has its own rules */
    pthread_mutex_t lock;
    struct ifd_keys admin_keys, api_keys; /* lock */
    void *tls;                            /* lock: OpenSSL's SSL_CTX, or NULL; see tls.h */
    _Atomic uint64_t tls_expiry;          /* of the certificate in use, Unix time; 0: none */
    struct ifd_rate *rate;                /* NULL: no limit; has its own lock */

    /* I/O thread 0 */
    inferd_error load_error; /* of the first load */
    bool told_ready;
    uv_signal_t sigterm, sigint, sighup;
    uv_timer_t drain, watching;
    struct ifd_watch watched_api_keys, watched_admin_keys, watched_tls[3];
    inferd_status outcome;
};

static inline const char *ifd_server_model_name(const struct ifd_server *s)
{
    return s->model_name;
}

/* What an I/O thread may ask: what a request counts while this answers. */
static inline enum ifd_phase ifd_server_phase(const struct ifd_server *s)
{
    /* acquire: pairs with the release in server.c, so that what was set before a phase is seen */
    return (enum ifd_phase)atomic_load_explicit(&s->phase, memory_order_acquire);
}

static inline enum ifd_readiness ifd_server_readiness(const struct ifd_server *s)
{
    return (enum ifd_readiness)atomic_load_explicit(&s->readiness, memory_order_acquire);
}

/* I/O thread 0 was notified: the loader has something to report, or another I/O thread has ended.
 */
void ifd_server_on_notify(struct ifd_server *s);

#endif
