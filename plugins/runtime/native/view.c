/* SPDX-License-Identifier: BSD-3-Clause */
/* What the paths inside a container will mean: the image's root with mounts laid over it. */
#include "view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool view_open(struct view *view, const char *image, struct arguments *texts, struct failure *failure)
{
    *view = (struct view){.texts = texts};
    return view_add(view, &(struct view_point){.kind = VIEW_BIND, .path = "/", .source = image, .read_only = true},
                    failure);
}

void view_clear(struct view *view)
{
    free(view->points);
    *view = (struct view){0};
}

bool view_add(struct view *view, const struct view_point *point, struct failure *failure)
{
    if (view->count == view->capacity) {
        size_t capacity = view->capacity == 0 ? 32 : view->capacity * 2;
        if (capacity > VIEW_POINTS_LIMIT)
            return failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED, "a stage has more than %d mounts",
                               VIEW_POINTS_LIMIT);
        struct view_point *points = realloc(view->points, capacity * sizeof *points);
        if (points == NULL)
            return failure_memory(failure);
        view->points = points;
        view->capacity = capacity;
    }
    view->points[view->count++] = *point;
    return true;
}

bool view_path_within(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    if (length == 1)
        return true;
    return strncmp(path, folder, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* The point that shows a resolved path: the deepest, and of equals the last. */
static size_t find_point(const struct view *view, const char *path)
{
    size_t best = 0, best_length = 0;
    for (size_t i = 1; i < view->count; i++) {
        size_t length = strlen(view->points[i].path);
        if (length >= best_length && view_path_within(path, view->points[i].path)) {
            best = i;
            best_length = length;
        }
    }
    return best;
}

const char *view_outside(const struct view *view, const struct view_point *point, const char *path)
{
    const char *rest = strcmp(point->path, "/") == 0 ? path : path + strlen(point->path);
    if (strcmp(rest, "/") == 0 || rest[0] == '\0')
        return point->source;
    return arguments_format(view->texts, "%s%s", strcmp(point->source, "/") == 0 ? "" : point->source, rest);
}

enum entry { ENTRY_MISSING, ENTRY_FOLDER, ENTRY_OTHER, ENTRY_LINK, ENTRY_FAILED };

/* What lies at a path whose components before the last are real folders. */
static enum entry look_up(const struct view *view, const char *path, char *link, size_t link_size)
{
    const struct view_point *point = &view->points[find_point(view, path)];
    bool itself = strcmp(point->path, path) == 0;
    if (point->kind != VIEW_BIND)
        return itself ? ENTRY_FOLDER : ENTRY_MISSING;
    const char *outside = view_outside(view, point, path);
    struct stat status;
    /* A mount's own source may be a link of the machine, which the mount follows. */
    if ((itself ? stat(outside, &status) : lstat(outside, &status)) != 0)
        return errno == ENOENT ? ENTRY_MISSING : ENTRY_FAILED;
    if (S_ISDIR(status.st_mode))
        return ENTRY_FOLDER;
    if (!S_ISLNK(status.st_mode))
        return ENTRY_OTHER;
    ssize_t length = readlink(outside, link, link_size);
    if (length < 0 || (size_t)length >= link_size) {
        errno = ENAMETOOLONG;
        return ENTRY_FAILED;
    }
    link[length] = '\0';
    return ENTRY_LINK;
}

struct walk {
    char path[VIEW_PATH_LIMIT];    /* resolved so far, without a slash at its end; "" is the root */
    char pending[VIEW_PATH_LIMIT]; /* still to go */
    char link[VIEW_PATH_LIMIT];
    unsigned links;
    size_t existing; /* length of the part of `path` that exists */
    bool other;      /* `path` exists and is no folder */
};

static bool fail_too_long(const char *target, struct failure *failure)
{
    return failure_set(failure, DESCPIPE_FAILED_REFUSED, "mount target '%s': path too long", target);
}

/* Puts the text of a link in front of what is still to go. */
static bool follow_link(struct walk *walk, const char *target, struct failure *failure)
{
    if (++walk->links > VIEW_LINKS_LIMIT)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "mount target '%s': too many symbolic links in the image",
                           target);
    size_t link_length = strlen(walk->link), pending_length = strlen(walk->pending);
    if (link_length + 1 + pending_length >= sizeof walk->pending)
        return fail_too_long(target, failure);
    memmove(walk->pending + link_length + 1, walk->pending, pending_length + 1);
    memcpy(walk->pending, walk->link, link_length);
    walk->pending[link_length] = '/';
    if (walk->link[0] == '/')
        walk->path[walk->existing = 0] = '\0';
    return true;
}

static void leave_folder(struct walk *walk)
{
    char *slash = strrchr(walk->path, '/');
    if (slash != NULL)
        *slash = '\0';
    size_t length = strlen(walk->path);
    if (walk->existing > length)
        walk->existing = length;
}

/* Takes the next component off `pending`; false at the end. */
static bool next_component(struct walk *walk, char *component, size_t size)
{
    char *start = walk->pending + strspn(walk->pending, "/");
    size_t length = strcspn(start, "/");
    if (length == 0)
        return false;
    if (length >= size)
        length = size - 1; /* a name over NAME_MAX cannot exist; the lookup says so */
    memcpy(component, start, length);
    component[length] = '\0';
    start += strcspn(start, "/");
    memmove(walk->pending, start, strlen(start) + 1);
    return true;
}

static bool enter(const struct view *view, struct walk *walk, const char *component, const char *target,
                  struct failure *failure)
{
    size_t length = strlen(walk->path);
    bool on_existing = walk->existing == length;
    if (walk->other)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "mount target '%s': '%s' is a file in the image", target,
                           walk->path);
    if (length + 1 + strlen(component) >= sizeof walk->path)
        return fail_too_long(target, failure);
    walk->path[length] = '/';
    memcpy(walk->path + length + 1, component, strlen(component) + 1);
    if (!on_existing)
        return true; /* below something missing everything is missing */
    switch (look_up(view, walk->path, walk->link, sizeof walk->link)) {
    case ENTRY_MISSING:
        return true;
    case ENTRY_FOLDER:
        walk->existing = strlen(walk->path);
        return true;
    case ENTRY_OTHER:
        walk->existing = strlen(walk->path);
        walk->other = true;
        return true;
    case ENTRY_LINK:
        walk->path[length] = '\0';
        return follow_link(walk, target, failure);
    case ENTRY_FAILED:
    default:
        return failure_system(failure, "mount target '%s': '%s'", target, walk->path);
    }
}

