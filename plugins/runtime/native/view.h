/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the paths inside a container will mean: the image's root with mounts laid over it. Answers where a mount target
 * really is once the image's own symbolic links are followed, and whether it exists.
 *
 * How it works: a path is walked component by component. Each component is looked up with lstat in whatever shows it
 * (the image or an earlier mount's source), at a path made only of components that were found to be real folders; a
 * symbolic link is replaced by its text and the walk goes on from the container's root. So nothing in a hostile image
 * (`opt -> /etc`, `data -> ../../..`) can lead outside.
 */
#ifndef NATIVE_VIEW_H
#define NATIVE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "registry/failure.h"

#include "arguments.h"

#define VIEW_POINTS_LIMIT 1024
#define VIEW_LINKS_LIMIT 40
#define VIEW_PATH_LIMIT 4096

enum view_kind {
    VIEW_BIND,    /* shows `source` */
    VIEW_EMPTY,   /* an empty folder in memory that ends with the container */
    VIEW_DEVICES, /* a minimal /dev */
    VIEW_PROCESSES,
    VIEW_FOLDER /* only a folder that has to be there */
};

struct view_point {
    enum view_kind kind;
    const char *path;   /* resolved: no symbolic link on the way */
    const char *source; /* BIND only */
    uint64_t bytes;     /* EMPTY: its limit, 0: none */
    unsigned mode;      /* EMPTY: permission bits */
    bool read_only;
    bool optional; /* left out when the source is not there */
};

struct view {
    struct arguments *texts;   /* the memory of every path here */
    struct view_point *points; /* points[0] is the image */
    size_t count, capacity;
};

struct view_place {
    const char *path; /* resolved */
    bool exists;
    bool folder;        /* when it exists */
    const char *parent; /* when it does not exist: the deepest folder on the way that does */
    size_t shown_by;    /* the point that shows the path, or its parent when it does not exist */
};

/* `image` is the absolute real path of the root folder. */
bool view_open(struct view *view, const char *image, struct arguments *texts, struct failure *failure);
void view_clear(struct view *view);
static inline void view_clear_at(struct view *place)
{
    view_clear(place);
}

bool view_resolve(const struct view *view, const char *target, struct view_place *place, struct failure *failure);
bool view_add(struct view *view, const struct view_point *point, struct failure *failure);

/* The path on this machine of a resolved path shown by a BIND. */
const char *view_outside(const struct view *view, const struct view_point *point, const char *path);

/* True when `path` is `folder` or lies below it. */
bool view_path_within(const char *path, const char *folder);

#endif
