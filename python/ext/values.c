/* SPDX-License-Identifier: Apache-2.0
 *
 * values.c - between Python's values and the engine's.
 */
#include "ext.h"

#include <math.h>
#include <stdio.h>

static PyTypeObject *times_type;

static PyStructSequence_Field times_fields[] = {
    {"parse", "decoding the body"},
    {"tokenize", "texts to token ids"},
    {"queue", "waiting for a compute thread"},
    {"infer", "first batch until the end of the last"},
    {"serialize", "encoding the answer"},
    {NULL, NULL},
};

static PyStructSequence_Desc times_desc = {
    .name = "inferd.Times",
    .doc = "Where the time of a request went, in seconds: the stages of docs/metrics.md.",
    .fields = times_fields,
    .n_in_sequence = 5,
};

int ext_values_init(PyObject *module)
{
    times_type = PyStructSequence_NewType(&times_desc);
    return times_type ? PyModule_AddObjectRef(module, "Times", (PyObject *)times_type) : -1;
}

PyObject *ext_labels(const inferd_model *model, uint32_t count)
{
    PyObject *labels = PyTuple_New((Py_ssize_t)count);
    for (uint32_t i = 0; labels && i < count; i++) {
        PyObject *name = PyUnicode_FromString(inferd_model_label(model, i));
        if (!name || PyTuple_SetItem(labels, (Py_ssize_t)i, name) < 0)
            Py_CLEAR(labels);
    }
    return labels;
}

/* A str that has no UTF-8 form (a lone surrogate) is the engine's error, not a codec's. */
static void name_bad_text(Py_ssize_t i)
{
    char message[128];
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
        return;
    PyErr_Clear();
    snprintf(message, sizeof(message), "inputs[%zd] has a lone surrogate, which has no UTF-8 form",
             i);
    ext_raise_status(INFERD_INVALID_UTF8, message);
}

inferd_text *ext_texts(PyObject *sequence, PyObject **owner, size_t *count)
{
    if (PyUnicode_Check(sequence) || PyBytes_Check(sequence)) {
        PyErr_SetString(PyExc_TypeError, "texts must be a list of str; for one text: [text]");
        return NULL;
    }
    PyObject *tuple = PySequence_Tuple(sequence);
    if (!tuple)
        return NULL;
    const Py_ssize_t n = PyTuple_Size(tuple);
    inferd_text *texts = PyMem_Malloc((size_t)(n ? n : 1) * sizeof(*texts));
    if (!texts) {
        Py_DECREF(tuple);
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *item = PyTuple_GetItem(tuple, i);
        Py_ssize_t size = 0;
        if (!PyUnicode_Check(item))
            PyErr_Format(PyExc_TypeError, "texts[%zd] must be a str", i);
        else if ((texts[i].data = PyUnicode_AsUTF8AndSize(item, &size)))
            texts[i].size = (size_t)size;
        else
            name_bad_text(i);
        if (PyErr_Occurred()) {
            PyMem_Free(texts);
            Py_DECREF(tuple);
            return NULL;
        }
    }
    *owner = tuple;
    *count = (size_t)n;
    return texts;
}

int ext_timeout(PyObject *seconds, uint32_t *ms)
{
    if (!seconds || seconds == Py_None) {
        *ms = 0;
        return 0;
    }
    const double s = PyFloat_AsDouble(seconds);
    if (s == -1.0 && PyErr_Occurred())
        return -1;
    if (!(s > 0.0 && s <= 86400.0)) { /* NaN is refused, too */
        ext_raise_status(INFERD_INVALID_ARGUMENT,
                         "timeout must be more than 0 and at most 86400 seconds, or None");
        return -1;
    }
    *ms = (uint32_t)ceil(s * 1000.0);
    return 0;
}

PyObject *ext_info(const inferd_model *model)
{
    inferd_model_info i = {.struct_size = sizeof(i)};
    inferd_model_get_info(model, &i);
    return Py_BuildValue("{s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:N,s:I,s:I,s:K,s:K}", "name",
                         i.name, "architecture", i.architecture, "problem_type", i.problem_type,
                         "dtype", i.dtype, "tier", i.tier, "layers", i.layers, "hidden_size",
                         i.hidden_size, "heads", i.heads, "intermediate_size", i.intermediate_size,
                         "vocab_size", i.vocab_size, "labels", ext_labels(model, i.labels),
                         "max_length", i.max_length, "max_length_model", i.max_length_model,
                         "parameters", (unsigned long long)i.parameters, "weight_bytes",
                         (unsigned long long)i.weight_bytes);
}

PyObject *ext_times(const inferd_request *request)
{
    inferd_request_times t = {.struct_size = sizeof(t)};
    inferd_request_get_times(request, &t);
    const uint64_t ns[] = {t.parse_ns, t.tokenize_ns, t.queue_ns, t.infer_ns, t.serialize_ns};
    PyObject *times = PyStructSequence_New(times_type);
    for (size_t i = 0; times && i < sizeof(ns) / sizeof(ns[0]); i++) {
        PyObject *seconds = PyFloat_FromDouble((double)ns[i] / 1e9);
        if (seconds)
            PyStructSequence_SetItem(times, (Py_ssize_t)i, seconds);
        else
            Py_CLEAR(times);
    }
    return times;
}
