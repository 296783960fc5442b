/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounded reads, atomic writes, and placing a finished file under its final name. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/path.h"
#include "base/witness.h"

void descriptor_close(int descriptor)
{
    if (descriptor < 0)
        return;
    int kept = errno;
    close(descriptor);
    errno = kept;
}

static const char *kind_name(mode_t mode)
{
    if (S_ISDIR(mode))
        return "a folder";
    if (S_ISLNK(mode))
        return "a symbolic link";
    if (S_ISFIFO(mode))
        return "a FIFO";
    if (S_ISSOCK(mode))
        return "a socket";
    return "a device";
}

static int open_regular(struct file_at from, int flags, struct stat *status, struct error *error)
{
    if (from.folder == AT_FDCWD)
        witness_saw(from.name);
    /* O_NONBLOCK: a FIFO without a writer must not hold us; it changes nothing for regular files. */
    cleanup(descriptor_close) int descriptor =
        openat(from.folder, from.name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (descriptor < 0) {
        if (errno == ELOOP && (flags & O_NOFOLLOW))
            error_set(error, ERROR_INPUT, "'%s' is a symbolic link, not a regular file", from.shown);
        else if (errno == ENXIO)
            error_set(error, ERROR_INPUT, "'%s' is a socket or device, not a regular file", from.shown);
        else
            error_system(error, "cannot open '%s'", from.shown);
        return -1;
    }
    struct stat own;
    if (status == NULL)
        status = &own;
    if (fstat(descriptor, status) != 0) {
        error_system(error, "cannot look at '%s'", from.shown);
        return -1;
    }
    if (!S_ISREG(status->st_mode)) {
        error_set(error, ERROR_INPUT, "'%s' is %s, not a regular file", from.shown, kind_name(status->st_mode));
        return -1;
    }
    int result = descriptor;
    descriptor = -1;
    return result;
}

int file_open(const char *path, struct stat *status, struct error *error)
{
    return open_regular((struct file_at){AT_FDCWD, path, path}, 0, status, error);
}

static bool refuse_larger(const char *path, uint64_t limit, struct error *error)
{
    cleanup(text_clear) struct text amount = TEXT_INIT;
    bytes_append(&amount, limit);
    return error_set(error, ERROR_INPUT, "'%s' is larger than the limit of %s", path, text_bytes(&amount));
}

bool file_read(const char *path, uint64_t limit, struct text *into, struct error *error)
{
    struct stat status;
    cleanup(descriptor_close) int descriptor = file_open(path, &status, error);
    if (descriptor < 0)
        return false;
    if ((uint64_t)status.st_size > limit)
        return refuse_larger(path, limit, error);
    size_t before = into->length;
    size_t wanted = (size_t)status.st_size + 1; /* one more than there should be: sees the end in one read */
    for (;;) {
        text_reserve(into, wanted);
        ssize_t got = read(descriptor, into->bytes + into->length, wanted);
        if (got < 0 && errno == EINTR)
            continue;
        if (got > 0) {
            into->length += (size_t)got;
            into->bytes[into->length] = '\0';
        }
        bool larger = into->length - before > limit;
        if (got < 0 || larger) {
            if (larger)
                refuse_larger(path, limit, error);
            else
                error_system(error, "cannot read '%s'", path);
            into->length = before;
            into->bytes[before] = '\0';
            return false;
        }
        if (got == 0)
            return true;
        wanted = 65536; /* it grows, or is one of /proc that has no size */
    }
}

bool descriptor_write(int descriptor, const void *bytes, size_t length, struct error *error)
{
    const char *place = bytes;
    while (length > 0) {
        ssize_t written = write(descriptor, place, length);
        if (written >= 0) {
            place += written;
            length -= (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = descriptor, .events = POLLOUT};
            poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            return error_system(error, "cannot write");
        }
    }
    return true;
}

void file_temporary_name(char name[FILE_TEMPORARY_NAME])
{
    uint64_t number;
    random_bytes(&number, sizeof number);
    snprintf(name, FILE_TEMPORARY_NAME, ".descpipe-%016llx.tmp", (unsigned long long)number);
}

static bool sync_descriptor(int descriptor)
{
    /* EINVAL, ENOTSUP: file systems that have no idea of it, for folders above all. */
    return fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP;
}

static int open_folder_of(const char *path, struct error *error)
{
    cleanup(memory_free) char *folder = path_folder(path);
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        error_system(error, "cannot open the folder '%s'", folder);
    return descriptor;
}

bool folder_sync(const char *path, struct error *error)
{
    cleanup(descriptor_close) int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return error_system(error, "cannot open the folder '%s'", path);
    return sync_descriptor(folder) || error_system(error, "cannot sync the folder '%s'", path);
}

struct content {
    const void *bytes;
    size_t length;
    bool synced;
    struct file_pieces pieces; /* `next` not NULL: they follow */
};

static bool write_pieces(int descriptor, struct file_pieces pieces, struct error *error)
{
    cleanup(text_clear) struct text piece = TEXT_INIT;
    while (pieces.next(pieces.context, &piece)) {
        if (!descriptor_write(descriptor, text_bytes(&piece), piece.length, error))
            return false;
        text_reset(&piece);
    }
    return true;
}

static bool write_content(int descriptor, struct content content, struct error *error)
{
    if (!descriptor_write(descriptor, content.bytes, content.length, error) ||
        (content.pieces.next != NULL && !write_pieces(descriptor, content.pieces, error)))
        return false;
    return !content.synced || sync_descriptor(descriptor) || error_system(error, "cannot sync");
}

/* A file that gets its name when it is whole, where the file system can: of who is killed before, nothing is left. */
struct new_file {
    int folder, descriptor;
    char itself[32];                /* how linkat names it; "": it has a temporary name */
    char name[FILE_TEMPORARY_NAME]; /* which is this, and is used too where it takes another file's place */
};

static bool new_file_open(struct new_file *file, mode_t mode, struct error *error)
{
    file_temporary_name(file->name);
    file->descriptor = openat(file->folder, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
    if (file->descriptor >= 0) {
        snprintf(file->itself, sizeof file->itself, "/proc/self/fd/%d", file->descriptor);
        if (access(file->itself, F_OK) == 0)
            return true;
        close(file->descriptor); /* no /proc here */
        file->itself[0] = '\0';
    }
    file->descriptor = openat(file->folder, file->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    return file->descriptor >= 0 || error_system(error, "cannot make a temporary file");
}

static bool new_file_call(struct new_file *file, const char *name, struct error *error)
{
    if (file->itself[0] != '\0') {
        if (linkat(AT_FDCWD, file->itself, file->folder, name, AT_SYMLINK_FOLLOW) == 0)
            return true;
        if (errno != EEXIST || linkat(AT_FDCWD, file->itself, file->folder, file->name, AT_SYMLINK_FOLLOW) != 0)
            return error_system(error, "cannot link");
    }
    return renameat(file->folder, file->name, file->folder, name) == 0 || error_system(error, "cannot rename");
}

static bool write_in_place(const char *path, struct content content, mode_t mode, struct error *error)
{
    cleanup(descriptor_close) int folder = open_folder_of(path, error);
    if (folder < 0)
        return error_wrap(error, "cannot write '%s'", path);
    struct new_file file = {.folder = folder};
    bool done = new_file_open(&file, mode, error) && write_content(file.descriptor, content, error) &&
                new_file_call(&file, path_name(path), error);
    descriptor_close(file.descriptor);
    if (!done) {
        unlinkat(folder, file.name, 0);
        return error_wrap(error, "cannot write '%s'", path);
    }
    return !content.synced || sync_descriptor(folder) || error_system(error, "cannot sync the folder of '%s'", path);
}

bool file_write(const char *path, const void *bytes, size_t length, mode_t mode, struct error *error)
{
    return write_in_place(path, (struct content){.bytes = bytes, .length = length, .synced = true}, mode, error);
}

bool file_write_unsynced(const char *path, const void *bytes, size_t length, mode_t mode, struct error *error)
{
    return write_in_place(path, (struct content){.bytes = bytes, .length = length}, mode, error);
}

bool file_write_pieces(const char *path, struct file_pieces pieces, mode_t mode, struct error *error)
{
    return write_in_place(path, (struct content){.synced = true, .pieces = pieces}, mode, error);
}

bool file_exists(const char *path)
{
    witness_saw(path);
    return access(path, F_OK) == 0;
}

/* The name itself is linked, so what it names must be looked at again: it may have been exchanged meanwhile. */
static bool link_to(struct file_at from, struct file_at to, const char *name, const struct stat *status)
{
    /* Set-id bits must not come along, and they cannot be taken off a link alone. */
    if ((status->st_mode & 07000) != 0 || linkat(from.folder, from.name, to.folder, name, 0) != 0)
        return false;
    struct stat linked;
    if (fstatat(to.folder, name, &linked, AT_SYMLINK_NOFOLLOW) == 0 && linked.st_dev == status->st_dev &&
        linked.st_ino == status->st_ino)
        return true;
    unlinkat(to.folder, name, 0);
    return false;
}

static bool copy_bytes(int from, int to)
{
    for (;;) {
        ssize_t copied = copy_file_range(from, NULL, to, NULL, (size_t)1 << 30, 0);
        if (copied < 0 && errno == EINTR)
            continue;
        if (copied <= 0)
            break; /* the end, or not possible here: reading on from where we are settles it */
    }
    enum { PIECE = 128 * 1024 };
    cleanup(memory_free) char *piece = memory_resize(NULL, PIECE);
    for (;;) {
        ssize_t got = read(from, piece, PIECE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        if (!descriptor_write(to, piece, (size_t)got, NULL))
            return false;
    }
}

static bool copy_to(int from, struct file_at to_file, const struct stat *status, bool synced, const char **how)
{
    cleanup(descriptor_close) int to =
        openat(to_file.folder, to_file.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return false;
    *how = "reflink";
    if (ioctl(to, FICLONE, from) != 0) {
        *how = "copy";
        if (!copy_bytes(from, to))
            return false;
    }
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, status->st_mtim};
    return fchmod(to, status->st_mode & 0777) == 0 && futimens(to, times) == 0 && (!synced || sync_descriptor(to));
}

bool file_place_at(struct file_at from, struct file_at to, unsigned placing, const char **how, struct error *error)
{
    struct stat status;
    cleanup(descriptor_close) int source = open_regular(from, O_NOFOLLOW, &status, error);
    if (source < 0)
        return false;
    char name[FILE_TEMPORARY_NAME];
    file_temporary_name(name);
    const char *done_by = "link";
    bool linked = (placing & FILE_MAY_LINK) != 0 && link_to(from, to, name, &status);
    struct file_at temporary = {to.folder, name, to.shown};
    if (!linked && !copy_to(source, temporary, &status, (placing & FILE_SYNCED) != 0, &done_by)) {
        error_system(error, "cannot copy '%s' to '%s'", from.shown, to.shown);
        unlinkat(to.folder, name, 0);
        return false;
    }
    bool renamed = renameat(to.folder, name, to.folder, to.name) == 0;
    if (!renamed)
        error_system(error, "cannot put '%s' in place", to.shown);
    unlinkat(to.folder, name, 0); /* also when it went well: renaming one link of a file onto another leaves both */
    if (renamed && how != NULL)
        *how = done_by;
    return renamed;
}

bool file_place(const char *from, const char *to, unsigned placing, const char **how, struct error *error)
{
    cleanup(descriptor_close) int folder = open_folder_of(to, error);
    if (folder < 0)
        return false;
    return file_place_at((struct file_at){AT_FDCWD, from, from}, (struct file_at){folder, path_name(to), to}, placing,
                         how, error);
}
