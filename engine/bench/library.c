/* SPDX-License-Identifier: Apache-2.0
 *
 * What libinferd_bench.so exports beside the public header, for bench.py.
 */
#include <stdbool.h>

#include "model/forward.h"
#include "model/handle.h"

__attribute__((visibility("default"))) void bench_full_last_layer(inferd_session *session,
                                                                  bool full);

/* Compute every token of the last layer, as libraries do that do not know that a classifier reads
 * the first one alone: the same results, the kernels' share of the speed. */
void bench_full_last_layer(inferd_session *session, bool full)
{
    ifd_scratch_set_full_last_layer(ifd_session_scratch(session), full);
}
