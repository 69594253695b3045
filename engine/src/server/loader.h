/* SPDX-License-Identifier: Apache-2.0
 *
 * loader.h - the one thread that loads models and frees them, beside the traffic.
 *
 *     I/O thread --order--> loader: verify ... open, warm up --report--> I/O thread 0
 *     I/O thread --retire-> loader: wait for the last request that used it, free
 *
 * After the first load, which a start waits for, the thread runs at idle priority (SCHED_IDLE): it
 * gets what the compute and I/O threads leave. A thread that may be kept off the CPU at any point
 * must hold no lock that a busy one wants, so the hand-overs are single atomic pointers and a
 * semaphore, and whatever others read is written by I/O thread 0.
 *
 * Freeing is here as well, as unmapping tens of megabytes takes milliseconds. A load is opened only
 * when all that was retired is gone: there is never more in memory than the models in use, what is
 * being loaded, and for a moment the requests' last one.
 */
#ifndef IFD_SERVER_LOADER_H
#define IFD_SERVER_LOADER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/file.h"
#include "sched/engine.h"
#include "server/manifest.h"

struct ifd_request;
struct ifd_server;

/* A model that is loaded, and what is known about it. Immutable but for `next`. */
struct ifd_generation {
    struct ifd_engine *engine; /* one reference */
    char *path;                /* as it was given; owned */
    char digest[IFD_DIGEST_SIZE];
    bool listed; /* its SHA256SUMS was there and agreed */
    double load_seconds;
    struct ifd_generation *next; /* retired ones */
};

enum ifd_load_stage {
    IFD_LOAD_VERIFY, /* to do: list, hash, compare with the manifest */
    IFD_LOAD_OPEN,   /* to do: open, warm up */
    IFD_LOAD_DONE,   /* `generation` or `err` */
};

/* One order. It belongs to whoever holds the pointer. */
struct ifd_load {
    enum ifd_load_stage stage;
    bool first;         /* the start waits for it: full priority, and its progress is shown */
    bool shadow;        /* for a candidate, not for the active model */
    uint32_t share_ppm; /* of a candidate: mirrored requests in a million */
    char *path;         /* owned; the generation takes it */
    struct ifd_request *request; /* who waits for the answer; NULL: nobody (start, SIGHUP) */
    struct ifd_generation *generation;
    inferd_error err; /* status INFERD_OK: none */
    /* private to the loader */
    struct ifd_manifest manifest;
    bool listed;
    uint64_t busy_ns;
};

struct ifd_loader {
    struct ifd_server *server;
    pthread_t thread;
    bool started; /* owner of the server */
    sem_t wake;
    _Atomic(struct ifd_load *) order;         /* an I/O thread puts, the loader takes */
    _Atomic(struct ifd_load *) report;        /* the loader puts, I/O thread 0 takes */
    _Atomic(struct ifd_generation *) retired; /* a stack: I/O threads push, the loader takes all */
    struct ifd_generation *dying;             /* loader's: taken, still in use */
    _Atomic bool stop;
    struct ifd_file_watch watch;  /* of the loader's reads */
    _Atomic uint64_t bytes_total; /* of the first load's files; relaxed, a figure for people */
};

void ifd_loader_init(struct ifd_loader *l, struct ifd_server *server);
IFD_MUST_CHECK inferd_status ifd_loader_start(struct ifd_loader *l, inferd_error *err);
/* Any thread: the order under way and all that come end with INFERD_CANCELLED, at the next read. */
void ifd_loader_give_up(struct ifd_loader *l);
/* Gives up and ends the thread. Accepts one that never started. */
void ifd_loader_stop(struct ifd_loader *l);
/* After stop, when nobody uses an engine any more: frees what is left. */
void ifd_loader_fini(struct ifd_loader *l);

/* Zeroed but for a copy of the path; NULL when out of memory. */
IFD_MUST_CHECK struct ifd_load *ifd_load_new(const char *path);
void ifd_load_free(struct ifd_load *load);

/* Any I/O thread; only when no other order is under way, which models.c sees to. */
void ifd_loader_order(struct ifd_loader *l, struct ifd_load *load);
/* I/O thread 0, when notified: an order that is verified (stage OPEN: give it back for the rest) or
 * done; NULL if there is none. */
struct ifd_load *ifd_loader_take_report(struct ifd_loader *l);
/* Any I/O thread; accepts NULL. The generation is freed when its engine is used by nobody else. */
void ifd_loader_retire(struct ifd_loader *l, struct ifd_generation *g);
/* Of the first load: 0 to 0.99 while files are read, never less than before. */
double ifd_loader_progress(const struct ifd_loader *l);

#endif
