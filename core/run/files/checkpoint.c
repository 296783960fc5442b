/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding, comparing, copying and removing the files of a checkpoint. */
#include "run/files/checkpoint.h"

#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "base/text.h"

#define FILES_LIMIT 100000 /* more are none that anybody meant */

/* glob's special characters in a folder's own name stand for themselves. */
static void append_escaped(struct text *text, const char *path)
{
    for (; *path != '\0'; path++) {
        if (strchr("*?[]\\", *path) != NULL)
            text_append_character(text, '\\');
        text_append_character(text, *path);
    }
}

/* False to go no further. `path` begins with the folder's name. */
typedef bool (*checkpoint_visit)(void *context, const char *path, const struct stat *status);

static bool is_inside(const char *real_folder, const char *path)
{
    cleanup(memory_free) char *real = path_real(path, NULL);
    return real != NULL && path_is_inside(real_folder, real);
}

static bool visit_pattern(const char *folder, const char *real_folder, const char *pattern, checkpoint_visit visit,
                          void *context)
{
    cleanup(text_clear) struct text whole = TEXT_INIT;
    append_escaped(&whole, folder);
    text_append_character(&whole, '/');
    text_append(&whole, pattern);
    glob_t found;
    bool goes_on = true;
    int result = glob(text_bytes(&whole), GLOB_NOSORT, NULL, &found);
    size_t count = result == 0 ? found.gl_pathc : 0;
    for (size_t i = 0; i < count && i < FILES_LIMIT && goes_on; i++) {
        struct stat status;
        const char *path = found.gl_pathv[i];
        if (lstat(path, &status) == 0 && S_ISREG(status.st_mode) && is_inside(real_folder, path))
            goes_on = visit(context, path, &status);
    }
    globfree(&found);
    return goes_on;
}

static bool visit_all(const char *folder, const char *const *patterns, checkpoint_visit visit, void *context)
{
    descriptor_close(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)); /* which asks a file server */
    cleanup(memory_free) char *real = path_real(folder, NULL);
    bool goes_on = true;
    for (size_t i = 0; real != NULL && patterns[i] != NULL && goes_on; i++)
        goes_on = visit_pattern(folder, real, patterns[i], visit, context);
    return goes_on;
}

struct comparison {
    const char *folder, *before;
    bool any_new;
};

static bool compare(void *context, const char *path, const struct stat *status)
{
    struct comparison *comparison = context;
    cleanup(memory_free) char *old =
        comparison->before != NULL ? path_join(comparison->before, path + strlen(comparison->folder) + 1) : NULL;
    struct stat was;
    comparison->any_new = old == NULL || lstat(old, &was) != 0 || was.st_size != status->st_size ||
                          was.st_mtim.tv_sec != status->st_mtim.tv_sec ||
                          was.st_mtim.tv_nsec != status->st_mtim.tv_nsec;
    return !comparison->any_new;
}

bool checkpoint_is_new(const char *folder, const char *before, const char *const *patterns)
{
    struct comparison comparison = {.folder = folder, .before = before};
    visit_all(folder, patterns, compare, &comparison);
    return comparison.any_new;
}

struct copying {
    const char *from, *to;
    struct error *error;
};

/* Power loss may take what its stage wrote last; and what came before it goes once this is copied. */
static bool settle(const char *path, struct error *error)
{
    cleanup(descriptor_close) int file = file_open(path, NULL, error);
    return file >= 0 && (fdatasync(file) == 0 || error_system(error, "cannot write '%s' to the disk", path));
}

static bool copy(void *context, const char *path, const struct stat *status)
{
    const struct copying *copying = context;
    cleanup(memory_free) char *to = path_join(copying->to, path + strlen(copying->from) + 1);
    cleanup(memory_free) char *folder = path_folder(to);
    (void)status;
    return settle(path, copying->error) && folder_make(folder, 0777, copying->error) &&
           file_place(path, to, 0, NULL, copying->error);
}

bool checkpoint_copy(const char *from, const char *to, const char *const *patterns, struct error *error)
{
    struct copying copying = {.from = from, .to = to, .error = error};
    return visit_all(from, patterns, copy, &copying);
}

static bool remove_one(void *context, const char *path, const struct stat *status)
{
    (void)context;
    (void)status;
    unlink(path);
    return true;
}

void checkpoint_remove(const char *folder, const char *const *patterns)
{
    visit_all(folder, patterns, remove_one, NULL);
}
