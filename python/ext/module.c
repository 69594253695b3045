/* SPDX-License-Identifier: Apache-2.0
 *
 * module.c - the module inferd._engine.
 */
#include "ext.h"

/* The state is the process's, and a compute thread may outlive an interpreter. */
static int refuse_subinterpreter(void)
{
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) == 0)
        return 0;
    PyErr_SetString(PyExc_ImportError,
                    "inferd works in the main interpreter only; in a sub-interpreter use a process "
                    "of its own, or call the main interpreter");
    return -1;
}

static int module_exec(PyObject *module)
{
    if (refuse_subinterpreter() < 0 || ext_errors_init(module) < 0 || ext_values_init(module) < 0 ||
        ext_results_init(module) < 0 || ext_model_init(module) < 0 ||
        ext_completions_init(module) < 0)
        return -1;
    return PyModule_AddStringConstant(module, "version", inferd_version());
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)module_exec},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "inferd._engine",
    .m_doc = "The engine of inferd, in C. Use the package inferd.",
    .m_size = 0,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__engine(void);
PyMODINIT_FUNC PyInit__engine(void)
{
    return PyModuleDef_Init(&module_def);
}
