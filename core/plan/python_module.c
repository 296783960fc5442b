/* SPDX-License-Identifier: BSD-3-Clause */
/* The in-container module `descpipe`, for images that lack it. */
#include "plan/python_module.h"

#include "base/file.h"
#include "base/path.h"

#define MODULE_NAME "container/descpipe.py"

char *python_module_find(struct error *error)
{
    cleanup(memory_free) char *program = path_real("/proc/self/exe", NULL);
    cleanup(memory_free) char *folder = path_folder(program ? program : "/");
    char *beside = path_join(folder, MODULE_NAME);
    if (file_exists(beside))
        return beside;
    memory_free(beside);
    cleanup(memory_free) char *moved = path_join(folder, DESCPIPE_DATA_FROM_PROGRAM "/" MODULE_NAME);
    char *installed = path_absolute("/", moved);
    if (file_exists(installed))
        return installed;
    error_set(error, ERROR_SYSTEM, "the Python module of this installation is missing: '%s'", installed);
    error_hint(error, "install descpipe again, or put the module into the image and remove 'python-module'");
    memory_free(installed);
    return NULL;
}
