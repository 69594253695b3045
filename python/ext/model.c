/* SPDX-License-Identifier: Apache-2.0
 *
 * model.c - the type Model: opening a directory, and calls that block with the GIL released.
 */
#include "ext.h"

#include <string.h>
#include <time.h>

#define RETRY_MS_MAX 20u /* between tries of a call that waits for room in the queue */

struct model_object {
    PyObject_HEAD inferd_model *model;
    PyObject *labels;
    inferd_batcher_options options;
    struct core *core; /* NULL: not started yet, or closed */
    bool closed;
};

static PyTypeObject *model_type;

static struct model_object *checked(PyObject *o)
{
    if (!PyObject_TypeCheck(o, model_type)) {
        PyErr_SetString(PyExc_TypeError, "an inferd.Model is needed");
        return NULL;
    }
    struct model_object *self = (struct model_object *)o;
    if (self->closed || !self->model) {
        ext_raise_status(INFERD_INVALID_ARGUMENT, "the model is closed");
        return NULL;
    }
    return self;
}

struct core *ext_model_core(PyObject *o)
{
    struct model_object *self = checked(o);
    if (!self)
        return NULL;
    /* A child after fork() shares the weights and starts threads of its own. */
    if (self->core && !ext_core_is_ours(self->core))
        self->core = NULL;
    if (!self->core) {
        struct core *core = ext_core_open(self->model, &self->options);
        if (!core)
            return NULL;
        /* the GIL was released meanwhile: another thread may have been faster, or have closed it */
        if (self->closed || self->core) {
            ext_core_drop(core);
            return ext_model_core(o);
        }
        self->core = core;
    }
    return ext_core_hold(self->core);
}

PyObject *ext_model_labels(PyObject *o)
{
    return ((struct model_object *)o)->labels;
}

static PyObject *model_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"path",
                            "dtype",
                            "tier",
                            "max_length",
                            "threads",
                            "max_batch_tokens",
                            "max_batch_size",
                            "batch_wait_us",
                            "max_queue",
                            "max_queue_tokens",
                            "max_queue_wait_ms",
                            "max_inputs",
                            NULL};
    inferd_model_options o = {.struct_size = sizeof(o)};
    inferd_batcher_options b = {.struct_size = sizeof(b)};
    PyObject *path = NULL;
    inferd_model *model = NULL;
    inferd_error err = {.status = INFERD_OK};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|$zzIIIIIIIII:Model", names,
                                     PyUnicode_FSConverter, &path, &o.dtype, &o.tier, &o.max_length,
                                     &b.threads, &b.max_batch_tokens, &b.max_batch_texts,
                                     &b.batch_wait_us, &b.max_queue_texts, &b.max_queue_tokens,
                                     &b.max_queue_wait_ms, &b.max_inputs))
        return NULL;
    const char *dir = PyBytes_AsString(path);
    inferd_status st;
    Py_BEGIN_ALLOW_THREADS st = inferd_model_open(dir, &o, &model, &err);
    Py_END_ALLOW_THREADS Py_DECREF(path);
    if (st != INFERD_OK)
        return ext_raise(&err, 0);
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    struct model_object *self = (struct model_object *)alloc(type, 0);
    inferd_model_info info = {.struct_size = sizeof(info)};
    inferd_model_get_info(model, &info);
    if (!self || !(self->labels = ext_labels(model, info.labels))) {
        Py_XDECREF((PyObject *)self);
        inferd_model_release(model);
        return NULL;
    }
    self->model = model;
    self->options = b;
    return (PyObject *)self;
}

static void shut(struct model_object *self)
{
    struct core *core = self->core;
    self->core = NULL;
    self->closed = true;
    ext_core_drop(core);
}

static void model_dealloc(PyObject *o)
{
    struct model_object *self = (struct model_object *)o;
    PyTypeObject *type = Py_TYPE(o);
    shut(self);
    inferd_model_release(self->model);
    Py_XDECREF(self->labels);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(o);
    Py_DECREF(type);
}

/* Submit; when the queue is full, wait for room as a caller who blocks anyhow would. */
static inferd_status submit_patiently(struct call *call, uint32_t timeout_ms, inferd_error *err)
{
    for (uint32_t waited = 0;;) {
        inferd_status st = ext_call_submit(call, timeout_ms, err);
        if (st != INFERD_OVERLOADED || (timeout_ms && waited >= timeout_ms))
            return st;
        uint32_t ms = inferd_request_retry_ms(call->request);
        ms = ms < RETRY_MS_MAX ? ms : RETRY_MS_MAX;
        nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
        waited += ms;
    }
}

struct pieces {
    const inferd_text *texts;
    size_t count, most; /* of all, and of one request */
    size_t submitted;
    uint32_t timeout_ms;
    struct scores scores;
    inferd_error err;
};

static inferd_status next_piece(struct pieces *p, struct call *call)
{
    const size_t left = p->count - p->submitted, n = left < p->most ? left : p->most;
    inferd_status st = inferd_request_set_texts(call->request, p->texts + p->submitted, n, &p->err);
    if (!st)
        st = submit_patiently(call, p->timeout_ms, &p->err);
    if (!st)
        p->submitted += n;
    return st;
}

