/* SPDX-License-Identifier: BSD-3-Clause */
/* From mounts to bubblewrap's arguments; mounts.h tells how. */
#include "mounts.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/ownership.h"

bool mounts_open(struct mounts *mounts, const char *image, struct arguments *arguments, struct failure *failure)
{
    *mounts = (struct mounts){.arguments = arguments};
    return view_open(&mounts->view, image, arguments, failure);
}

void mounts_clear(struct mounts *mounts)
{
    view_clear(&mounts->view);
    free(mounts->rebuilt);
    *mounts = (struct mounts){0};
}

static struct rebuilt_folder *find_rebuilt(const struct mounts *mounts, const char *path)
{
    for (size_t i = 0; i < mounts->rebuilt_count; i++)
        if (strcmp(mounts->rebuilt[i].path, path) == 0)
            return &mounts->rebuilt[i];
    return NULL;
}

/* Makes sure that names can be created in an existing folder. */
static bool rebuild_folder(struct mounts *mounts, const struct view_place *place, struct failure *failure)
{
    const struct view_point *shown_by = &mounts->view.points[place->shown_by];
    if (shown_by->kind == VIEW_PROCESSES)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "mount target '%s' lies in /proc", place->path);
    /* A folder that the stage may write gets the missing name as its own process could have made it. */
    if (shown_by->kind != VIEW_BIND || !shown_by->read_only || find_rebuilt(mounts, place->parent) != NULL)
        return true;
    const char *outside = view_outside(&mounts->view, shown_by, place->parent);
    struct stat status;
    if (stat(outside, &status) != 0)
        return failure_system(failure, "'%s'", outside);
    if (mounts->rebuilt_count == mounts->rebuilt_capacity) {
        size_t capacity = mounts->rebuilt_capacity == 0 ? 8 : mounts->rebuilt_capacity * 2;
        struct rebuilt_folder *rebuilt = realloc(mounts->rebuilt, capacity * sizeof *rebuilt);
        if (rebuilt == NULL)
            return failure_memory(failure);
        mounts->rebuilt = rebuilt;
        mounts->rebuilt_capacity = capacity;
    }
    mounts->rebuilt[mounts->rebuilt_count++] =
        (struct rebuilt_folder){.path = place->parent, .outside = outside, .mode = status.st_mode & 07777};
    return true;
}

bool mounts_add(struct mounts *mounts, const struct mounts_request *request, struct failure *failure)
{
    struct view_place place;
    if (!view_resolve(&mounts->view, request->point.path, &place, failure))
        return false;
    if (place.exists && !place.folder && request->point.kind == VIEW_FOLDER)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the working folder '%s' is a file in the image",
                           request->point.path);
    if (place.exists && place.folder == request->file)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED,
                           place.folder ? "cannot mount a file at '%s', which is a folder in the image"
                                        : "cannot mount a folder at '%s', which is a file in the image",
                           request->point.path);
    if (place.exists && request->point.kind == VIEW_FOLDER)
        return true;
    if (request->point.kind != VIEW_DEVICES && strcmp(place.path, "/dev") == 0) {
        failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED, "mount target '%s': a container has a /dev of its own",
                    request->point.path);
        return failure_hint(failure, "mount what is needed inside it, e.g. /dev/infiniband");
    }
    if (strcmp(place.path, "/") == 0)
        return failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED, "mount target '%s' is the root of the image",
                           request->point.path);
    if (!place.exists && !rebuild_folder(mounts, &place, failure))
        return false;
    struct view_point point = request->point;
    point.path = place.path;
    return view_add(&mounts->view, &point, failure);
}

/* One operation of bubblewrap, to be put into order. */
struct step {
    enum { STEP_POINT, STEP_REBUILD, STEP_CHILD, STEP_LINK } kind;
    unsigned depth;
    size_t order;
    const char *path;
    const char *source;             /* CHILD: what is bound; LINK: its text */
    const struct view_point *point; /* POINT */
    unsigned mode;                  /* REBUILD */
};

struct steps {
    struct step *items;
    size_t count, capacity;
};

static void steps_free(struct steps steps)
{
    free(steps.items);
}
DEFINE_CLEANUP(struct steps, steps_free);

static unsigned path_depth(const char *path)
{
    unsigned depth = 0;
    for (const char *letter = path; *letter != '\0'; letter++)
        depth += *letter == '/' && letter[1] != '\0';
    return depth;
}

static bool add_step(struct steps *steps, struct step step, struct failure *failure)
{
    if (steps->count == steps->capacity) {
        size_t capacity = steps->capacity == 0 ? 64 : steps->capacity * 2;
        struct step *items = realloc(steps->items, capacity * sizeof *items);
        if (items == NULL)
            return failure_memory(failure);
        steps->items = items;
        steps->capacity = capacity;
    }
    step.depth = path_depth(step.path);
    step.order = steps->count;
    steps->items[steps->count++] = step;
    return true;
}

static int compare_steps(const void *one, const void *other)
{
    const struct step *left = one, *right = other;
    if (left->depth != right->depth)
        return left->depth < right->depth ? -1 : 1;
    int order = strcmp(left->path, right->path); /* not the folder's own order, so that equal stages get equal words */
    return order != 0 ? order : left->order < right->order ? -1 : 1;
}

static bool is_covered(const struct mounts *mounts, const char *path)
{
    for (size_t i = 1; i < mounts->view.count; i++)
        if (mounts->view.points[i].kind != VIEW_FOLDER && !mounts->view.points[i].optional &&
            strcmp(mounts->view.points[i].path, path) == 0)
            return true;
    return find_rebuilt(mounts, path) != NULL;
}

