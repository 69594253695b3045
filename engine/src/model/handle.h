/* SPDX-License-Identifier: Apache-2.0
 *
 * handle.h - what is behind the public inferd_model and inferd_session. Private to this room and to
 * benchmarks.
 */
#ifndef IFD_MODEL_HANDLE_H
#define IFD_MODEL_HANDLE_H

#include <stdatomic.h>

#include "model/config.h"
#include "model/forward.h"
#include "model/model.h"

/* Immutable after inferd_model_open but for the count. */
struct inferd_model {
    _Atomic uint32_t references;
    char *name;
    struct ifd_config config;
    struct ifd_weights *weights;
    struct ifd_tokenizer *tokenizer;
    uint32_t max_length; /* in force */
};

/* The forward pass's memory, the session's own. */
struct ifd_scratch *ifd_session_scratch(inferd_session *session);

#endif
