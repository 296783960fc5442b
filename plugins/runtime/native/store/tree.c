/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing a tree of files as an archive tells it, and never outside of its root. */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "registry/ownership.h"

void tree_open(struct tree *tree, int root, bool keep_owner)
{
    tree->root = root;
    tree->keep_owner = keep_owner;
    tree->parent = -1;
    tree->parent_path[0] = '\0';
}

static void forget_parent(struct tree *tree)
{
    descriptor_close(tree->parent);
    tree->parent = -1;
}

void tree_close(struct tree *tree)
{
    forget_parent(tree);
}

bool tree_clean_path(const char *name, char clean[TREE_PATH_LIMIT], struct failure *failure)
{
    size_t length = 0;
    for (const char *part = name; *part != '\0';) {
        size_t size = strcspn(part, "/");
        if (size == 2 && part[0] == '.' && part[1] == '.')
            return failure_set(failure, DESCPIPE_FAILED_REFUSED, "entry '%.200s' leads outside of the layer", name);
        if (size > 255 || length + size + 2 > TREE_PATH_LIMIT)
            return failure_set(failure, DESCPIPE_FAILED_REFUSED, "entry '%.200s...' has a name that is too long", name);
        if (size > 0 && !(size == 1 && part[0] == '.')) {
            if (length > 0)
                clean[length++] = '/';
            memcpy(clean + length, part, size);
            length += size;
        }
        part += size + (part[size] == '/');
    }
    clean[length] = '\0';
    return true;
}

/* The folder that a link inside the tree stands for, with the tree's root as "/". */
static int open_through_link(const struct tree *tree, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
    return (int)syscall(SYS_openat2, tree->root, path, &how, sizeof how);
}

