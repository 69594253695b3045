/* SPDX-License-Identifier: Apache-2.0
 *
 * engine.h - a loaded model made ready to run: the model and two scratches per worker, one of them
 * for small batches that interrupt a large one.
 *
 * Reference-counted and, but for the scratches, immutable: a job names the engine that its ids are
 * for, so a swap of the model is a new engine, and the old one goes when its last job ends. Scratch
 * i belongs to worker i of the scheduler (before the engine is published: to the thread that made
 * it).
 */
#ifndef IFD_SCHED_ENGINE_H
#define IFD_SCHED_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/forward.h"
#include "model/model.h"

struct ifd_engine;

#define IFD_ENGINE_LABEL_SIZE 80u

/* Retains the model. batch_tokens is raised to the model's max_length if below. */
IFD_MUST_CHECK inferd_status ifd_engine_create(inferd_model *model, unsigned workers,
                                               size_t batch_tokens, size_t batch_texts,
                                               struct ifd_engine **out, inferd_error *err);
/* What answers call this model, at most IFD_ENGINE_LABEL_SIZE - 1 bytes. Only before the engine is
 * shared; empty until then. */
void ifd_engine_set_label(struct ifd_engine *e, const char *label);
const char *ifd_engine_label(const struct ifd_engine *e);
/* The caller's reference is the only one left: nobody else can gain one any more, and what all
 * others did with the engine is seen. */
bool ifd_engine_is_sole(const struct ifd_engine *e);
/* Thread-safe; release accepts NULL. */
struct ifd_engine *ifd_engine_retain(struct ifd_engine *e);
void ifd_engine_release(struct ifd_engine *e);

const inferd_model *ifd_engine_model(const struct ifd_engine *e);
uint32_t ifd_engine_labels(const struct ifd_engine *e);
unsigned ifd_engine_workers(const struct ifd_engine *e);
size_t ifd_engine_batch_tokens(const struct ifd_engine *e);
size_t ifd_engine_batch_texts(const struct ifd_engine *e);

/* Run a full batch of a short text on every worker's scratches, so that the first request finds
 * code, weights and scratch paged in. Only before the engine is shared. INFERD_MODEL_INVALID if a
 * logit is not finite. */
IFD_MUST_CHECK inferd_status ifd_engine_warm(struct ifd_engine *e, inferd_error *err);

/* Run a batch on worker `worker`'s scratch; returns its logits [texts][labels], valid until that
 * worker's next run. `pause` (may be NULL) is called with `arg` between the steps of the forward
 * pass; it may call ifd_engine_run_urgent, of this or another engine. No allocation, cannot fail.
 */
const float *ifd_engine_run(struct ifd_engine *e, unsigned worker, const struct ifd_ragged *batch,
                            ifd_pause_fn *pause, void *arg);
/* The same on the worker's second scratch, while the first is in the middle of a run. */
const float *ifd_engine_run_urgent(struct ifd_engine *e, unsigned worker,
                                   const struct ifd_ragged *batch);
/* For a worker whose fellows were all idle: a small batch is split over their cores too (one such
 * batch at a time; otherwise it is an ordinary run). The result is bitwise the same. */
const float *ifd_engine_run_alone(struct ifd_engine *e, unsigned worker,
                                  const struct ifd_ragged *batch);

#endif
