/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Laying one unpacked layer over an image's root.
 *
 * The layer's tree is walked without following links, and a folder is entered in the root only after it has been made
 * sure to be a real folder there; the paths built here therefore never go through a link.
 */
#include "assemble.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/ownership.h"

#include "layer.h"
#include "tree.h"

#define WHITEOUTS_LIMIT (256u * 1024 * 1024)

static void walk_close(FTS *walk)
{
    if (walk != NULL)
        fts_close(walk);
}
DEFINE_CLEANUP(FTS *, walk_close);

static void stream_close(FILE *stream)
{
    if (stream != NULL)
        fclose(stream);
}
DEFINE_CLEANUP(FILE *, stream_close);

/* The folder at `path`, as long as every component is a real folder; -1 otherwise, which is no failure here. */
static int open_plain(int root, char *path)
{
    int folder = fcntl(root, F_DUPFD_CLOEXEC, 3);
    for (char *part = path; folder >= 0 && *part != '\0';) {
        char *end = part + strcspn(part, "/"), kept = *end;
        *end = '\0';
        int next = openat(folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close(folder);
        folder = next;
        *end = kept;
        part = end + (kept == '/');
    }
    return folder;
}

/* Removes all that is in a folder, which keeps the inode and attributes of the lower layer until it is laid over. */
static bool empty_folder(int folder, struct failure *failure)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d/.", folder);
    char *const roots[] = {path, NULL};
    cleanup(walk_close) FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
    const FTSENT *entry = walk != NULL ? fts_read(walk) : NULL;
    if (entry == NULL)
        return failure_system(failure, "cannot empty a folder");
    for (entry = fts_children(walk, FTS_NAMEONLY); entry != NULL; entry = entry->fts_link)
        if (!tree_remove(folder, entry->fts_name, failure))
            return false;
    return true;
}

static bool apply_whiteout(int root, char kind, char *path, struct failure *failure)
{
    if (kind == 'o') {
        cleanup(descriptor_close) int folder = open_plain(root, path);
        return folder < 0 ? true : empty_folder(folder, failure);
    }
    char *slash = strrchr(path, '/'), *last = slash != NULL ? slash + 1 : path;
    char nothing[1] = "";
    if (slash != NULL)
        *slash = '\0';
    cleanup(descriptor_close) int folder = open_plain(root, slash != NULL ? path : nothing);
    return folder < 0 ? true : tree_remove(folder, last, failure);
}

static bool apply_whiteouts(const char *layer, int root, struct failure *failure)
{
    char name[PATH_MAX], *record = NULL;
    size_t size = 0, total = 0;
    snprintf(name, sizeof name, "%s/%s", layer, LAYER_WHITEOUTS);
    cleanup(stream_close) FILE *stream = fopen(name, "re");
    if (stream == NULL)
        return failure_system(failure, "cannot read '%s'", name);
    bool done = true;
    for (ssize_t length; done && (length = getdelim(&record, &size, '\0', stream)) > 0; total += (size_t)length)
        done = total < WHITEOUTS_LIMIT ? apply_whiteout(root, record[0], record + 1, failure)
                                       : failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is longer than %u bytes",
                                                     name, WHITEOUTS_LIMIT);
    free(record);
    return done;
}

static bool lay_folder(int root, const char *path, const struct stat *status, bool keep_owner, struct failure *failure)
{
    struct stat below;
    bool there = fstatat(root, path, &below, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && !S_ISDIR(below.st_mode) && unlinkat(root, path, 0) != 0)
        return failure_system(failure, "'%s'", path);
    if ((!there || !S_ISDIR(below.st_mode)) && mkdirat(root, path, 0700) != 0)
        return failure_system(failure, "'%s'", path);
    if ((keep_owner && fchownat(root, path, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) != 0) ||
        fchmodat(root, path, status->st_mode & 07777, 0) != 0)
        return failure_system(failure, "'%s'", path);
    return true;
}

