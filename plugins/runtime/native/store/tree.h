/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing a tree of files as an archive tells it, and never outside of its root.
 *
 * How it works: every operation starts at the root's descriptor and goes down one component at a time, never following
 * a symbolic link; only where the archive itself goes through a link it made before does the kernel resolve it
 * (openat2, RESOLVE_IN_ROOT), with the tree's root as the root of the world. The last component is always made anew.
 */
#ifndef NATIVE_STORE_TREE_H
#define NATIVE_STORE_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "registry/failure.h"

#define TREE_PATH_LIMIT 3500 /* leaves room for the store's own path in PATH_MAX */

struct tree {
    int root;        /* borrowed */
    bool keep_owner; /* as root: owners as in the archive */
    int parent;      /* of the last entry, since neighbours come together; -1: none */
    char parent_path[TREE_PATH_LIMIT];
};

void tree_open(struct tree *tree, int root, bool keep_owner);
void tree_close(struct tree *tree);

/* "/a/./b" → "a/b"; "" is the root itself. Refuses "..", which has no business in an archive. */
bool tree_clean_path(const char *name, char clean[TREE_PATH_LIMIT], struct failure *failure);

struct tree_attributes {
    mode_t mode; /* permission bits; set-uid and set-gid are dropped, and the owner may always read */
    uid_t uid;
    gid_t gid;
    struct timespec modified;
};

/* All take clean paths. What was there before is replaced, except a folder by a folder. */
bool tree_add_folder(struct tree *tree, const char *path, const struct tree_attributes *attributes,
                     struct failure *failure);
/* The new, empty file, open for writing, or -1; finish with tree_finish_file. */
int tree_add_file(struct tree *tree, const char *path, struct failure *failure);
bool tree_finish_file(struct tree *tree, int file, const struct tree_attributes *attributes, struct failure *failure);
bool tree_add_link(struct tree *tree, const char *path, const char *text, const struct tree_attributes *attributes,
                   struct failure *failure);
bool tree_add_hard_link(struct tree *tree, const char *path, const char *target, struct failure *failure);
bool tree_add_pipe(struct tree *tree, const char *path, const struct tree_attributes *attributes,
                   struct failure *failure);

/* Removes a file or a whole tree below an open folder (or AT_FDCWD); links are not followed. What is not there is fine.
 */
bool tree_remove(int folder, const char *name, struct failure *failure);

#endif
