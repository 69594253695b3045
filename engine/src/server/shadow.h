/* SPDX-License-Identifier: Apache-2.0
 *
 * shadow.h - a candidate model that computes a share of the requests again and whose answers nobody
 * gets: how often does it disagree, and how long does it take?
 *
 *     answered by the active model -> chosen? -> [kept] -> after the answer is sent: tokenised by
 *     the candidate's own tokenizer -> scheduler -> compared -> back into the pool
 *
 * Which requests is decided by error diffusion, so a share of 0.1 is every tenth and not a matter
 * of chance. A mirrored request lives on in its own memory; IFD_SHADOW_MAX of them per I/O thread
 * may be under way, and what is chosen beyond that is skipped and counted. Nothing is allocated in
 * the steady state.
 *
 * Part of an I/O thread, and its alone.
 */
#ifndef IFD_SERVER_SHADOW_H
#define IFD_SERVER_SHADOW_H

#include <stdbool.h>
#include <uv.h>

#include "base/err.h"
#include "sched/engine.h"
#include "server/shadow_figures.h"

struct ifd_io;
struct ifd_request;

#define IFD_SHADOW_MAX 8u

/* What a mirrored request needs beside its own memory. */
struct ifd_mirror {
    struct ifd_mirror *next;    /* free ones */
    uint64_t id;                /* of the candidate */
    struct ifd_engine *primary; /* who answered; NULL until the request is kept */
    uint64_t primary_ns;
    inferd_result *results; /* [capacity], the candidate's */
    size_t capacity;
};

struct ifd_shadow {
    struct ifd_engine *engine; /* the candidate, our own reference; NULL: no shadow */
    uint64_t id;
    uint32_t share_ppm, owed_ppm;
    struct ifd_mirror mirror[IFD_SHADOW_MAX], *free;
    struct ifd_request *kept; /* answered, not yet submitted; in order, through `next` */
    uv_idle_t idle;           /* runs while something is kept */
    struct ifd_shadow_counts counts;
};

/* 0, or libuv's error. The loop closes `idle`. */
IFD_MUST_CHECK int ifd_shadow_init(struct ifd_shadow *sh, struct ifd_io *io);
void ifd_shadow_fini(struct ifd_shadow *sh);

/* There is another candidate, or none, or another share. Retains the engine. */
void ifd_shadow_set(struct ifd_shadow *sh, struct ifd_engine *engine, uint32_t share_ppm,
                    uint64_t id);
/* The active model has computed the request's answer, which is not sent yet: is it to be mirrored?
 */
void ifd_shadow_choose(struct ifd_io *io, struct ifd_request *r);
/* A request that was chosen (r->mirror is set) is let go of. True: it is kept for the candidate.
 * False: it was compared, or could not be, and goes its way. */
bool ifd_shadow_keep(struct ifd_io *io, struct ifd_request *r);

#endif
