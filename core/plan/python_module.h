/* SPDX-License-Identifier: BSD-3-Clause */
/* The in-container module `descpipe`, for images that lack it (`python-module: true`). */
#ifndef DESCPIPE_PLAN_PYTHON_MODULE_H
#define DESCPIPE_PLAN_PYTHON_MODULE_H

#include "base/error.h"

/* Where a container finds it: beside run.py, which Python looks in first whatever PYTHONPATH the image sets. */
#define PYTHON_MODULE_TARGET "/opt/desc/descpipe.py"

/* The module's file on this machine, owned by the caller: beside the program in a build tree, else as installed. */
char *python_module_find(struct error *error);

#endif