static bool add_child(struct mounts *mounts, struct steps *steps, const struct rebuilt_folder *folder, const char *name,
                      struct failure *failure)
{
    struct arguments *texts = mounts->arguments;
    const char *path = arguments_format(texts, "%s/%s", folder->path[1] == '\0' ? "" : folder->path, name);
    if (is_covered(mounts, path))
        return true;
    const char *outside = arguments_format(texts, "%s/%s", folder->outside[1] == '\0' ? "" : folder->outside, name);
    char link[VIEW_PATH_LIMIT];
    ssize_t length = readlink(outside, link, sizeof link);
    if (length == (ssize_t)sizeof link)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s': the symbolic link is too long", outside);
    if (length >= 0)
        return add_step(steps,
                        (struct step){.kind = STEP_LINK,
                                      .path = path,
                                      .source = arguments_format(texts, "%.*s", (int)length, link)},
                        failure);
    return add_step(steps, (struct step){.kind = STEP_CHILD, .path = path, .source = outside}, failure);
}

static void folder_close(DIR *folder)
{
    if (folder != NULL)
        closedir(folder);
}
DEFINE_CLEANUP(DIR *, folder_close);

static bool add_rebuilt(struct mounts *mounts, struct steps *steps, const struct rebuilt_folder *rebuilt,
                        size_t *children, struct failure *failure)
{
    if (!add_step(steps, (struct step){.kind = STEP_REBUILD, .path = rebuilt->path, .mode = rebuilt->mode}, failure))
        return false;
    cleanup(folder_close) DIR *folder = opendir(rebuilt->outside);
    if (folder == NULL)
        return failure_system(failure, "cannot list '%s'", rebuilt->outside);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL)
            break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (++*children > MOUNTS_CHILDREN_LIMIT) {
            failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED,
                        "'%s' has more than %d entries, too many to add a mount point to it", rebuilt->path,
                        MOUNTS_CHILDREN_LIMIT);
            return failure_hint(failure, "make the mount point in the image, or mount somewhere else");
        }
        if (!add_child(mounts, steps, rebuilt, entry->d_name, failure))
            return false;
    }
    return errno == 0 ? true : failure_system(failure, "cannot list '%s'", rebuilt->outside);
}

static const char *bind_word(const struct view_point *point)
{
    if (view_path_within(point->source, "/dev")) /* devices named by the user are meant to work */
        return "--dev-bind";
    if (!point->read_only)
        return "--bind";
    return point->optional ? "--ro-bind-try" : "--ro-bind";
}

static void write_point(struct arguments *arguments, const struct view_point *point)
{
    switch (point->kind) {
    case VIEW_BIND:
        arguments_add(arguments, bind_word(point));
        arguments_add(arguments, point->source);
        break;
    case VIEW_EMPTY:
        if (point->bytes > 0) {
            arguments_add(arguments, "--size");
            arguments_add(arguments, arguments_format(arguments, "%llu", (unsigned long long)point->bytes));
        }
        arguments_add(arguments, "--perms");
        arguments_add(arguments, arguments_format(arguments, "%o", point->mode));
        arguments_add(arguments, "--tmpfs");
        break;
    case VIEW_DEVICES:
        arguments_add(arguments, "--dev");
        break;
    case VIEW_PROCESSES:
        arguments_add(arguments, "--proc");
        break;
    case VIEW_FOLDER:
        arguments_add(arguments, "--dir");
        break;
    }
    arguments_add(arguments, point->path);
}

static void write_step(struct arguments *arguments, const struct step *step)
{
    switch (step->kind) {
    case STEP_POINT:
        write_point(arguments, step->point);
        return;
    case STEP_REBUILD:
        if (strcmp(step->path, "/") != 0) { /* bubblewrap's own root is a tmpfs of mode 0755 */
            arguments_add(arguments, "--perms");
            arguments_add(arguments, arguments_format(arguments, "%o", step->mode));
        }
        arguments_add(arguments, "--tmpfs");
        break;
    case STEP_CHILD:
        arguments_add(arguments, "--ro-bind");
        arguments_add(arguments, step->source);
        break;
    case STEP_LINK:
        arguments_add(arguments, "--symlink");
        arguments_add(arguments, step->source);
        break;
    }
    arguments_add(arguments, step->path);
}

bool mounts_write(struct mounts *mounts, struct failure *failure)
{
    cleanup(steps_free) struct steps steps = {0};
    size_t children = 0;
    for (size_t i = 0; i < mounts->view.count; i++) {
        const struct view_point *point = &mounts->view.points[i];
        /* A rebuilt folder shows all of what would be hidden under it. */
        if (find_rebuilt(mounts, point->path) == NULL &&
            !add_step(&steps, (struct step){.kind = STEP_POINT, .path = point->path, .point = point}, failure))
            return false;
    }
    for (size_t i = 0; i < mounts->rebuilt_count; i++)
        if (!add_rebuilt(mounts, &steps, &mounts->rebuilt[i], &children, failure))
            return false;
    qsort(steps.items, steps.count, sizeof *steps.items, compare_steps);
    for (size_t i = 0; i < steps.count; i++)
        write_step(mounts->arguments, &steps.items[i]);
    for (size_t i = 0; i < mounts->rebuilt_count; i++) {
        arguments_add(mounts->arguments, "--remount-ro");
        arguments_add(mounts->arguments, mounts->rebuilt[i].path);
    }
    return mounts->arguments->failed ? failure_memory(failure) : true;
}
