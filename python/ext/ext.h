/* SPDX-License-Identifier: Apache-2.0
 *
 * ext.h - the CPython extension inferd._engine, on the engine's public header and nothing else.
 *
 *     module.c       the module, its constants, refusal of sub-interpreters
 *     errors.c       exceptions, generated from the engine's table of errors
 *     values.c       texts in; labels and figures out
 *     results.c      results and scores out
 *     core.c         a batcher with its pool of calls, shared by a model and all that is in flight
 *     model.c        the type Model: synchronous calls
 *     completions.c  the type Completions: calls whose end wakes an event loop through an eventfd
 *
 * Limited API of Python 3.11, so one build serves every later version. State is in plain globals:
 * a second interpreter in the process is refused when it imports the module.
 *
 * Locks: what is not said to be otherwise belongs to the GIL. Compute threads never take it: they
 * post a semaphore, or append to a list under a mutex and write to an eventfd.
 */
#ifndef INFERD_EXT_H
#define INFERD_EXT_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <inferd/inferd.h>
#include <semaphore.h>
#include <stdbool.h>
#include <sys/types.h>

/* errors.c. All return -1 on failure, or NULL where they return an object. */
int ext_errors_init(PyObject *module);
/* The exception of a failed call; `retry_ms` 0: nothing is known about when to try again. */
PyObject *ext_error_new(const inferd_error *err, uint32_t retry_ms);
/* Raise it; returns NULL, so that failing is one line. */
PyObject *ext_raise(const inferd_error *err, uint32_t retry_ms);
PyObject *ext_raise_status(inferd_status status, const char *message);

/* values.c */
int ext_values_init(PyObject *module);
PyObject *ext_labels(const inferd_model *model, uint32_t count); /* tuple of str */
/* Any sequence of str as inferd_text[count] (PyMem) whose bytes live as long as *owner, a tuple.
 * A single str is refused: it would be taken for its characters. */
inferd_text *ext_texts(PyObject *sequence, PyObject **owner, size_t *count);
/* A timeout in seconds, or None, as milliseconds of the engine (0: none). */
int ext_timeout(PyObject *seconds, uint32_t *ms);
PyObject *ext_info(const inferd_model *model);
PyObject *ext_times(const inferd_request *request); /* a Times */

/* results.c */
int ext_results_init(PyObject *module);
/* Which scores a result gets beside its label's: the `top` highest (0: none), as logits or not. */
struct scores {
    uint32_t top;
    bool raw;
};
/* From a call's arguments; -1 with an exception set. */
int ext_scores_wanted(PyObject *top_k, int all, int raw, struct scores *out);
/* Append the results of a request that has ended well to a list of Result. */
int ext_results_append(PyObject *list, PyObject *labels, const inferd_model *model,
                       const inferd_request *request, struct scores wanted);

/* core.c. A batcher and the requests that were used on it. It ends when its last holder lets go:
 * the model, or a call that is under way when the model is closed. In a child after fork() its
 * threads do not exist, so nothing of it is touched there any more and its memory stays. */
struct core;

/* One request on its way. */
struct call {
    inferd_request *request;
    struct core *core;    /* held from take to give */
    struct call *next;    /* in the pool, or in a list of those that are done */
    sem_t done;           /* posted at the end of a synchronous call */
    inferd_status status; /* of `done`; ordered by the semaphore, or by the channel's mutex */
    /* asynchronous calls: see completions.c */
    struct channel *channel;
    struct call *older, *newer; /* under way */
    PyObject *future, *labels;
    bool as_body, timed;
    struct scores scores;
};

/* Opens the batcher, without the GIL. */
struct core *ext_core_open(inferd_model *model, const inferd_batcher_options *options);
bool ext_core_is_ours(const struct core *core); /* false in a child after fork() */
struct core *ext_core_hold(struct core *core);
/* Accepts NULL. May release the GIL while compute threads end. */
void ext_core_drop(struct core *core);
inferd_model *ext_core_model(struct core *core); /* borrowed */
PyObject *ext_core_stats(struct core *core);
/* Count the labels of what a call answered. */
void ext_core_count(struct core *core, const inferd_request *request);
struct call *ext_call_take(struct core *core); /* NULL with an exception set */
void ext_call_give(struct call *call);
/* Submit, and wait for the end of a call, both without the GIL. `saved` is the thread's state,
 * which is taken for a moment when a signal comes; NULL: signals have to wait. False when a handler
 * of that signal raised: the call is then cancelled, and over. */
inferd_status ext_call_submit(struct call *call, uint32_t timeout_ms, inferd_error *err);
bool ext_call_wait(struct call *call, PyThreadState **saved);
/* Why a call ended that is not INFERD_OK. */
void ext_call_error(inferd_status status, inferd_error *err);

/* model.c */
int ext_model_init(PyObject *module);
/* The core of a Model, opened if there is none yet; held for the caller. NULL with an exception
 * set: closed, not a Model, or the batcher could not be opened. */
struct core *ext_model_core(PyObject *model);
PyObject *ext_model_labels(PyObject *model); /* borrowed */

/* completions.c */
int ext_completions_init(PyObject *module);

#endif
