/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the working and the output folder can be what they shall be: judged before anything is made in them. */
#include "run/files/folders.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"

/* The nearest folder on the way up that is there: what is missing below it would be made. */
static char *nearest_existing(const char *path)
{
    char *nearest = memory_copy_text(path);
    struct stat status;
    while (lstat(nearest, &status) != 0 && (errno == ENOENT || errno == ENOTDIR) && strcmp(nearest, "/") != 0) {
        char *up = path_folder(nearest);
        memory_free(nearest);
        nearest = up;
    }
    return nearest;
}

static bool can_be_a_folder(const char *key, const char *path, struct error *error)
{
    cleanup(memory_free) char *nearest = nearest_existing(path);
    struct stat status;
    if (stat(nearest, &status) != 0) {
        error_set(error, ERROR_INPUT, "'%s' cannot be '%s': '%s': %s", key, path, nearest, strerror(errno));
        return false;
    }
    if (!S_ISDIR(status.st_mode)) {
        error_set(error, ERROR_INPUT, "'%s' cannot be '%s': '%s' is not a folder", key, path, nearest);
        return error_hint(error, "name a folder, or one that can be made");
    }
    if (access(nearest, W_OK | X_OK) == 0)
        return true;
    error_set(error, ERROR_INPUT, "'%s' cannot be '%s': nothing can be made in '%s': %s", key, path, nearest,
              strerror(errno));
    return error_hint(error, "name a folder that you may write into");
}

/* As it is without links, as far as it is there. */
static char *without_links(const char *path)
{
    cleanup(memory_free) char *nearest = nearest_existing(path);
    cleanup(memory_free) char *real = path_real(nearest, NULL);
    const char *rest = path + strlen(nearest);
    while (*rest == '/')
        rest++;
    if (real == NULL)
        return memory_copy_text(path);
    return rest[0] != '\0' ? path_join(real, rest) : steal(&real);
}

static bool stays_out_of(const char *output, const char *working, const char *name, const char *what,
                         struct error *error)
{
    cleanup(memory_free) char *taken = path_join(working, name);
    if (!path_is_inside(taken, output))
        return true;
    error_set(error, ERROR_INPUT, "'output' cannot be '%s': '%s' is %s", output, taken, what);
    return error_hint(error, "name a folder of its own for the results");
}

bool folders_check(const struct pipeline *pipeline, struct error *error)
{
    if (!can_be_a_folder("working", pipeline->working, error))
        return false;
    if (pipeline->output == NULL)
        return true;
    if (!can_be_a_folder("output", pipeline->output, error))
        return false;
    cleanup(memory_free) char *working = without_links(pipeline->working);
    cleanup(memory_free) char *output = without_links(pipeline->output);
    if (strcmp(working, output) == 0) {
        error_set(error, ERROR_INPUT, "'output' and 'working' are the same folder '%s'", output);
        return error_hint(error, "name a folder of its own for the results");
    }
    bool apart = stays_out_of(output, working, ".descpipe", "where runs are kept", error) &&
                 stays_out_of(output, working, "data", "where stages publish their outputs", error);
    for (size_t i = 0; i < pipeline->stages.count && apart && path_is_inside(working, output); i++)
        apart = stays_out_of(output, working, pipeline_text(pipeline, pipeline->stages.items[i].name),
                             "the folder of the stage of that name", error);
    return apart;
}
