/* SPDX-License-Identifier: BSD-3-Clause */
/* Places in an unpacked image to mount at. */
#include "mount_points.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "registry/ownership.h"

/* As the container would resolve it; never outside of the image. */
static int open_inside(int root, const char *path, uint64_t flags)
{
    const struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

bool mount_point_exists(const char *root, const char *target)
{
    cleanup(descriptor_close) int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup(descriptor_close) int there = folder >= 0 ? open_inside(folder, target, O_PATH) : -1;
    return there >= 0;
}

/* The last component, in an open folder. Another stage may be making the same. */
static bool make_last(int parent, const char *name, bool file)
{
    if (!file)
        return mkdirat(parent, name, 0755) == 0 || errno == EEXIST;
    cleanup(descriptor_close) int made = openat(parent, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    return made >= 0;
}

static bool make_missing(int root, char *path, bool file)
{
    for (char *slash = path;; *slash = '/') {
        slash = strchr(slash + 1, '/');
        if (slash != NULL)
            *slash = '\0';
        cleanup(descriptor_close) int there = open_inside(root, path, O_PATH);
        if (there < 0 && errno == ENOENT) {
            char *name = strrchr(path, '/');
            *name = '\0';
            cleanup(descriptor_close) int parent =
                open_inside(root, path[0] != '\0' ? path : "/", O_PATH | O_DIRECTORY);
            *name = '/';
            if (parent < 0 || !make_last(parent, name + 1, file && slash == NULL))
                return false;
        } else if (there < 0) {
            return false;
        }
        if (slash == NULL)
            return true;
    }
}

bool mount_point_make(const char *root, const char *target, bool file, struct failure *failure)
{
    char path[PATH_MAX];
    size_t length = strlen(target);
    while (length > 1 && target[length - 1] == '/')
        length--;
    if (target[0] != '/' || length < 2 || length >= sizeof path)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "cannot mount at '%s'", target);
    memcpy(path, target, length);
    path[length] = '\0';
    if (mount_point_exists(root, path))
        return true;
    cleanup(descriptor_close) int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return failure_system(failure, "image '%s'", root);
    if (make_missing(folder, path, file))
        return true;
    failure_system(failure, "cannot make the mount point '%s' in the image '%s'", target, root);
    return failure_hint(failure, "make it in the image, or mount somewhere else");
}