/* Any number of texts: requests of `most` texts, two under way, so that one is tokenised while the
 * other is computed. */
static PyObject *classify_pieces(struct core *core, PyObject *labels, struct pieces *p)
{
    struct call *calls[2] = {NULL, NULL};
    PyObject *list = PyList_New(0);
    bool good = list && (calls[0] = ext_call_take(core)) && (calls[1] = ext_call_take(core));
    unsigned under_way = 0, at = 0; /* `at` is the older one */
    for (unsigned i = 0; good && i < 2; i++)
        inferd_request_keep_logits(calls[i]->request, p->scores.top > 0);
    while (good || under_way > 0) {
        inferd_status st = INFERD_OK;
        bool quiet = true;
        PyThreadState *saved = PyEval_SaveThread();
        while (good && !st && under_way < 2 && p->submitted < p->count) {
            st = next_piece(p, calls[(at + under_way) % 2]);
            under_way += st == INFERD_OK;
        }
        const bool wait = under_way > 0;
        if (wait) {
            if (!good)
                inferd_request_cancel(calls[at]->request);
            quiet = ext_call_wait(calls[at], good ? &saved : NULL);
            under_way--;
        }
        PyEval_RestoreThread(saved);
        if (good && st) {
            ext_raise(&p->err, 0);
            good = false;
        }
        if (good && (!quiet || PyErr_CheckSignals() < 0))
            good = false; /* the handler's exception is set */
        if (good && wait && calls[at]->status) {
            ext_call_error(calls[at]->status, &p->err);
            ext_raise(&p->err, 0);
            good = false;
        }
        if (good && wait) {
            ext_core_count(core, calls[at]->request);
            good = ext_results_append(list, labels, ext_core_model(core), calls[at]->request,
                                      p->scores) == 0;
        }
        at = wait ? 1 - at : at;
        if (good && under_way == 0 && p->submitted == p->count)
            break;
    }
    for (unsigned i = 0; i < 2; i++)
        if (calls[i])
            ext_call_give(calls[i]);
    if (!good)
        Py_CLEAR(list);
    return list;
}

static PyObject *model_classify(PyObject *o, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"texts", "top_k", "all_scores", "raw_scores", "timeout", NULL};
    PyObject *sequence = NULL, *top_k = NULL, *timeout = NULL, *owner = NULL, *list = NULL;
    int all = 0, raw = 0;
    struct pieces p = {.most = 0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OppO:classify", names, &sequence, &top_k,
                                     &all, &raw, &timeout) ||
        ext_scores_wanted(top_k, all, raw, &p.scores) < 0 ||
        ext_timeout(timeout, &p.timeout_ms) < 0)
        return NULL;
    inferd_text *texts = ext_texts(sequence, &owner, &p.count);
    if (!texts)
        return NULL;
    struct core *core = ext_model_core(o);
    if (core) {
        const struct model_object *self = (struct model_object *)o;
        p.texts = texts;
        p.most = self->options.max_inputs ? self->options.max_inputs : 128;
        list = p.count ? classify_pieces(core, self->labels, &p) : PyList_New(0);
        ext_core_drop(core);
    }
    PyMem_Free(texts);
    Py_DECREF(owner);
    return list;
}

static PyObject *answer_of(struct core *core, const inferd_request *request, const char *bytes,
                           size_t size, int timed)
{
    ext_core_count(core, request);
    return timed ? Py_BuildValue("(y#N)", bytes, (Py_ssize_t)size, ext_times(request))
                 : PyBytes_FromStringAndSize(bytes, (Py_ssize_t)size);
}

static PyObject *model_classify_json(PyObject *o, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"body", "times", "timeout", NULL};
    Py_buffer body;
    PyObject *timeout = NULL, *answer = NULL;
    int timed = 0;
    uint32_t ms = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*|$pO:classify_json", names, &body, &timed,
                                     &timeout))
        return NULL;
    struct core *core = ext_timeout(timeout, &ms) < 0 ? NULL : ext_model_core(o);
    struct call *call = core ? ext_call_take(core) : NULL;
    if (call) {
        inferd_error err = {.status = INFERD_OK};
        const char *bytes = NULL;
        size_t size = 0;
        bool quiet = true, submitted = false;
        PyThreadState *saved = PyEval_SaveThread();
        inferd_status st = inferd_request_set_body(call->request, body.buf, (size_t)body.len, &err);
        if (!st) {
            st = ext_call_submit(call, ms, &err);
            submitted = st == INFERD_OK;
        }
        if (submitted) {
            quiet = ext_call_wait(call, &saved);
            st = call->status;
            if (st)
                ext_call_error(st, &err);
            else if (!(bytes = inferd_request_answer(call->request, &size)))
                ext_call_error(st = INFERD_NO_MEMORY, &err);
        }
        PyEval_RestoreThread(saved);
        if (quiet && st)
            ext_raise(&err, st == INFERD_OVERLOADED ? inferd_request_retry_ms(call->request) : 0);
        else if (quiet)
            answer = answer_of(core, call->request, bytes, size, timed);
        ext_call_give(call);
    }
    ext_core_drop(core);
    PyBuffer_Release(&body);
    return answer;
}

