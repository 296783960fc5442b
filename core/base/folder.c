/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making, removing and placing whole folders. The trees may come from a stage, so nothing in them is trusted: names are
 * resolved one at a time against open folders, links are never followed, and no depth makes the program recurse.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/path.h"

bool folder_make(const char *path, mode_t mode, struct error *error)
{
    if (mkdir(path, mode) == 0)
        return true;
    struct stat status;
    if (errno == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return true;
    if (errno != ENOENT)
        return error_system(error, "cannot make the folder '%s'", path);
    cleanup(memory_free) char *part = memory_copy_text(path);
    for (char *slash = strchr(part + 1, '/'); *part != '\0'; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        if (mkdir(part, mode) != 0 && errno != EEXIST)
            return error_system(error, "cannot make the folder '%s'", part);
        if (slash == NULL)
            break;
        *slash = '/';
    }
    if (stat(path, &status) != 0)
        return error_system(error, "cannot make the folder '%s'", path);
    return S_ISDIR(status.st_mode) ||
           error_set(error, ERROR_SYSTEM, "cannot make the folder '%s': something else has that name", path);
}

/* True for the root of a mount: a bind mount of the same file system has the same device. */
static bool is_mount(int descriptor)
{
    struct statx status;
    return statx(descriptor, "", AT_EMPTY_PATH, STATX_TYPE, &status) == 0 &&
           (status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0 &&
           (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/* A folder on the way down. `entries` is NULL while it is closed to save descriptors. */
struct level {
    char *name; /* in the level above */
    DIR *entries;
    dev_t device;
    ino_t inode;
};

enum { OPEN_LEVELS = 64 };

struct removal {
    LIST(struct level) levels;
    const char *shown;
    dev_t device;
};

static void level_clear(struct level *level)
{
    free(level->name);
    if (level->entries != NULL)
        closedir(level->entries);
}

static void removal_clear_at(struct removal *removal)
{
    for (size_t i = 0; i < removal->levels.count; i++)
        level_clear(&removal->levels.items[i]);
    list_clear(&removal->levels);
}

/* Opens a folder for emptying. One of ours without the needed rights gets them. -1 with errno. */
static int open_for_removal(int parent, const char *name)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int descriptor = openat(parent, name, flags);
    if (descriptor < 0 && errno == EACCES && fchmodat(parent, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
        descriptor = openat(parent, name, flags);
    struct stat status;
    if (descriptor >= 0 && fstat(descriptor, &status) == 0 && (status.st_mode & 0700) != 0700)
        (void)fchmod(descriptor, 0700); /* when it is not ours the removal fails with its own reason */
    return descriptor;
}

static bool removal_enter(struct removal *removal, int parent, const char *name, struct error *error)
{
    cleanup(descriptor_close) int descriptor = open_for_removal(parent, name);
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status) != 0)
        return error_system(error, "cannot remove '%s': cannot open its folder '%s'", removal->shown, name);
    if (removal->levels.count == 0)
        removal->device = status.st_dev;
    else if (status.st_dev != removal->device || is_mount(descriptor))
        return error_set(error, ERROR_SYSTEM, "cannot remove '%s': something is mounted on '%s' in it", removal->shown,
                         name);
    DIR *entries = fdopendir(descriptor);
    if (entries == NULL)
        return error_system(error, "cannot remove '%s'", removal->shown);
    descriptor = -1;
    if (removal->levels.count >= OPEN_LEVELS) {
        struct level *far = &removal->levels.items[removal->levels.count - OPEN_LEVELS];
        if (far->entries != NULL)
            closedir(steal(&far->entries));
    }
    list_add(&removal->levels, ((struct level){memory_copy_text(name), entries, status.st_dev, status.st_ino}));
    return true;
}

/* Opens the level above the last again, through "..", and makes sure that it is still the same folder. */
static bool removal_reopen(struct removal *removal, struct error *error)
{
    struct level *last = &removal->levels.items[removal->levels.count - 1];
    struct level *above = last - 1;
    cleanup(descriptor_close) int descriptor =
        openat(dirfd(last->entries), "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status) != 0)
        return error_system(error, "cannot remove '%s'", removal->shown);
    if (status.st_dev != above->device || status.st_ino != above->inode)
        return error_set(error, ERROR_SYSTEM, "cannot remove '%s': somebody moves its folders", removal->shown);
    above->entries = fdopendir(descriptor);
    if (above->entries == NULL)
        return error_system(error, "cannot remove '%s'", removal->shown);
    descriptor = -1;
    return true;
}

/* The last level is empty: it goes. `parent` holds the first one. */
static bool removal_leave(struct removal *removal, int parent, struct error *error)
{
    size_t count = removal->levels.count;
    if (count > 1) {
        if (removal->levels.items[count - 2].entries == NULL && !removal_reopen(removal, error))
            return false;
        parent = dirfd(removal->levels.items[count - 2].entries);
    }
    struct level *last = &removal->levels.items[count - 1];
    if (unlinkat(parent, last->name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return error_system(error, "cannot remove the folder '%s' of '%s'", last->name, removal->shown);
    level_clear(last);
    removal->levels.count--;
    return true;
}

static bool removal_run(struct removal *removal, int parent, const char *name, struct error *error)
{
    if (!removal_enter(removal, parent, name, error))
        return false;
    while (removal->levels.count > 0) {
        DIR *entries = removal->levels.items[removal->levels.count - 1].entries;
        errno = 0;
        const struct dirent *entry = readdir(entries);
        if (entry == NULL && errno != 0)
            return error_system(error, "cannot remove '%s'", removal->shown);
        if (entry == NULL) {
            if (!removal_leave(removal, parent, error))
                return false;
            continue;
        }
        if (text_equal(entry->d_name, ".") || text_equal(entry->d_name, ".."))
            continue;
        int folder = dirfd(entries);
        bool is_folder = entry->d_type == DT_DIR;
        if (!is_folder && unlinkat(folder, entry->d_name, 0) != 0 && errno != ENOENT) {
            if (errno != EISDIR && errno != EPERM) /* d_type may be unknown */
                return error_system(error, "cannot remove '%s' of '%s'", entry->d_name, removal->shown);
            is_folder = true;
        }
        if (is_folder && unlinkat(folder, entry->d_name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
            if (errno == ENOTDIR) /* not a folder after all: unlink's reason was the true one */
                return error_set(error, ERROR_SYSTEM, "cannot remove '%s' of '%s': not permitted", entry->d_name,
                                 removal->shown);
            if (!removal_enter(removal, folder, entry->d_name, error))
                return false;
        }
    }
    return true;
}

bool folder_remove(const char *path, struct error *error)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return errno == ENOENT || error_system(error, "cannot remove '%s'", path);
    if (!S_ISDIR(status.st_mode))
        return unlink(path) == 0 || errno == ENOENT || error_system(error, "cannot remove '%s'", path);
    cleanup(memory_free) char *clean = memory_copy_text(path);
    for (size_t length = strlen(clean); length > 1 && clean[length - 1] == '/'; length--)
        clean[length - 1] = '\0';
    cleanup(memory_free) char *above = path_folder(clean);
    cleanup(descriptor_close) int parent = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return error_system(error, "cannot open the folder '%s'", above);
    cleanup(removal_clear) struct removal removal = {.shown = path};
    return removal_run(&removal, parent, path_name(clean), error);
}

/* A pair of folders while a tree is placed. */
struct pair {
    DIR *from;
    int to;
    struct stat status;
    size_t shown_length; /* of the paths in struct placing, to cut them back */
    size_t to_shown_length;
};

struct placing {
    struct pair pairs[FOLDER_DEPTH_LIMIT];
    size_t count;
    struct text from_shown, to_shown;
    unsigned how; /* of enum file_placing */
    enum folder_links links;
};

static void pair_clear(struct pair *pair)
{
    if (pair->from != NULL)
        closedir(pair->from);
    descriptor_close(pair->to);
}

static void placing_free(struct placing *placing)
{
    while (placing->count > 0)
        pair_clear(&placing->pairs[--placing->count]);
    text_clear(&placing->from_shown);
    text_clear(&placing->to_shown);
    free(placing);
}
DEFINE_CLEANUP(struct placing *, placing_free);

static void text_cut(struct text *text, size_t length)
{
    text->length = length;
    text->bytes[length] = '\0';
}

static bool placing_enter(struct placing *placing, int from_folder, const char *from_name, int to_folder,
                          const char *to_name, struct error *error)
{
    const char *shown = text_bytes(&placing->from_shown);
    if (placing->count == FOLDER_DEPTH_LIMIT)
        return error_set(error, ERROR_INPUT, "'%s' lies deeper than %d folders", shown, FOLDER_DEPTH_LIMIT);
    struct pair pair = {
        .to = -1, .shown_length = placing->from_shown.length, .to_shown_length = placing->to_shown.length};
    cleanup(descriptor_close) int from =
        openat(from_folder, from_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0 || fstat(from, &pair.status) != 0)
        return error_system(error, "cannot open the folder '%s'", shown);
    if (mkdirat(to_folder, to_name, 0700) != 0)
        return error_system(error, "cannot make the folder '%s'", text_bytes(&placing->to_shown));
    cleanup(descriptor_close) int to = openat(to_folder, to_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (to < 0)
        return error_system(error, "cannot open the folder '%s'", text_bytes(&placing->to_shown));
    pair.from = fdopendir(from);
    if (pair.from == NULL)
        return error_system(error, "cannot read the folder '%s'", shown);
    pair.to = to;
    from = to = -1;
    placing->pairs[placing->count++] = pair;
    return true;
}

/* Rights and time last: filling the folder needs the right to write and changes the time. */
static bool placing_leave(struct placing *placing, struct error *error)
{
    struct pair *pair = &placing->pairs[placing->count - 1];
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, pair->status.st_mtim};
    if (fchmod(pair->to, pair->status.st_mode & 0777) != 0 || futimens(pair->to, times) != 0)
        return error_system(error, "cannot finish the folder '%s'", text_bytes(&placing->to_shown));
    pair_clear(pair);
    placing->count--;
    return true;
}

/* After leading ".." that stay within `depth` folders only names: each of those is in the tree, or a link that was
 * judged likewise. */
static bool stays_inside(const char *target, size_t depth)
{
    if (*target == '/')
        return false;
    bool named = false;
    for (const char *at = target; *at != '\0';) {
        size_t length = strcspn(at, "/");
        bool up = length == 2 && at[0] == '.' && at[1] == '.';
        if (up && (named || depth == 0))
            return false;
        depth -= up;
        named |= !up && length > 0 && !(length == 1 && at[0] == '.');
        at += length + (at[length] == '/');
    }
    return true;
}

static bool place_link(const struct placing *placing, const struct pair *pair, const char *name, struct error *error)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(dirfd(pair->from), name, target, sizeof target - 1);
    if (length < 0)
        return error_system(error, "cannot read the link '%s'", text_bytes(&placing->from_shown));
    target[length] = '\0';
    if (placing->links == FOLDER_LINKS_INSIDE && !stays_inside(target, placing->count - 1)) {
        errno = EINVAL;
        return error_set(error, ERROR_INPUT, "'%s' is a link to '%s', which may lead out of the folder",
                         text_bytes(&placing->from_shown), target);
    }
    return symlinkat(target, pair->to, name) == 0 ||
           error_system(error, "cannot make the link '%s'", text_bytes(&placing->to_shown));
}

static bool place_entry(struct placing *placing, const char *name, struct error *error)
{
    const struct pair *pair = &placing->pairs[placing->count - 1];
    text_cut(&placing->from_shown, pair->shown_length);
    text_cut(&placing->to_shown, pair->to_shown_length);
    text_format(&placing->from_shown, "/%s", name);
    text_format(&placing->to_shown, "/%s", name);
    struct stat status;
    if (fstatat(dirfd(pair->from), name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return error_system(error, "cannot look at '%s'", text_bytes(&placing->from_shown));
    if (S_ISDIR(status.st_mode))
        return placing_enter(placing, dirfd(pair->from), name, pair->to, name, error);
    if (S_ISLNK(status.st_mode))
        return place_link(placing, pair, name, error);
    struct file_at from = {dirfd(pair->from), name, text_bytes(&placing->from_shown)};
    struct file_at to = {pair->to, name, text_bytes(&placing->to_shown)};
    return file_place_at(from, to, placing->how, NULL, error);
}

static bool place_tree(struct placing *placing, const char *from, int to_folder, const char *to_name,
                       struct error *error)
{
    if (!placing_enter(placing, AT_FDCWD, from, to_folder, to_name, error))
        return false;
    while (placing->count > 0) {
        errno = 0;
        const struct dirent *entry = readdir(placing->pairs[placing->count - 1].from);
        if (entry == NULL && errno != 0)
            return error_system(error, "cannot read the folder '%s'", text_bytes(&placing->from_shown));
        if (entry == NULL) {
            if (!placing_leave(placing, error))
                return false;
        } else if (!text_equal(entry->d_name, ".") && !text_equal(entry->d_name, "..")) {
            if (!place_entry(placing, entry->d_name, error))
                return false;
        }
    }
    return true;
}

/* Puts the complete tree `temporary` under its name; an old one is exchanged for it and then removed. */
static bool put_in_place(const char *temporary, const char *to, struct error *error)
{
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return true;
    if (errno == EEXIST && renameat2(AT_FDCWD, temporary, AT_FDCWD, to, RENAME_EXCHANGE) == 0)
        return folder_remove(temporary, error);
    if (errno != EEXIST && errno != EINVAL && errno != ENOSYS)
        return error_system(error, "cannot put '%s' in place", to);
    /* A file system without these flags: the old one steps aside, which leaves a moment without either. */
    char name[FILE_TEMPORARY_NAME];
    file_temporary_name(name);
    cleanup(memory_free) char *folder = path_folder(to);
    cleanup(memory_free) char *aside = path_join(folder, name);
    bool had_old = rename(to, aside) == 0;
    if (!had_old && errno != ENOENT)
        return error_system(error, "cannot replace '%s'", to);
    if (rename(temporary, to) != 0) {
        error_system(error, "cannot put '%s' in place", to);
        if (had_old)
            (void)rename(aside, to);
        return false;
    }
    return !had_old || folder_remove(aside, error);
}

bool folder_place(const char *from, const char *to, unsigned how, enum folder_links links, struct error *error)
{
    cleanup(memory_free) char *folder = path_folder(to);
    char name[FILE_TEMPORARY_NAME];
    file_temporary_name(name);
    cleanup(memory_free) char *temporary = path_join(folder, name);
    cleanup(placing_free) struct placing *placing = memory_allocate(sizeof *placing);
    placing->how = how;
    placing->links = links;
    text_append(&placing->from_shown, from);
    text_append(&placing->to_shown, to);
    if (place_tree(placing, from, AT_FDCWD, temporary, error) && put_in_place(temporary, to, error))
        return true;
    folder_remove(temporary, NULL);
    return false;
}

void folder_remove_temporaries(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strlen(entry->d_name) != strlen(".descpipe-0123456789abcdef.tmp") ||
            !text_starts_with(entry->d_name, ".descpipe-") || !text_ends_with(entry->d_name, ".tmp"))
            continue;
        cleanup(memory_free) char *left = path_join(path, entry->d_name);
        folder_remove(left, NULL); /* what stays hurts nobody */
    }
    closedir(folder);
}
