/* SPDX-License-Identifier: Apache-2.0
 *
 * values.c - between Python's values and the engine's.
 */
#include "ext.h"

#include <math.h>
#include <stdio.h>

static PyTypeObject *result_type;

static PyStructSequence_Field result_fields[] = {
    {"label", "name of the label with the highest score"},
    {"confidence", "its probability: softmax, or its own sigmoid for multi-label models"},
    {"tokens", "tokens used, special tokens included"},
    {"truncated", "whether the text was cut at the model's max_length"},
    {NULL, NULL},
};

static PyStructSequence_Desc result_desc = {
    .name = "inferd.Result",
    .doc = "The answer for one text.",
    .fields = result_fields,
    .n_in_sequence = 4,
};

int ext_values_init(PyObject *module)
{
    result_type = PyStructSequence_NewType(&result_desc);
    if (!result_type)
        return -1;
    return PyModule_AddObjectRef(module, "Result", (PyObject *)result_type);
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

static PyObject *result_new(PyObject *labels, const inferd_result *r)
{
    PyObject *result = PyStructSequence_New(result_type);
    PyObject *label = PyTuple_GetItem(labels, (Py_ssize_t)r->label);
    PyObject *confidence = PyFloat_FromDouble((double)r->confidence);
    PyObject *tokens = PyLong_FromUnsignedLong(r->tokens);
    PyObject *truncated = PyBool_FromLong((long)r->truncated);
    if (!result || !label || !confidence || !tokens || !truncated) {
        Py_XDECREF(result);
        Py_XDECREF(confidence);
        Py_XDECREF(tokens);
        Py_XDECREF(truncated);
        return NULL;
    }
    PyStructSequence_SetItem(result, 0, Py_NewRef(label));
    PyStructSequence_SetItem(result, 1, confidence);
    PyStructSequence_SetItem(result, 2, tokens);
    PyStructSequence_SetItem(result, 3, truncated);
    return result;
}

int ext_results_append(PyObject *list, PyObject *labels, const inferd_result *results, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        PyObject *result = result_new(labels, &results[i]);
        const int failed = !result || PyList_Append(list, result) < 0;
        Py_XDECREF(result);
        if (failed)
            return -1;
    }
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

PyObject *ext_stats(const inferd_batcher_stats *s)
{
    return Py_BuildValue(
        "{s:I,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:d,s:d,s:d}", "threads", s->threads, "batches",
        (unsigned long long)s->batches, "texts", (unsigned long long)s->texts, "tokens",
        (unsigned long long)s->tokens, "refused", (unsigned long long)s->refused, "expired",
        (unsigned long long)s->expired, "cancelled", (unsigned long long)s->cancelled,
        "queue_texts", (unsigned long long)s->queue_texts, "queue_tokens",
        (unsigned long long)s->queue_tokens, "busy_seconds", (double)s->busy_ns / 1e9,
        "estimated_wait_seconds", s->estimated_wait_s, "saturation_ratio", s->saturation_ratio);
}