bool view_resolve(const struct view *view, const char *target, struct view_place *place, struct failure *failure)
{
    if (target[0] != '/')
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "mount target '%s' is not an absolute path", target);
    if (strlen(target) >= VIEW_PATH_LIMIT)
        return fail_too_long(target, failure);
    struct walk walk = {.links = 0};
    memcpy(walk.pending, target, strlen(target) + 1);
    char component[256 + 1];
    while (next_component(&walk, component, sizeof component)) {
        if (strcmp(component, ".") == 0)
            continue;
        if (strcmp(component, "..") == 0) {
            walk.other = false;
            leave_folder(&walk);
        } else if (!enter(view, &walk, component, target, failure))
            return false;
    }
    const char *path = arguments_format(view->texts, "%s", walk.path[0] == '\0' ? "/" : walk.path);
    bool exists = walk.existing == strlen(walk.path);
    const char *parent =
        walk.existing == 0 ? "/" : arguments_format(view->texts, "%.*s", (int)walk.existing, walk.path);
    if (view->texts->failed)
        return failure_memory(failure);
    *place = (struct view_place){.path = path,
                                 .exists = exists,
                                 .folder = exists && !walk.other,
                                 .parent = parent,
                                 .shown_by = find_point(view, exists ? path : parent)};
    return true;
}
