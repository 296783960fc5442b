/* SPDX-License-Identifier: BSD-3-Clause */
/* The environment that an image's author set, kept beside its unpacked root. */
#include "environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "environment"

static bool close_written(FILE *file, const char *path, struct failure *failure)
{
    bool good = ferror(file) == 0;
    return (fclose(file) == 0 && good) || failure_system(failure, "cannot write '%s'", path);
}

bool environment_write(const char *image_folder, char *const *variables, size_t count, struct failure *failure)
{
    char path[4096];
    size_t total = 0;
    if (snprintf(path, sizeof path, "%s/" NAME, image_folder) >= (int)sizeof path)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the store's path is too long");
    FILE *file = fopen(path, "wxe");
    if (file == NULL)
        return failure_system(failure, "cannot make '%s'", path);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(variables[i]) + 1;
        if (strchr(variables[i], '=') == NULL || variables[i][0] == '=')
            continue; /* no variable */
        total += length;
        if (total <= ENVIRONMENT_LIMIT)
            fwrite(variables[i], 1, length, file);
    }
    if (!close_written(file, path, failure))
        return false;
    return total <= ENVIRONMENT_LIMIT ||
           failure_set(failure, DESCPIPE_FAILED_REFUSED, "the image's environment is larger than 1 MiB");
}

char *environment_read(const char *root, size_t *length, struct failure *failure)
{
    char path[4096];
    const char *end = strrchr(root, '/');
    if (end == NULL || snprintf(path, sizeof path, "%.*s/" NAME, (int)(end - root), root) >= (int)sizeof path)
        return NULL;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        if (errno != ENOENT)
            failure_system(failure, "cannot read '%s'", path);
        return NULL;
    }
    char *bytes = malloc(ENVIRONMENT_LIMIT + 1);
    *length = bytes != NULL ? fread(bytes, 1, ENVIRONMENT_LIMIT, file) : 0;
    fclose(file);
    if (bytes == NULL)
        failure_memory(failure);
    else
        bytes[*length] = '\0'; /* also a cut file ends */
    return bytes;
}
