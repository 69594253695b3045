/* SPDX-License-Identifier: Apache-2.0
 *
 * core.c - a batcher, shared by the model that opened it and by the calls that are under way.
 */
#include "ext.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POOL_MAX 256u /* requests that keep their buffers for the next call */
#define SIGNAL_TICK_NS 50000000

struct core {
    inferd_batcher *batcher;
    inferd_model *model; /* a reference */
    uint32_t labels;
    uint64_t *predictions; /* [labels]; results given, by label */
    uint64_t truncated;    /* texts of them that were cut */
    pid_t pid;             /* whose threads the batcher has */
    size_t holders;
    struct call *idle;
    size_t idle_count;
};

struct core *ext_core_open(inferd_model *model, const inferd_batcher_options *options)
{
    inferd_error err = {.status = INFERD_OK};
    inferd_model_info info = {.struct_size = sizeof(info)};
    inferd_model_get_info(model, &info);
    struct core *core = PyMem_Calloc(1, sizeof(*core));
    uint64_t *predictions = PyMem_Calloc(info.labels, sizeof(*predictions));
    if (!core || !predictions) {
        PyMem_Free(core);
        PyMem_Free(predictions);
        PyErr_NoMemory();
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS(void) inferd_batcher_open(model, options, &core->batcher, &err);
    Py_END_ALLOW_THREADS if (!core->batcher)
    {
        PyMem_Free(predictions);
        PyMem_Free(core);
        ext_raise(&err, 0);
        return NULL;
    }
    core->model = inferd_model_retain(model);
    core->labels = info.labels;
    core->predictions = predictions;
    core->pid = getpid();
    core->holders = 1;
    return core;
}

bool ext_core_is_ours(const struct core *core)
{
    return core->pid == getpid();
}

struct core *ext_core_hold(struct core *core)
{
    core->holders++;
    return core;
}

static void call_free(struct call *call)
{
    inferd_request_close(call->request);
    sem_destroy(&call->done);
    PyMem_Free(call);
}

void ext_core_drop(struct core *core)
{
    if (!core || --core->holders > 0 || !ext_core_is_ours(core))
        return;
    while (core->idle) {
        struct call *call = core->idle;
        core->idle = call->next;
        call_free(call);
    }
    Py_BEGIN_ALLOW_THREADS inferd_batcher_close(core->batcher);
    inferd_model_release(core->model);
    Py_END_ALLOW_THREADS PyMem_Free(core->predictions);
    PyMem_Free(core);
}

inferd_model *ext_core_model(struct core *core)
{
    return core->model;
}

void ext_core_count(struct core *core, const inferd_request *request)
{
    size_t count = 0;
    const inferd_result *results = inferd_request_results(request, &count);
    for (size_t i = 0; i < count; i++) {
        core->predictions[results[i].label]++;
        core->truncated += results[i].truncated;
    }
}

static PyObject *predictions(const struct core *core)
{
    PyObject *tuple = PyTuple_New((Py_ssize_t)core->labels);
    for (uint32_t i = 0; tuple && i < core->labels; i++) {
        PyObject *n = PyLong_FromUnsignedLongLong(core->predictions[i]);
        if (!n || PyTuple_SetItem(tuple, (Py_ssize_t)i, n) < 0)
            Py_CLEAR(tuple);
    }
    return tuple;
}

PyObject *ext_core_stats(struct core *core)
{
    inferd_batcher_stats s = {.struct_size = sizeof(s)};
    inferd_batcher_get_stats(core->batcher, &s);
    return Py_BuildValue(
        "{s:I,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:d,s:d,s:d,s:N,s:K}", "threads", s.threads,
        "batches", (unsigned long long)s.batches, "texts", (unsigned long long)s.texts, "tokens",
        (unsigned long long)s.tokens, "refused", (unsigned long long)s.refused, "expired",
        (unsigned long long)s.expired, "cancelled", (unsigned long long)s.cancelled, "queue_texts",
        (unsigned long long)s.queue_texts, "queue_tokens", (unsigned long long)s.queue_tokens,
        "busy_seconds", (double)s.busy_ns / 1e9, "estimated_wait_seconds", s.estimated_wait_s,
        "saturation_ratio", s.saturation_ratio, "predictions", predictions(core), "truncated",
        (unsigned long long)core->truncated);
}

struct call *ext_call_take(struct core *core)
{
    inferd_error err;
    struct call *call = core->idle;
    if (call) {
        core->idle = call->next;
        core->idle_count--;
    } else {
        call = PyMem_Calloc(1, sizeof(*call));
        if (!call) {
            PyErr_NoMemory();
            return NULL;
        }
        if (inferd_request_open(core->batcher, &call->request, &err) != INFERD_OK) {
            PyMem_Free(call);
            ext_raise(&err, 0);
            return NULL;
        }
        sem_init(&call->done, 0, 0);
    }
    call->next = NULL;
    call->scores = (struct scores){0, false};
    call->timed = false;
    inferd_request_keep_logits(call->request, 0);
    call->core = ext_core_hold(core);
    return call;
}

void ext_call_give(struct call *call)
{
    struct core *core = call->core;
    call->core = NULL;
    if (core->idle_count < POOL_MAX) {
        call->next = core->idle;
        core->idle = call;
        core->idle_count++;
    } else {
        call_free(call);
    }
    ext_core_drop(core);
}

static void on_done(void *arg, inferd_status status)
{
    struct call *call = arg;
    call->status = status;
    sem_post(&call->done);
}

inferd_status ext_call_submit(struct call *call, uint32_t timeout_ms, inferd_error *err)
{
    return inferd_request_submit(call->request, timeout_ms, on_done, call, err);
}

/* A signal may be delivered to any thread, so this one also looks every SIGNAL_TICK_NS. */
static bool wait_tick(struct call *call)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += SIGNAL_TICK_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return sem_clockwait(&call->done, CLOCK_MONOTONIC, &until) == 0;
}

bool ext_call_wait(struct call *call, PyThreadState **saved)
{
    bool raised = false;
    while (!wait_tick(call)) {
        if (raised || !saved)
            continue;
        PyEval_RestoreThread(*saved);
        raised = PyErr_CheckSignals() < 0;
        *saved = PyEval_SaveThread();
        if (raised)
            inferd_request_cancel(call->request);
    }
    return !raised;
}

void ext_call_error(inferd_status status, inferd_error *err)
{
    err->status = status;
    snprintf(err->message, sizeof(err->message), "%s",
             status == INFERD_DEADLINE ? "the time-out passed before the texts were computed"
                                       : inferd_status_text(status));
}
