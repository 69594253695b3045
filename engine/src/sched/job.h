/* SPDX-License-Identifier: Apache-2.0
 *
 * job.h - the tokenised texts of one request, on their way through the scheduler.
 *
 * Ownership: the submitter fills the first group and owns the job until ifd_sched_submit returns
 * INFERD_OK. From then on it belongs to the scheduler, which calls `done` exactly once, on one of
 * its threads, as its last touch: inside that call the job is the submitter's again. Two
 * hand-overs, no lock in the job. The one field that the submitter may write in between is
 * `cancelled`.
 */
#ifndef IFD_SCHED_JOB_H
#define IFD_SCHED_JOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <inferd/inferd.h>

struct ifd_engine;

struct ifd_job {
    /* Set by the submitter; what they point to stays valid and still until `done`. */
    struct ifd_engine *engine; /* the model that the ids are for; the submitter holds a reference */
    uint32_t texts;            /* >= 1 */
    const int32_t *ids;
    const uint32_t *offsets; /* [texts + 1], text i is ids[offsets[i]] .. ids[offsets[i + 1] - 1] */
    const uint32_t *second;  /* [texts], as in forward.h; NULL: no text is a pair */
    inferd_result *results;  /* [texts]: label and confidence are written, the rest is left */
    float *logits;           /* [texts][labels], or NULL when nobody wants them */
    uint64_t deadline_ns;    /* on ifd_clock_ns; texts not begun by then are dropped; 0 = none */
    bool background;         /* nobody waits for it: only when nothing else does */
    bool patient;            /* it is submitted again when refused: then it is not counted */
    void (*done)(struct ifd_job *job);

    /* Set when submit refuses with INFERD_OVERLOADED. */
    uint64_t retry_ns; /* after how long the same job would be taken, as far as can be told */

    /* Set when `done` is called. */
    inferd_status status; /* OK: all results are there; DEADLINE or CANCELLED: some are not */
    uint64_t queued_ns, started_ns, finished_ns; /* started_ns is 0 if nothing was computed */

    /* private */
    struct ifd_job *next;       /* scheduler's lock */
    uint32_t taken;             /* texts handed to a batch or dropped; scheduler's lock */
    _Atomic uint32_t remaining; /* texts not finished; who brings it to 0 calls `done` */
    _Atomic bool cancelled;     /* a hint, relaxed: nothing is published through it */
};

#endif
