/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths as texts: joining, cleaning, taking apart. */
#include "base/path.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

char *path_join(const char *folder, const char *name)
{
    if (name[0] == '/' || folder[0] == '\0')
        return memory_copy_text(name);
    if (name[0] == '\0')
        return memory_copy_text(folder);
    return memory_format("%s%s%s", folder, text_ends_with(folder, "/") ? "" : "/", name);
}

/* Appends the parts of `path` to the clean absolute path in `result`, which is "" for the root. */
static void append_clean(struct text *result, const char *path)
{
    while (*path != '\0') {
        size_t length = strcspn(path, "/");
        if (length == 2 && path[0] == '.' && path[1] == '.') {
            const char *slash = strrchr(text_bytes(result), '/');
            if (slash != NULL) {
                result->length = (size_t)(slash - result->bytes);
                result->bytes[result->length] = '\0';
            }
        } else if (length > 0 && !(length == 1 && path[0] == '.')) {
            text_append_character(result, '/');
            text_append_bytes(result, path, length);
        }
        path += length;
        path += *path == '/';
    }
}

char *path_absolute(const char *base, const char *path)
{
    struct text result = TEXT_INIT;
    if (path[0] != '/')
        append_clean(&result, base);
    append_clean(&result, path);
    if (result.length == 0)
        text_append_character(&result, '/');
    return text_take(&result);
}

/* The length without slashes at the end; the root keeps its own. */
static size_t length_without_slashes(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    return length;
}

char *path_folder(const char *path)
{
    size_t length = length_without_slashes(path);
    while (length > 0 && path[length - 1] != '/')
        length--;
    if (length == 0)
        return memory_copy_text(".");
    while (length > 1 && path[length - 1] == '/')
        length--;
    return memory_copy_bytes(path, length);
}

const char *path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

char *path_real(const char *path, struct error *error)
{
    char *real = realpath(path, NULL);
    if (real == NULL)
        error_system(error, "cannot find '%s'", path);
    return real;
}

bool path_is_inside(const char *folder, const char *path)
{
    size_t length = strlen(folder);
    if (length > 0 && folder[length - 1] == '/')
        length--; /* the root, or a slash too many */
    return strncmp(folder, path, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

bool path_is_component(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > NAME_MAX || text_equal(name, ".") || text_equal(name, ".."))
        return false;
    for (const char *c = name; *c != '\0'; c++)
        if (*c == '/' || (unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return true;
}
