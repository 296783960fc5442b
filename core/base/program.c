/* SPDX-License-Identifier: BSD-3-Clause */
/* Where this program's own files are. */
#include "base/program.h"

#include "base/file.h"
#include "base/path.h"

char *program_file(const char *built, const char *installed)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *program = path_real("/proc/self/exe", &error);
    cleanup(memory_free) char *folder = path_folder(program ? program : "/");
    char *beside = path_join(folder, built);
    if (file_exists(beside))
        return beside;
    memory_free(beside);
    return path_absolute(folder, installed);
}
