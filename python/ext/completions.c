/* SPDX-License-Identifier: Apache-2.0
 *
 * completions.c - the type Completions: calls whose end wakes an event loop.
 *
 *     submit (loop's thread) -> compute thread: list, eventfd -> loop: drain -> future
 *
 * One object an event loop. A compute thread appends the call to a list under a mutex and, if the
 * list was empty, writes to the eventfd; the loop, which watches that, calls drain() on its own
 * thread, where the futures are completed. No thread is started, and none waits.
 */
#include "ext.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A body of at least this size is decoded without the GIL. Below it (some 100 us of work) getting
 * the GIL back may take longer than the work. */
#define UNLOCK_BYTES 16384

struct channel {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct call *done; /* lock; newest first */
    size_t under_way;  /* lock; submitted and not in `done` */
    int fd;
};

struct completions_object {
    PyObject_HEAD struct channel *channel;
    struct call *newest; /* every call that has a future */
    size_t pending;
    pid_t pid;
};

static PyTypeObject *completions_type;
static PyObject *name_done, *name_set_result, *name_set_exception;

/* On a compute thread. */
static void on_done(void *arg, inferd_status status)
{
    struct call *call = arg;
    struct channel *c = call->channel;
    call->status = status;
    pthread_mutex_lock(&c->lock);
    const bool first = c->done == NULL;
    call->next = c->done;
    c->done = call;
    c->under_way--;
    /* Under the lock: after it the owner may free the channel. */
    if (first) {
        const uint64_t one = 1;
        while (write(c->fd, &one, sizeof(one)) < 0 && errno == EINTR)
            ;
    }
    pthread_cond_signal(&c->ended);
    pthread_mutex_unlock(&c->lock);
}

static PyObject *completions_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":Completions", names))
        return NULL;
    struct channel *c = PyMem_Calloc(1, sizeof(*c));
    if (!c)
        return PyErr_NoMemory();
    c->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    struct completions_object *self =
        c->fd < 0 ? NULL : (struct completions_object *)alloc(type, 0);
    if (!self) {
        if (c->fd < 0)
            PyErr_SetFromErrno(PyExc_OSError);
        else
            close(c->fd);
        PyMem_Free(c);
        return NULL;
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->ended, NULL);
    self->channel = c;
    self->pid = getpid();
    return (PyObject *)self;
}

static void link_call(struct completions_object *self, struct call *call)
{
    call->newer = NULL;
    call->older = self->newest;
    if (self->newest)
        self->newest->newer = call;
    self->newest = call;
    self->pending++;
}

static void unlink_call(struct completions_object *self, struct call *call)
{
    if (call->newer)
        call->newer->older = call->older;
    else
        self->newest = call->older;
    if (call->older)
        call->older->newer = call->newer;
    self->pending--;
    Py_CLEAR(call->future);
    Py_CLEAR(call->labels);
    call->channel = NULL;
    ext_call_give(call);
}

static inferd_status set_body(struct call *call, const Py_buffer *body, inferd_error *err)
{
    inferd_status st;
    if (body->len < UNLOCK_BYTES)
        return inferd_request_set_body(call->request, body->buf, (size_t)body->len, err);
    Py_BEGIN_ALLOW_THREADS st =
        inferd_request_set_body(call->request, body->buf, (size_t)body->len, err);
    Py_END_ALLOW_THREADS return st;
}

/* Fill the call from a bytes-like body or a sequence of str; -1 with an exception set. */
static int fill(struct call *call, PyObject *input)
{
    inferd_error err = {.status = INFERD_OK};
    inferd_status st;
    if (PyObject_CheckBuffer(input)) {
        Py_buffer body;
        if (PyObject_GetBuffer(input, &body, PyBUF_SIMPLE) < 0)
            return -1;
        call->as_body = true;
        st = set_body(call, &body, &err);
        PyBuffer_Release(&body);
    } else {
        PyObject *owner = NULL;
        size_t count = 0;
        inferd_text *texts = ext_texts(input, &owner, &count);
        if (!texts)
            return -1;
        call->as_body = false;
        st = inferd_request_set_texts(call->request, texts, count, &err);
        PyMem_Free(texts);
        Py_DECREF(owner);
    }
    if (st)
        ext_raise(&err, 0);
    return st ? -1 : 0;
}

