/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From mounts to bubblewrap's arguments.
 *
 * How it works: bubblewrap can lay a mount only over something that exists, and would create what is missing in the
 * image itself, which other stages share. So where a target is missing below a folder that must not be written, that
 * folder becomes a small tmpfs in which every child of the original is bound (or, for a link, made again), the missing
 * names can be created, and which turns read-only once all mounts are there. Everything is written out by depth, so a
 * mount always lies over its parents.
 */
#ifndef NATIVE_MOUNTS_H
#define NATIVE_MOUNTS_H

#include "view.h"

#define MOUNTS_CHILDREN_LIMIT 2048 /* bound again in one container; more would not fit into an argv */

struct mounts {
    struct view view;
    struct arguments *arguments;
    struct rebuilt_folder {
        const char *path;
        const char *outside; /* the folder on this machine whose children it shows */
        unsigned mode;
    } * rebuilt;
    size_t rebuilt_count, rebuilt_capacity;
};

bool mounts_open(struct mounts *mounts, const char *image, struct arguments *arguments, struct failure *failure);
void mounts_clear(struct mounts *mounts);
static inline void mounts_clear_at(struct mounts *place)
{
    mounts_clear(place);
}

struct mounts_request {
    struct view_point point; /* `path` is the target as the user wrote it; parents before children */
    bool file;               /* the source is one file */
};
bool mounts_add(struct mounts *mounts, const struct mounts_request *request, struct failure *failure);

/* Adds the words to the arguments. */
bool mounts_write(struct mounts *mounts, struct failure *failure);

#endif
