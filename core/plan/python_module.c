/* SPDX-License-Identifier: BSD-3-Clause */
/* The in-container module `descpipe`, for images that lack it. */
#include "plan/python_module.h"

#include "base/file.h"
#include "base/program.h"

#define MODULE_NAME "container/descpipe.py"

char *python_module_find(struct error *error)
{
    char *path = program_file(MODULE_NAME, DESCPIPE_DATA_FROM_PROGRAM "/" MODULE_NAME);
    if (file_exists(path))
        return path;
    error_set(error, ERROR_SYSTEM, "the Python module of this installation is missing: '%s'", path);
    error_hint(error, "install descpipe again, or put the module into the image and remove 'python-module'");
    memory_free(path);
    return NULL;
}