static bool copy_file(const char *from, int root, const char *path, const struct stat *status, struct failure *failure)
{
    cleanup(descriptor_close) int source = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    cleanup(descriptor_close) int target = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (source < 0 || target < 0)
        return failure_system(failure, "'%s'", path);
    for (off_t left = status->st_size; left > 0;) {
        ssize_t copied = copy_file_range(source, NULL, target, NULL, (size_t)left, 0);
        if (copied <= 0)
            return failure_system(failure, "cannot copy '%s'", path);
        left -= copied;
    }
    struct timespec times[2] = {status->st_mtim, status->st_mtim};
    if ((geteuid() == 0 && fchown(target, status->st_uid, status->st_gid) != 0) ||
        fchmod(target, status->st_mode & 07777) != 0 || futimens(target, times) != 0)
        return failure_system(failure, "'%s'", path);
    return true;
}

static bool lay_file(const char *from, int root, const char *path, const struct stat *status, struct failure *failure)
{
    if (linkat(AT_FDCWD, from, root, path, 0) == 0)
        return true;
    if (errno == EEXIST) {
        if (!tree_remove(root, path, failure))
            return false;
        if (linkat(AT_FDCWD, from, root, path, 0) == 0)
            return true;
    }
    /* A file system has a largest number of names for one file; an empty file is often the one that reaches it. */
    if (errno == EMLINK && S_ISREG(status->st_mode))
        return copy_file(from, root, path, status, failure);
    return failure_system(failure, "cannot link '%s'", path);
}

bool assemble_layer(const char *layer, const char *root, bool keep_owner, struct failure *failure)
{
    char tree[PATH_MAX];
    snprintf(tree, sizeof tree, "%s/%s", layer, LAYER_TREE);
    cleanup(descriptor_close) int target = open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (target < 0)
        return failure_system(failure, "'%s'", root);
    if (!apply_whiteouts(layer, target, failure))
        return false;
    char *const roots[] = {tree, NULL};
    cleanup(walk_close) FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (walk == NULL)
        return failure_system(failure, "'%s'", tree);
    size_t prefix = strlen(tree);
    for (;;) {
        errno = 0;
        FTSENT *entry = fts_read(walk);
        if (entry == NULL)
            return errno == 0 ? true : failure_system(failure, "'%s'", tree);
        const char *path = entry->fts_path + prefix;
        path = *path == '/' ? path + 1 : ".";
        bool done = true;
        if (entry->fts_info == FTS_D)
            done = lay_folder(target, path, entry->fts_statp, keep_owner, failure);
        else if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS) {
            errno = entry->fts_errno;
            done = failure_system(failure, "'%s'", entry->fts_path);
        } else if (entry->fts_info != FTS_DP)
            done = lay_file(entry->fts_path, target, path, entry->fts_statp, failure);
        if (!done)
            return false;
    }
}

bool assemble_mount_points(const char *root, struct failure *failure)
{
    static const char *const folders[] = {"dev", "proc", "sys", "tmp", "opt", "opt/input", "opt/output", "opt/config"};
    static const char *const files[] = {"resolv.conf", "hosts", "passwd", "group"};
    cleanup(descriptor_close) int target = open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (target < 0)
        return failure_system(failure, "'%s'", root);
    struct stat status;
    /* Where `opt` or `etc` is a link, whatever it leads to stays as it is. */
    bool plain_opt = fstatat(target, "opt", &status, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(status.st_mode);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if ((plain_opt || strncmp(folders[i], "opt/", 4) != 0) && mkdirat(target, folders[i], 0755) != 0 &&
            errno != EEXIST)
            return failure_system(failure, "'%s/%s'", root, folders[i]);
    cleanup(descriptor_close) int etc = openat(target, "etc", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    for (size_t i = 0; etc >= 0 && i < sizeof files / sizeof files[0]; i++) {
        cleanup(descriptor_close) int file =
            openat(etc, files[i], O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (file < 0 && errno != EEXIST)
            return failure_system(failure, "'%s/etc/%s'", root, files[i]);
    }
    return true;
}