/* One step down from `folder`; makes what is missing. `path` is the whole way to `name`, for links. */
static int enter_folder(const struct tree *tree, int folder, const char *name, const char *path, bool make,
                        struct failure *failure)
{
    int next = openat(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0 && errno == ENOENT && make) {
        if (mkdirat(folder, name, 0755) == 0 || errno == EEXIST)
            next = openat(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (next < 0 && (errno == ELOOP || errno == ENOTDIR)) {
        struct stat status;
        if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
            next = open_through_link(tree, path);
    }
    if (next < 0)
        failure_system(failure, "entry '%.200s': cannot go into it", path);
    return next;
}

/* The folder that holds the path's last component; borrowed from the tree. */
static int open_parent(struct tree *tree, const char *path, const char **last, bool make, struct failure *failure)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash != NULL ? (size_t)(slash - path) : 0;
    *last = slash != NULL ? slash + 1 : path;
    if (length == 0)
        return tree->root;
    if (tree->parent >= 0 && strlen(tree->parent_path) == length && strncmp(tree->parent_path, path, length) == 0)
        return tree->parent;
    forget_parent(tree);
    memcpy(tree->parent_path, path, length);
    tree->parent_path[length] = '\0';
    int folder = tree->root;
    for (char *part = tree->parent_path; part != NULL;) {
        char *end = strchr(part, '/');
        if (end != NULL)
            *end = '\0';
        int next = enter_folder(tree, folder, part, tree->parent_path, make, failure);
        if (folder != tree->root)
            close(folder);
        if (next < 0)
            return -1;
        folder = next;
        if (end != NULL)
            *end = '/';
        part = end != NULL ? end + 1 : NULL;
    }
    return tree->parent = folder;
}

/* Makes room for a new entry. */
static bool clear_place(struct tree *tree, int parent, const char *last, struct failure *failure)
{
    bool removed = unlinkat(parent, last, 0) == 0;
    if (!removed && errno == ENOENT)
        return true;
    if (parent != tree->parent)
        forget_parent(tree); /* its path may have gone through what goes now */
    if (removed)
        return true;
    return tree_remove(parent, last, failure);
}

static mode_t safe_mode(mode_t mode, mode_t least)
{
    return (mode & 0777) | least;
}

static struct timespec safe_time(struct timespec time)
{
    bool valid = time.tv_nsec >= 0 && time.tv_nsec < 1000000000;
    return valid ? time : (struct timespec){.tv_sec = time.tv_sec};
}

static bool set_attributes(const struct tree *tree, int parent, const char *last,
                           const struct tree_attributes *attributes, struct failure *failure)
{
    struct timespec times[2] = {safe_time(attributes->modified), safe_time(attributes->modified)};
    if (tree->keep_owner && fchownat(parent, last, attributes->uid, attributes->gid, AT_SYMLINK_NOFOLLOW) != 0)
        return failure_system(failure, "entry '%.200s': cannot set the owner", last);
    utimensat(parent, last, times, AT_SYMLINK_NOFOLLOW); /* a time the file system cannot hold is no reason to stop */
    return true;
}

bool tree_add_folder(struct tree *tree, const char *path, const struct tree_attributes *attributes,
                     struct failure *failure)
{
    const char *last;
    int parent = open_parent(tree, path, &last, true, failure);
    if (parent < 0)
        return false;
    if (*last == '\0') /* the root itself: its mode alone */
        return fchmod(tree->root, safe_mode(attributes->mode, 0700)) == 0 ? true
                                                                          : failure_system(failure, "the layer's root");
    struct stat status;
    bool there = fstatat(parent, last, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && !S_ISDIR(status.st_mode) && !clear_place(tree, parent, last, failure))
        return false;
    if ((!there || !S_ISDIR(status.st_mode)) && mkdirat(parent, last, 0700) != 0)
        return failure_system(failure, "entry '%.200s'", path);
    /* It is a folder and no link, made or seen by us in a tree that nobody else writes. */
    if (fchmodat(parent, last, safe_mode(attributes->mode, 0700) | (attributes->mode & S_ISVTX), 0) != 0)
        return failure_system(failure, "entry '%.200s'", path);
    return set_attributes(tree, parent, last, attributes, failure);
}

int tree_add_file(struct tree *tree, const char *path, struct failure *failure)
{
    const char *last;
    int parent = open_parent(tree, path, &last, true, failure);
    if (parent < 0 || !clear_place(tree, parent, last, failure))
        return -1;
    int file = openat(parent, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        failure_system(failure, "entry '%.200s'", path);
    return file;
}

bool tree_finish_file(struct tree *tree, int file, const struct tree_attributes *attributes, struct failure *failure)
{
    struct timespec times[2] = {safe_time(attributes->modified), safe_time(attributes->modified)};
    if (tree->keep_owner && fchown(file, attributes->uid, attributes->gid) != 0)
        return failure_system(failure, "cannot set the owner of a file");
    if (fchmod(file, safe_mode(attributes->mode, 0400)) != 0)
        return failure_system(failure, "cannot set the mode of a file");
    futimens(file, times);
    return true;
}

bool tree_add_link(struct tree *tree, const char *path, const char *text, const struct tree_attributes *attributes,
                   struct failure *failure)
{
    const char *last;
    int parent = open_parent(tree, path, &last, true, failure);
    if (parent < 0 || !clear_place(tree, parent, last, failure))
        return false;
    if (symlinkat(text, parent, last) != 0)
        return failure_system(failure, "entry '%.200s'", path);
    return set_attributes(tree, parent, last, attributes, failure);
}

bool tree_add_hard_link(struct tree *tree, const char *path, const char *target, struct failure *failure)
{
    const char *target_last, *last;
    int target_parent = open_parent(tree, target, &target_last, false, failure);
    if (target_parent < 0)
        return false;
    cleanup(descriptor_close) int from = fcntl(target_parent, F_DUPFD_CLOEXEC, 3);
    int parent = open_parent(tree, path, &last, true, failure);
    if (from < 0 || parent < 0)
        return from < 0 ? failure_system(failure, "entry '%.200s'", path) : false;
    struct stat target_status, status;
    if (fstatat(from, target_last, &target_status, AT_SYMLINK_NOFOLLOW) != 0)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED,
                           "entry '%.200s' is a hard link to '%.200s', which the layer does not hold", path, target);
    if (S_ISDIR(target_status.st_mode))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "entry '%.200s' is a hard link to a folder", path);
    if (fstatat(parent, last, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_ino == target_status.st_ino)
        return true; /* to itself */
    if (!clear_place(tree, parent, last, failure))
        return false;
    return linkat(from, target_last, parent, last, 0) == 0 ? true : failure_system(failure, "entry '%.200s'", path);
}

bool tree_add_pipe(struct tree *tree, const char *path, const struct tree_attributes *attributes,
                   struct failure *failure)
{
    const char *last;
    int parent = open_parent(tree, path, &last, true, failure);
    if (parent < 0 || !clear_place(tree, parent, last, failure))
        return false;
    if (mkfifoat(parent, last, safe_mode(attributes->mode, 0600)) != 0)
        return failure_system(failure, "entry '%.200s'", path);
    return set_attributes(tree, parent, last, attributes, failure);
}

static void walk_close(FTS *walk)
{
    if (walk != NULL)
        fts_close(walk);
}
DEFINE_CLEANUP(FTS *, walk_close);

bool tree_remove(int folder, const char *name, struct failure *failure)
{
    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
        return true;
    char path[TREE_PATH_LIMIT + 64];
    if (folder == AT_FDCWD)
        snprintf(path, sizeof path, "%s", name);
    else
        snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder, name);
    char *const roots[] = {path, NULL};
    cleanup(walk_close) FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
    if (walk == NULL)
        return failure_system(failure, "cannot remove '%.200s'", name);
    for (const FTSENT *entry; (entry = fts_read(walk)) != NULL;) {
        int result = 0;
        if (entry->fts_info == FTS_D)
            chmod(entry->fts_path, 0700); /* what an earlier crash left may not be open to its owner yet */
        else if (entry->fts_info == FTS_DP || entry->fts_info == FTS_DNR)
            result = rmdir(entry->fts_path);
        else
            result = unlink(entry->fts_path);
        if (result != 0 && errno != ENOENT)
            return failure_system(failure, "cannot remove '%.200s'", name);
    }
    return true;
}
