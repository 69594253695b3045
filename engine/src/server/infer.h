/* SPDX-License-Identifier: Apache-2.0
 *
 * infer.h - the middle of a request's way: texts -> token ids -> the scheduler, and results back
 * into bytes. I/O thread.
 */
#ifndef IFD_SERVER_INFER_H
#define IFD_SERVER_INFER_H

#include "server/io.h"

/* Tokenise the decoded texts and submit the job. INFERD_OK: the job is the scheduler's. Otherwise
 * LOADING, INVALID_UTF8, OVERLOADED or NO_MEMORY, and the request is still the caller's. */
IFD_MUST_CHECK inferd_status ifd_infer_submit(struct ifd_io *io, struct ifd_request *r,
                                              inferd_error *err);
/* That in two steps, for who can wait for room. First all but the queue: the job is ready, for the
 * model that is active now. `patient`: also where a job would be refused for time at present. */
IFD_MUST_CHECK inferd_status ifd_infer_prepare(struct ifd_io *io, struct ifd_request *r,
                                               bool patient, inferd_error *err);
/* Then the queue; the request's time-out runs from now_ns. After OVERLOADED the job is as ready as
 * before. */
IFD_MUST_CHECK inferd_status ifd_infer_enqueue(struct ifd_io *io, struct ifd_request *r,
                                               uint64_t now_ns, inferd_error *err);
/* Tokenising alone, for any model: the decoded texts into r->encoding, cut as r->truncation says.
 */
IFD_MUST_CHECK inferd_status ifd_infer_tokenize(struct ifd_io *io, const inferd_model *model,
                                                struct ifd_request *r, inferd_error *err);
/* Into r->headers: how many of the encoded texts were cut, if any. */
void ifd_infer_tell_truncation(struct ifd_request *r);
/* The answer's body, and its headers into r->headers. The job's status must be INFERD_OK; once. */
void ifd_infer_encode(struct ifd_request *r, struct ifd_buf *body);

#endif