static PyObject *model_tokenize(PyObject *o, PyObject *text)
{
    struct model_object *self = checked(o);
    Py_ssize_t size = 0;
    if (!self)
        return NULL;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &size);
    if (!bytes)
        return NULL;
    inferd_model_info info = {.struct_size = sizeof(info)};
    inferd_model_get_info(self->model, &info);
    inferd_error err;
    size_t count = 0;
    int32_t *ids = PyMem_Malloc(info.max_length * sizeof(*ids));
    if (!ids)
        return PyErr_NoMemory();
    PyObject *list = NULL;
    if (inferd_tokenize(self->model, (inferd_text){bytes, (size_t)size}, ids, info.max_length,
                        &count, NULL, &err) != INFERD_OK)
        ext_raise(&err, 0);
    else
        list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list && i < count; i++) {
        PyObject *id = PyLong_FromLong(ids[i]);
        if (!id || PyList_SetItem(list, (Py_ssize_t)i, id) < 0)
            Py_CLEAR(list);
    }
    PyMem_Free(ids);
    return list;
}

static PyObject *model_start(PyObject *o, PyObject *none)
{
    (void)none;
    struct core *core = ext_model_core(o);
    if (!core)
        return NULL;
    ext_core_drop(core);
    Py_RETURN_NONE;
}

static PyObject *model_close(PyObject *o, PyObject *none)
{
    (void)none;
    shut((struct model_object *)o);
    Py_RETURN_NONE;
}

static PyObject *model_stats(PyObject *o, PyObject *none)
{
    (void)none;
    struct core *core = ext_model_core(o);
    PyObject *stats = core ? ext_core_stats(core) : NULL;
    ext_core_drop(core);
    return stats;
}

static PyObject *model_info(PyObject *o, void *none)
{
    (void)none;
    struct model_object *self = checked(o);
    return self ? ext_info(self->model) : NULL;
}

static PyObject *model_get_labels(PyObject *o, void *none)
{
    (void)none;
    return Py_NewRef(((struct model_object *)o)->labels);
}

static PyObject *model_started(PyObject *o, void *none)
{
    (void)none;
    const struct model_object *self = (struct model_object *)o;
    return PyBool_FromLong(self->core && ext_core_is_ours(self->core));
}

static PyObject *model_closed(PyObject *o, void *none)
{
    (void)none;
    return PyBool_FromLong(((struct model_object *)o)->closed);
}

#define METHOD(function) ((PyCFunction)(void (*)(void))(function))
static PyMethodDef model_methods[] = {
    {"classify", METHOD(model_classify), METH_VARARGS | METH_KEYWORDS,
     "classify(texts, *, top_k=None, all_scores=False, raw_scores=False, timeout=None)\n"
     "-> list[Result]\n\n"
     "Classify any number of texts, in order; blocks, with the GIL released. Waits for room when\n"
     "the queue is full. top_k: how many labels Result.scores has, highest first; all_scores:\n"
     "every one. raw_scores: logits instead of probabilities (of every label, without top_k).\n"
     "timeout: seconds for each max_inputs texts."},
    {"classify_json", METHOD(model_classify_json), METH_VARARGS | METH_KEYWORDS,
     "classify_json(body, *, times=False, timeout=None) -> bytes, or (bytes, Times)\n\n"
     "The whole of POST /infer on bytes: decoded, tokenised, computed and encoded in C with the\n"
     "GIL released. Raises OverloadedError at once when the queue is full."},
    {"tokenize", model_tokenize, METH_O, "tokenize(text) -> list[int]\n\nIds, truncated."},
    {"start", model_start, METH_NOARGS,
     "start() -> None\n\nStart and warm the compute threads now instead of at the first call."},
    {"close", model_close, METH_NOARGS,
     "close() -> None\n\nRefuse further calls; those under way are answered. Idempotent."},
    {"stats", model_stats, METH_NOARGS,
     "stats() -> dict\n\nTotals since start(), and what waits now; see inferd.Stats."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef model_getset[] = {
    {"info", model_info, NULL, "What the model is: a dict.", NULL},
    {"labels", model_get_labels, NULL, "Names of the labels, in the order of the model.", NULL},
    {"started", model_started, NULL, "Whether compute threads run in this process.", NULL},
    {"closed", model_closed, NULL, "Whether close() was called.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot model_slots[] = {
    {Py_tp_doc, "A loaded model with compute threads behind it. Any thread may call it."},
    {Py_tp_new, (void *)model_new},
    {Py_tp_dealloc, (void *)model_dealloc},
    {Py_tp_methods, model_methods},
    {Py_tp_getset, model_getset},
    {0, NULL},
};

static PyType_Spec model_spec = {
    .name = "inferd._engine.Model",
    .basicsize = (int)sizeof(struct model_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = model_slots,
};

int ext_model_init(PyObject *module)
{
    model_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &model_spec, NULL);
    return model_type ? PyModule_AddObjectRef(module, "Model", (PyObject *)model_type) : -1;
}