/* Hand the call over; -1 with an exception set, and the call is still ours. */
static int hand_over(struct completions_object *self, struct call *call, uint32_t timeout_ms)
{
    struct channel *c = self->channel;
    inferd_error err = {.status = INFERD_OK};
    call->channel = c;
    pthread_mutex_lock(&c->lock);
    c->under_way++;
    pthread_mutex_unlock(&c->lock);
    link_call(self, call);
    inferd_status st = inferd_request_submit(call->request, timeout_ms, on_done, call, &err);
    if (st == INFERD_OK)
        return 0;
    pthread_mutex_lock(&c->lock);
    c->under_way--;
    pthread_mutex_unlock(&c->lock);
    ext_raise(&err, st == INFERD_OVERLOADED ? inferd_request_retry_ms(call->request) : 0);
    unlink_call(self, call);
    return -1;
}

static PyObject *completions_submit(PyObject *o, PyObject *args)
{
    struct completions_object *self = (struct completions_object *)o;
    PyObject *model = NULL, *input = NULL, *timeout = NULL, *future = NULL, *top_k = NULL;
    int all = 0, raw = 0, timed = 0;
    uint32_t ms = 0;
    struct scores scores;
    if (!PyArg_ParseTuple(args, "OOOO|Oppp:submit", &model, &input, &timeout, &future, &top_k, &all,
                          &raw, &timed) ||
        ext_timeout(timeout, &ms) < 0 || ext_scores_wanted(top_k, all, raw, &scores) < 0)
        return NULL;
    struct core *core = ext_model_core(model);
    if (!core)
        return NULL;
    struct call *call = ext_call_take(core);
    ext_core_drop(core); /* the call holds it */
    if (!call)
        return NULL;
    call->scores = scores;
    call->timed = timed != 0;
    inferd_request_keep_logits(call->request, scores.top > 0);
    if (fill(call, input) < 0) {
        ext_call_give(call);
        return NULL;
    }
    call->future = Py_NewRef(future);
    call->labels = Py_NewRef(ext_model_labels(model));
    if (hand_over(self, call, ms) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Steals `value`, which may be NULL. */
static PyObject *with_times(const struct call *call, PyObject *value)
{
    return value && call->timed ? Py_BuildValue("(NN)", value, ext_times(call->request)) : value;
}

/* What the future gets; NULL with *error set, or with an exception set when even that failed. */
static PyObject *outcome(struct call *call, PyObject **error)
{
    inferd_error err = {.status = INFERD_OK};
    size_t size = 0;
    if (call->status) {
        ext_call_error(call->status, &err);
    } else if (call->as_body) {
        const char *answer = inferd_request_answer(call->request, &size);
        if (answer) {
            ext_core_count(call->core, call->request);
            return with_times(call, PyBytes_FromStringAndSize(answer, (Py_ssize_t)size));
        }
        ext_call_error(INFERD_NO_MEMORY, &err);
    } else {
        PyObject *list = PyList_New(0);
        ext_core_count(call->core, call->request);
        if (list && ext_results_append(list, call->labels, ext_core_model(call->core),
                                       call->request, call->scores) < 0)
            Py_CLEAR(list);
        return with_times(call, list);
    }
    *error = ext_error_new(&err, 0);
    return NULL;
}

/* 0, or -1 with an exception set. A future that is cancelled is left alone. */
static int complete(struct call *call)
{
    if (!call->future)
        return 0;
    PyObject *done = PyObject_CallMethodObjArgs(call->future, name_done, NULL);
    if (!done)
        return -1;
    const int over = PyObject_IsTrue(done);
    Py_DECREF(done);
    if (over)
        return over < 0 ? -1 : 0;
    PyObject *error = NULL, *value = outcome(call, &error);
    PyObject *none = NULL;
    if (value)
        none = PyObject_CallMethodObjArgs(call->future, name_set_result, value, NULL);
    else if (error)
        none = PyObject_CallMethodObjArgs(call->future, name_set_exception, error, NULL);
    Py_XDECREF(value);
    Py_XDECREF(error);
    Py_XDECREF(none);
    return none ? 0 : -1;
}

static struct call *take_done(struct channel *c)
{
    uint64_t count;
    /* before the list is taken: what comes later writes again */
    while (read(c->fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
    pthread_mutex_lock(&c->lock);
    struct call *newest = c->done;
    c->done = NULL;
    pthread_mutex_unlock(&c->lock);
    struct call *oldest = NULL; /* in the order in which they ended */
    while (newest) {
        struct call *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static PyObject *completions_drain(PyObject *o, PyObject *none)
{
    (void)none;
    struct completions_object *self = (struct completions_object *)o;
    struct call *call = take_done(self->channel);
    while (call) {
        struct call *next = call->next;
        if (complete(call) < 0)
            PyErr_WriteUnraisable(o); /* the others' answers must not be lost */
        unlink_call(self, call);
        call = next;
    }
    Py_RETURN_NONE;
}

static PyObject *completions_cancel(PyObject *o, PyObject *future)
{
    struct completions_object *self = (struct completions_object *)o;
    for (struct call *call = self->newest; call; call = call->older) {
        if (call->future == future) {
            inferd_request_cancel(call->request);
            /* at once: a future holds its loop, which may never drain again */
            Py_CLEAR(call->future);
            Py_RETURN_TRUE;
        }
    }
    Py_RETURN_FALSE;
}

static PyObject *completions_fileno(PyObject *o, PyObject *none)
{
    (void)none;
    return PyLong_FromLong(((struct completions_object *)o)->channel->fd);
}

/* The loop is gone, and with it everybody who waits: what is under way is cancelled and waited for,
 * a batch's time at most. */
static void completions_dealloc(PyObject *o)
{
    struct completions_object *self = (struct completions_object *)o;
    PyTypeObject *type = Py_TYPE(o);
    struct channel *c = self->channel;
    if (self->pid == getpid()) {
        for (struct call *call = self->newest; call; call = call->older)
            inferd_request_cancel(call->request);
        Py_BEGIN_ALLOW_THREADS pthread_mutex_lock(&c->lock);
        while (c->under_way > 0)
            pthread_cond_wait(&c->ended, &c->lock);
        pthread_mutex_unlock(&c->lock);
        Py_END_ALLOW_THREADS while (self->newest) unlink_call(self, self->newest);
        close(c->fd);
        pthread_cond_destroy(&c->ended);
        pthread_mutex_destroy(&c->lock);
        PyMem_Free(c);
    } /* else a child after fork(): the parent's calls are not ours, and its memory stays */
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(o);
    Py_DECREF(type);
}

static PyObject *completions_pending(PyObject *o, void *none)
{
    (void)none;
    return PyLong_FromSize_t(((struct completions_object *)o)->pending);
}

static PyMethodDef completions_methods[] = {
    {"submit", completions_submit, METH_VARARGS,
     "submit(model, texts_or_body, timeout, future, top_k=None, all_scores=False,\n"
     "raw_scores=False, times=False) -> None\n\n"
     "Raises what the engine refuses at once; everything later goes to the future. times: the\n"
     "future gets a pair of the answer and its Times."},
    {"drain", completions_drain, METH_NOARGS,
     "drain() -> None\n\nComplete the futures of calls that have ended. The loop's thread."},
    {"cancel", completions_cancel, METH_O,
     "cancel(future) -> bool\n\nNobody waits for that call any more; false if it has ended."},
    {"fileno", completions_fileno, METH_NOARGS, "fileno() -> int\n\nThe eventfd to watch."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef completions_getset[] = {
    {"pending", completions_pending, NULL, "Calls whose future is not completed yet.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot completions_slots[] = {
    {Py_tp_doc, "Calls of one event loop. Its thread's alone."},
    {Py_tp_new, (void *)completions_new},
    {Py_tp_dealloc, (void *)completions_dealloc},
    {Py_tp_methods, completions_methods},
    {Py_tp_getset, completions_getset},
    {0, NULL},
};

static PyType_Spec completions_spec = {
    .name = "inferd._engine.Completions",
    .basicsize = (int)sizeof(struct completions_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = completions_slots,
};

int ext_completions_init(PyObject *module)
{
    name_done = PyUnicode_InternFromString("done");
    name_set_result = PyUnicode_InternFromString("set_result");
    name_set_exception = PyUnicode_InternFromString("set_exception");
    completions_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &completions_spec, NULL);
    if (!name_done || !name_set_result || !name_set_exception || !completions_type)
        return -1;
    return PyModule_AddObjectRef(module, "Completions", (PyObject *)completions_type);
}
