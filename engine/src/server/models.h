/* SPDX-License-Identifier: Apache-2.0
 *
 * models.h - which model answers: the active one, a candidate that is compared with it in the
 * shadow, and the one before.
 *
 *     load      verify, open, warm up, then it is active and the old one goes
 *     shadow    the same, but beside: it becomes the candidate
 *     promote   candidate -> active -> previous      rollback   previous <-> active
 *     unload    the candidate goes
 *
 * One order at a time, and one model beside the active one: a candidate or a previous one, never
 * both. A load takes the place of the previous one as soon as its files are verified, so memory
 * holds two models and what the last requests of a third still use. promote and rollback are a swap
 * of two pointers; a request is computed and answered by the model that it was tokenised for.
 *
 * Threads: I/O threads. The lock is held for a few assignments and never by the loader.
 */
#ifndef IFD_SERVER_MODELS_H
#define IFD_SERVER_MODELS_H

#include "server/loader.h"

struct ifd_io;

#define IFD_SHARE_ONE 1000000u /* all requests, in the unit of share_ppm */

struct ifd_models {
    struct ifd_loader loader;
    bool opened; /* init was called */
    pthread_mutex_t lock;
    /* under lock */
    struct ifd_generation *active, *candidate, *previous;
    uint32_t share_ppm;
    uint64_t shadow_id;                  /* counts candidates; 0: there was none yet */
    char shadow_digest[IFD_DIGEST_SIZE]; /* of the last candidate */
    bool busy;                           /* an order is under way */
    uint64_t loads, refusals;            /* since the start, the first load included */
    inferd_error last_error;             /* of the last refused load; status INFERD_OK: none */
    char *last_error_path;
    /* Changes with active, candidate and share. Release by who holds the lock; an I/O thread that
     * sees no change needs no lock. */
    _Atomic uint64_t version;
};

void ifd_models_init(struct ifd_models *m, struct ifd_server *server);
/* Starts the loader with its first order, the configured directory. */
IFD_MUST_CHECK inferd_status ifd_models_start(struct ifd_models *m, inferd_error *err);
/* When the I/O threads have ended. */
void ifd_models_stop(struct ifd_models *m);
/* When nobody uses an engine any more. */
void ifd_models_fini(struct ifd_models *m);

/* I/O thread 0, when notified: goes on with what the loader reports. Sets the server's readiness
 * with the first. */
void ifd_models_on_notify(struct ifd_models *m);
/* An I/O thread brings its own references up to date. */
void ifd_models_take(struct ifd_io *io);

/* Give an order. INFERD_OK: `request` (may be NULL: nobody waits) comes back through its I/O
 * thread's completed list, with the outcome in its `error`. INFERD_CONFLICT when an order is under
 * way, a candidate is there, or the server is stopping; INFERD_NO_MEMORY. */
IFD_MUST_CHECK inferd_status ifd_models_load(struct ifd_models *m, const char *path,
                                             struct ifd_request *request, inferd_error *err);
IFD_MUST_CHECK inferd_status ifd_models_shadow(struct ifd_models *m, const char *path,
                                               uint32_t share_ppm, struct ifd_request *request,
                                               inferd_error *err);
/* Load the active model's directory again, for SIGHUP: refused while another load is under way. */
IFD_MUST_CHECK inferd_status ifd_models_reload(struct ifd_models *m, inferd_error *err);
/* INFERD_CONFLICT when there is nothing to promote, to go back to, or to unload. */
IFD_MUST_CHECK inferd_status ifd_models_promote(struct ifd_models *m, inferd_error *err);
IFD_MUST_CHECK inferd_status ifd_models_rollback(struct ifd_models *m, inferd_error *err);
IFD_MUST_CHECK inferd_status ifd_models_unload(struct ifd_models *m, inferd_error *err);

/* The state as one JSON object: what GET /admin/models answers (models_report.c). */
void ifd_models_report(struct ifd_models *m, struct ifd_buf *body);

#endif
