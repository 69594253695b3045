/* SPDX-License-Identifier: Apache-2.0
 *
 * errors.c - a class of exception for each row of the engine's table of errors:
 * INFERD_INVALID_UTF8 is InvalidUtf8Error, with the row's HTTP status as `code`, its stable name as
 * `type`, and `retryable`. Rows that mean what a built-in exception means derive from that, too.
 */
#include "ext.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE 64

static PyObject *base;
static PyObject *classes[64]; /* by engine code */

static const struct row {
    const char *name, *type, *text;
    unsigned code, http;
    bool retryable;
} rows[] = {
#define ROW(name, code, type, text, http, retry) {#name, type, text, code, http, retry},
    INFERD_STATUS_MAP(ROW)
#undef ROW
};

static PyObject *builtin_of(unsigned code)
{
    switch (code) {
    case INFERD_INVALID_ARGUMENT:
    case INFERD_INVALID_UTF8:
    case INFERD_INVALID_JSON:
    case INFERD_INVALID_REQUEST:
    case INFERD_TOO_MANY_INPUTS:
    case INFERD_TEXT_TOO_LONG:
        return PyExc_ValueError;
    case INFERD_NO_MEMORY:
        return PyExc_MemoryError;
    case INFERD_IO:
        return PyExc_OSError;
    case INFERD_DEADLINE:
        return PyExc_TimeoutError;
    default:
        return NULL;
    }
}

/* INVALID_UTF8 -> InvalidUtf8Error */
static void class_name(const char *name, char out[NAME_SIZE])
{
    size_t n = 0;
    bool first = true;
    for (; *name && n + 6 < NAME_SIZE; name++) {
        if (*name == '_') {
            first = true;
            continue;
        }
        out[n++] = (char)(first ? *name : tolower((unsigned char)*name));
        first = false;
    }
    memcpy(out + n, "Error", 6);
}

static PyObject *make_class(const struct row *row, const char *name)
{
    char full[NAME_SIZE + 16];
    PyObject *also = builtin_of(row->code);
    PyObject *bases = also ? PyTuple_Pack(2, base, also) : PyTuple_Pack(1, base);
    PyObject *members = Py_BuildValue("{s:I,s:s,s:O}", "code", row->http, "type", row->type,
                                      "retryable", row->retryable ? Py_True : Py_False);
    PyObject *class = NULL;
    snprintf(full, sizeof(full), "inferd.%s", name);
    if (bases && members)
        class = PyErr_NewExceptionWithDoc(full, row->text, bases, members);
    Py_XDECREF(bases);
    Py_XDECREF(members);
    return class;
}

int ext_errors_init(PyObject *module)
{
    PyObject *members = Py_BuildValue("{s:i,s:s,s:O,s:O}", "code", 500, "type", "internal",
                                      "retryable", Py_False, "retry_after", Py_None);
    if (!members)
        return -1;
    base = PyErr_NewExceptionWithDoc(
        "inferd.Error",
        "What the engine refuses or fails at. `code` is the HTTP status that the server gives it,\n"
        "`type` its stable name, `retryable` whether the same call may succeed later, and\n"
        "`retry_after` the seconds until then, where that is known.",
        NULL, members);
    Py_DECREF(members);
    if (!base || PyModule_AddObjectRef(module, "Error", base) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char name[NAME_SIZE];
        const unsigned code = rows[i].code;
        if (code == INFERD_OK || code >= sizeof(classes) / sizeof(classes[0]))
            continue;
        class_name(rows[i].name, name);
        classes[code] = make_class(&rows[i], name);
        if (!classes[code] || PyModule_AddObjectRef(module, name, classes[code]) < 0)
            return -1;
    }
    return 0;
}

PyObject *ext_error_new(const inferd_error *err, uint32_t retry_ms)
{
    const unsigned code = (unsigned)err->status;
    PyObject *class = code < sizeof(classes) / sizeof(classes[0]) ? classes[code] : NULL;
    const char *message = err->message[0] ? err->message : inferd_status_text(err->status);
    PyObject *text = PyUnicode_DecodeUTF8(message, (Py_ssize_t)strlen(message), "replace");
    PyObject *error = text ? PyObject_CallFunctionObjArgs(class ? class : base, text, NULL) : NULL;
    Py_XDECREF(text);
    if (error && retry_ms > 0) {
        PyObject *seconds = PyFloat_FromDouble(retry_ms / 1000.0);
        if (!seconds || PyObject_SetAttrString(error, "retry_after", seconds) < 0)
            Py_CLEAR(error);
        Py_XDECREF(seconds);
    }
    return error;
}

PyObject *ext_raise(const inferd_error *err, uint32_t retry_ms)
{
    PyObject *error = ext_error_new(err, retry_ms);
    if (error) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return NULL;
}

PyObject *ext_raise_status(inferd_status status, const char *message)
{
    inferd_error err = {.status = status};
    snprintf(err.message, sizeof(err.message), "%s", message);
    return ext_raise(&err, 0);
}
