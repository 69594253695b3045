/* SPDX-License-Identifier: Apache-2.0
 *
 * engine.h - a loaded model made ready to run: the model and one scratch per worker.
 *
 * Reference-counted and, but for the scratches, immutable: a job names the engine that its ids are
 * for, so a swap of the model is a new engine, and the old one goes when its last job ends. Scratch
 * i belongs to worker i of the scheduler (before the engine is published: to the thread that made
 * it).
 */
#ifndef IFD_SCHED_ENGINE_H
#define IFD_SCHED_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "model/forward.h"
#include "model/model.h"

struct ifd_engine;

/* Retains the model. batch_tokens is raised to the model's max_length if below. */
IFD_MUST_CHECK inferd_status ifd_engine_create(inferd_model *model, unsigned workers,
                                               size_t batch_tokens, size_t batch_texts,
                                               struct ifd_engine **out, inferd_error *err);
/* Thread-safe; release accepts NULL. */
struct ifd_engine *ifd_engine_retain(struct ifd_engine *e);
void ifd_engine_release(struct ifd_engine *e);

const inferd_model *ifd_engine_model(const struct ifd_engine *e);
uint32_t ifd_engine_labels(const struct ifd_engine *e);
unsigned ifd_engine_workers(const struct ifd_engine *e);
size_t ifd_engine_batch_tokens(const struct ifd_engine *e);
size_t ifd_engine_batch_texts(const struct ifd_engine *e);

/* Run one short text on every worker's scratch, so that the first request finds code and weights
 * paged in. Only before the engine is shared. INFERD_MODEL_INVALID if a logit is not finite. */
IFD_MUST_CHECK inferd_status ifd_engine_warm(struct ifd_engine *e, inferd_error *err);

/* Run a batch on worker `worker`'s scratch; returns its logits [texts][labels], valid until that
 * worker's next run. No allocation, cannot fail. */
const float *ifd_engine_run(struct ifd_engine *e, unsigned worker, const struct ifd_ragged *batch);
/* The same for a worker whose fellows were all idle: a small batch is split over their cores too
 * (one such batch at a time; otherwise it is ifd_engine_run). The result is bitwise the same. */
const float *ifd_engine_run_alone(struct ifd_engine *e, unsigned worker,
                                  const struct ifd_ragged *batch);

#endif
