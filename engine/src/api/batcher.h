/* SPDX-License-Identifier: Apache-2.0
 *
 * batcher.h - what is behind the public inferd_batcher. Private to this room.
 *
 * The room puts model, codec and scheduler together for programs that serve without our server. A
 * request is tokenised by its submitter, computed by the scheduler's workers, and encoded by its
 * submitter again: the same two hand-overs as in the server.
 */
#ifndef IFD_API_BATCHER_H
#define IFD_API_BATCHER_H

#include "sched/load_signal.h"
#include "sched/sched.h"

struct inferd_batcher {
    struct ifd_engine *engine; /* a reference */
    struct ifd_sched *sched;
    uint32_t max_inputs;
    unsigned workers;
    struct ifd_load_signal load;
};

#endif
