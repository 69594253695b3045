/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics.h - what one I/O thread counts: one shard a thread, which it alone writes.
 *
 * Readable from any thread without a lock; /metrics adds the shards up. Nothing allocates: routes,
 * status codes and labels have a fixed number of places, and what comes beyond them is counted
 * under "other" ("__other__" for a model's labels), so no client can make series. Labels are kept
 * by name, so counts survive a swap of the model.
 */
#ifndef IFD_SERVER_METRICS_H
#define IFD_SERVER_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/hist.h"

/* How a request ends; each ends once. outcome.h decides. */
enum ifd_outcome {
    IFD_OUTCOME_OK,           /* answered as asked (health pages that say no are, too) */
    IFD_OUTCOME_CLIENT_ERROR, /* answered: the request was wrong or too slow */
    IFD_OUTCOME_SHED,         /* answered: refused for want of room, or while loading */
    IFD_OUTCOME_DEADLINE,     /* answered: its time passed after admission */
    IFD_OUTCOME_CANCELLED,    /* not answered: the client went away, or did not take the answer */
    IFD_OUTCOME_DRAINED,      /* not answered: cut off at the end of a drain */
    IFD_OUTCOME_FAULT,        /* our fault; answered if there was memory to do so */
    IFD_OUTCOMES
};
extern const char *const ifd_outcome_names[IFD_OUTCOMES];

/* Where the time of an answered inference goes; in this order, and together all of it. */
enum ifd_stage {
    IFD_STAGE_PARSE,     /* first byte of the head -> body decoded */
    IFD_STAGE_TOKENIZE,  /* -> admitted */
    IFD_STAGE_QUEUE,     /* -> its first text is in a batch */
    IFD_STAGE_INFER,     /* -> its last text is computed */
    IFD_STAGE_SERIALIZE, /* -> back on the I/O thread, written out, offered to the kernel */
    IFD_STAGE_WRITE,     /* -> the kernel has all of it: 0 unless the client is slow to read */
    IFD_STAGES
};
extern const char *const ifd_stage_names[IFD_STAGES];

/* Where a request was when its client went away. */
enum ifd_lost { IFD_LOST_READ, IFD_LOST_WAIT, IFD_LOST_WRITE, IFD_LOSTS };
extern const char *const ifd_lost_names[IFD_LOSTS];

/* Why a request was shed. */
enum ifd_shed {
    IFD_SHED_QUEUE,
    IFD_SHED_CONNECTIONS,
    IFD_SHED_LOADING,
    IFD_SHED_MEMORY,
    IFD_SHED_RATE,
    IFD_SHEDS
};
extern const char *const ifd_shed_names[IFD_SHEDS];

#define IFD_METRICS_ROUTES_MAX 64u /* the last is "other" */
#define IFD_METRICS_CODES_MAX 25u  /* the last is "other" */
#define IFD_METRICS_LABELS_MAX 64u /* the last is "__other__" */
#define IFD_METRICS_LABEL_BYTES 64u

struct ifd_route_counts {
    _Atomic(const char *) path; /* a string that lives for ever; NULL = place is free */
    _Atomic uint64_t codes[IFD_METRICS_CODES_MAX];
};

struct ifd_label_count {
    _Atomic uint64_t count;
    char name[IFD_METRICS_LABEL_BYTES]; /* written before `labels` says that it is there */
};

struct ifd_metrics_io {
    struct ifd_hist_scale time_scale, size_scale, ratio_scale;
    _Atomic uint64_t opened, closed;     /* connections */
    _Atomic uint64_t handshakes[2];      /* of TLS: done, failed */
    _Atomic uint64_t started, in_flight; /* requests; in_flight goes up and down */
    _Atomic uint64_t last_ms;            /* when the last inference was answered, Unix time */
    _Atomic uint64_t outcomes[IFD_OUTCOMES];
    _Atomic uint64_t lost[IFD_LOSTS];
    _Atomic uint64_t shed[IFD_SHEDS];
    _Atomic uint64_t inputs, truncated, windowed; /* tokenised */
    _Atomic uint64_t requests[2], answers[2]; /* inference: tokenised, ok; of one input, of more */
    struct ifd_hist duration[IFD_OUTCOMES];   /* answered requests of inference routes */
    struct ifd_hist stages[IFD_STAGES];
    struct ifd_hist input_tokens, confidence;
    struct ifd_route_counts routes[IFD_METRICS_ROUTES_MAX];
    _Atomic uint32_t labels; /* names in use; release after a name is written */
    struct ifd_label_count label[IFD_METRICS_LABELS_MAX];
};

/* Zeroed memory, before others can see it. */
void ifd_metrics_io_init(struct ifd_metrics_io *m);
/* The thread of the shard. `path` NULL: no route of ours. */
void ifd_metrics_count_answer(struct ifd_metrics_io *m, const char *path, int code);
void ifd_metrics_count_input(struct ifd_metrics_io *m, size_t tokens, bool truncated,
                             bool windowed);
void ifd_metrics_count_result(struct ifd_metrics_io *m, const char *label, float confidence);

/* The code of place i as the label says it; NULL for places beyond the last. */
const char *ifd_metrics_code_name(unsigned i);

#endif
