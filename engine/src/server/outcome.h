/* SPDX-License-Identifier: Apache-2.0
 *
 * outcome.h - the one place that decides how a request ends, and counts it.
 *
 * The law: a request begins with the first byte of its head, and ends once:
 *
 *     started == ok + client_error + shed + deadline + cancelled + drained + fault + in flight
 *
 *     begin -> answer (the head and body are made) -> written (the kernel has all of it)
 *         \              \-> cut, fault
 *          \-> cut (client gone, or the drain's end), fault (no memory)
 *
 * Only `written` counts an answer, so requests_total and the outcomes that are answered agree. A
 * connection that closes idle is no request. One that is refused as such (--max-connections) gets
 * an answer, so it counts as one request, shed. All calls are the connection's I/O thread's.
 */
#ifndef IFD_SERVER_OUTCOME_H
#define IFD_SERVER_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "server/metrics.h"

struct ifd_conn;
struct ifd_io;
struct ifd_request;

/* An answer that is made, until the kernel has it: kept by the connection, as the request may be
 * gone or with the scheduler by then. Zeroed: none. */
struct ifd_due {
    bool open, timed, staged;
    bool traced;           /* the trace that it is a part of may be shown with its duration */
    bool many;             /* when staged: of several inputs */
    uint8_t outcome, shed; /* enum ifd_outcome, enum ifd_shed */
    int16_t code;
    const char *route;    /* NULL: none of ours */
    uint64_t began_ns;    /* when timed */
    uint64_t finished_ns; /* of the job, when staged */
    uint64_t offered_ns;  /* when the kernel did not take all of it at once; else 0 */
};

/* Bytes of a request have come; counts it the first time. */
void ifd_outcome_begin(struct ifd_io *io, struct ifd_request *r);
/* The answer to c's request `r` (NULL: to the connection as such) is made. `status` INFERD_OK: a
 * page or a result, whatever its code. */
void ifd_outcome_answer(struct ifd_conn *c, struct ifd_request *r, int code, inferd_status status);
/* The kernel has not taken all of it at once: the client is slow to read. */
void ifd_outcome_pending(struct ifd_conn *c);
/* The kernel has the whole answer. */
void ifd_outcome_written(struct ifd_conn *c);
/* The connection closes: what is open on it is lost. Before its state changes. */
void ifd_outcome_cut(struct ifd_conn *c);
/* The same, but by our fault; a close may follow. */
void ifd_outcome_fault(struct ifd_conn *c);
/* Bytes came and there was no memory for a request at all. */
void ifd_outcome_unborn(struct ifd_io *io);

/* What an answer's status means; pure. */
enum ifd_outcome ifd_outcome_of(inferd_status status);

#endif
