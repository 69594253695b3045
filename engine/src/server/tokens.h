/* SPDX-License-Identifier: Apache-2.0
 *
 * tokens.h - POST /tokenize: what the model is given for a text. I/O thread.
 */
#ifndef IFD_SERVER_TOKENS_H
#define IFD_SERVER_TOKENS_H

#include "server/io.h"

/* The decoded texts' tokens, cut as POST /infer would by default, into `body`:
 * [[{"id":101,"text":"[CLS]","special":true,"start":null,"stop":null}, ...], ...] as Text
 * Embeddings Inference has it (places in the text are not known here). INFERD_LOADING,
 * _INVALID_UTF8, _TOO_MANY_INPUTS, _NO_MEMORY. */
IFD_MUST_CHECK inferd_status ifd_tokens_answer(struct ifd_io *io, struct ifd_request *r,
                                               struct ifd_buf *body, inferd_error *err);

#endif
