/* SPDX-License-Identifier: Apache-2.0
 *
 * results.c - a request's answers as Python values: Result, and the scores in it.
 *
 * A Result is a tuple of four; `scores` is an attribute beside them, so that code which unpacks a
 * result does not break on what it did not ask for.
 */
#include "ext.h"

#include <stdlib.h>

enum { LABEL, CONFIDENCE, TOKENS, TRUNCATED, SCORES };

static PyTypeObject *result_type, *score_type;

static PyStructSequence_Field result_fields[] = {
    {"label", "name of the label with the highest score"},
    {"confidence", "its probability: softmax, or its own sigmoid for multi-label models"},
    {"tokens", "tokens used, special tokens included"},
    {"truncated", "whether the text was cut at the model's max_length"},
    {"scores", "tuple of Score, highest first, or None when none were asked for; not in the tuple"},
    {NULL, NULL},
};

static PyStructSequence_Desc result_desc = {
    .name = "inferd.Result",
    .doc = "The answer for one text.",
    .fields = result_fields,
    .n_in_sequence = SCORES,
};

static PyStructSequence_Field score_fields[] = {
    {"label", "its name"},
    {"score", "probability, or logit with raw_scores"},
    {NULL, NULL},
};

static PyStructSequence_Desc score_desc = {
    .name = "inferd.Score",
    .doc = "A label and its score.",
    .fields = score_fields,
    .n_in_sequence = 2,
};

int ext_results_init(PyObject *module)
{
    result_type = PyStructSequence_NewType(&result_desc);
    score_type = PyStructSequence_NewType(&score_desc);
    if (!result_type || !score_type ||
        PyModule_AddObjectRef(module, "Result", (PyObject *)result_type) < 0)
        return -1;
    return PyModule_AddObjectRef(module, "Score", (PyObject *)score_type);
}

int ext_scores_wanted(PyObject *top_k, int all, int raw, struct scores *out)
{
    const bool some = top_k && top_k != Py_None;
    if (some && all) {
        ext_raise_status(INFERD_INVALID_ARGUMENT, "give top_k or all_scores, not both");
        return -1;
    }
    out->raw = raw != 0;
    out->top = all || raw ? UINT32_MAX : 0;
    if (!some)
        return 0;
    int overflow = 0;
    const long long k = PyLong_AsLongLongAndOverflow(top_k, &overflow);
    if (k == -1 && !overflow && PyErr_Occurred())
        return -1;
    if (overflow < 0 || (!overflow && k < 1)) {
        ext_raise_status(INFERD_INVALID_ARGUMENT, "top_k must be at least 1, or None");
        return -1;
    }
    out->top = overflow || k > UINT32_MAX ? UINT32_MAX : (uint32_t)k;
    return 0;
}

struct ranked {
    float logit;
    uint32_t label;
};

/* Of the logits, as probabilities that round to 1 would hide which one is higher. */
static int by_logit(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->label < y->label ? -1 : 1;
}

/* Scratch for the scores of one text after the other. */
struct ranking {
    const inferd_model *model;
    PyObject *names;
    struct scores wanted;
    uint32_t labels;
    struct ranked *ranked; /* [labels] */
    float *scores;         /* [labels] */
};

static PyObject *score_new(PyObject *name, double value)
{
    PyObject *score = PyStructSequence_New(score_type);
    PyObject *number = PyFloat_FromDouble(value);
    if (!score || !name || !number) {
        Py_XDECREF(score);
        Py_XDECREF(number);
        return NULL;
    }
    PyStructSequence_SetItem(score, 0, Py_NewRef(name));
    PyStructSequence_SetItem(score, 1, number);
    return score;
}

static PyObject *scores_new(struct ranking *r, const float *logits)
{
    const uint32_t n = r->wanted.top < r->labels ? r->wanted.top : r->labels;
    for (uint32_t i = 0; i < r->labels; i++)
        r->ranked[i] = (struct ranked){logits[i], i};
    qsort(r->ranked, r->labels, sizeof(*r->ranked), by_logit);
    if (!r->wanted.raw)
        inferd_scores(r->model, logits, r->scores);
    PyObject *tuple = PyTuple_New((Py_ssize_t)n);
    for (uint32_t i = 0; tuple && i < n; i++) {
        const uint32_t label = r->ranked[i].label;
        const float value = r->wanted.raw ? logits[label] : r->scores[label];
        PyObject *score = score_new(PyTuple_GetItem(r->names, (Py_ssize_t)label), (double)value);
        if (!score || PyTuple_SetItem(tuple, (Py_ssize_t)i, score) < 0)
            Py_CLEAR(tuple);
    }
    return tuple;
}

/* Steals `scores`. */
static PyObject *result_new(PyObject *labels, const inferd_result *r, PyObject *scores)
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
        Py_DECREF(scores);
        return NULL;
    }
    PyStructSequence_SetItem(result, LABEL, Py_NewRef(label));
    PyStructSequence_SetItem(result, CONFIDENCE, confidence);
    PyStructSequence_SetItem(result, TOKENS, tokens);
    PyStructSequence_SetItem(result, TRUNCATED, truncated);
    PyStructSequence_SetItem(result, SCORES, scores);
    return result;
}

static int append(PyObject *list, struct ranking *r, const inferd_result *result,
                  const float *logits)
{
    PyObject *scores = logits ? scores_new(r, logits) : Py_NewRef(Py_None);
    PyObject *one = scores ? result_new(r->names, result, scores) : NULL;
    const int failed = !one || PyList_Append(list, one) < 0;
    Py_XDECREF(one);
    return failed ? -1 : 0;
}

int ext_results_append(PyObject *list, PyObject *labels, const inferd_model *model,
                       const inferd_request *request, struct scores wanted)
{
    size_t count = 0;
    const inferd_result *results = inferd_request_results(request, &count);
    const float *logits = inferd_request_logits(request);
    struct ranking r = {.model = model,
                        .names = labels,
                        .wanted = wanted,
                        .labels = (uint32_t)PyTuple_Size(labels)};
    int failed = 0;
    if (logits) {
        r.ranked = PyMem_Malloc(r.labels * sizeof(*r.ranked));
        r.scores = PyMem_Malloc(r.labels * sizeof(*r.scores));
        if (!r.ranked || !r.scores) {
            PyErr_NoMemory();
            failed = -1;
        }
    }
    for (size_t i = 0; i < count && !failed; i++)
        failed = append(list, &r, &results[i], logits ? logits + i * r.labels : NULL);
    PyMem_Free(r.ranked);
    PyMem_Free(r.scores);
    return failed;
}
