/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Digests of files and folders.
 *
 * How it works: a file is known by device, inode, size and time of change to the nanosecond. A file that was changed
 * within the last RACY_MS may be changed once more without its time moving on, so what is learnt of it holds for this
 * process alone. A folder is walked without recursion, its entries sorted by their path, so that its digest does not
 * hang on the order in which the file system tells them.
 */
#include "cache/file_digest.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/list.h"
#include "base/path.h"
#include "base/text.h"

#define RACY_MS 2000
#define ENTRIES_LIMIT 10000000
#define NS_PER_MS INT64_C(1000000)

struct entry {
    char *path; /* below the folder */
    struct stat status;
};
struct tree {
    const char *folder;
    LIST(struct entry) entries;
};

static void tree_clear(struct tree *tree)
{
    for (size_t i = 0; i < tree->entries.count; i++)
        memory_free(tree->entries.items[i].path);
    list_clear(&tree->entries);
}
static inline void tree_clear_at(struct tree *tree)
{
    tree_clear(tree);
}

static int compare_entries(const void *left, const void *right)
{
    return strcmp(((const struct entry *)left)->path, ((const struct entry *)right)->path);
}

static bool add_entry(struct tree *tree, const char *below, const char *name, struct error *error)
{
    cleanup(memory_free) char *path = below[0] == '\0' ? memory_copy_text(name) : path_join(below, name);
    cleanup(memory_free) char *whole = path_join(tree->folder, path);
    struct entry entry = {.path = NULL};
    if (lstat(whole, &entry.status) != 0)
        return error_system(error, "cannot look at '%s'", whole);
    if (tree->entries.count >= ENTRIES_LIMIT)
        return error_set(error, ERROR_SYSTEM, "the folder '%s' has more than %d files", tree->folder, ENTRIES_LIMIT);
    entry.path = steal(&path);
    list_add(&tree->entries, entry);
    return true;
}

static bool list_folder(struct tree *tree, const char *below, struct error *error)
{
    cleanup(memory_free) char *whole = path_join(tree->folder, below);
    DIR *folder = opendir(below[0] == '\0' ? tree->folder : whole);
    if (folder == NULL)
        return error_system(error, "cannot read the folder '%s'", whole);
    bool good = true;
    for (const struct dirent *entry; good && (entry = readdir(folder)) != NULL;)
        if (!text_equal(entry->d_name, ".") && !text_equal(entry->d_name, ".."))
            good = add_entry(tree, below, entry->d_name, error);
    closedir(folder);
    return good;
}

/* Each folder is listed when its turn in the list comes; what it holds is added behind. */
static bool tree_list(struct tree *tree, struct error *error)
{
    if (!list_folder(tree, "", error))
        return false;
    for (size_t i = 0; i < tree->entries.count; i++) {
        if (!S_ISDIR(tree->entries.items[i].status.st_mode))
            continue;
        cleanup(memory_free) char *below = memory_copy_text(tree->entries.items[i].path); /* the list may move */
        if (!list_folder(tree, below, error))
            return false;
    }
    if (tree->entries.count > 1)
        qsort(tree->entries.items, tree->entries.count, sizeof *tree->entries.items, compare_entries);
    return true;
}

static void add_part(struct digest *digest, const char *kind, const char *path, const char *content)
{
    digest_add(digest, kind, strlen(kind) + 1);
    digest_add(digest, path, strlen(path) + 1);
    digest_add(digest, content, strlen(content) + 1);
}

bool file_digest_known(struct cache_store *store, const char *path, struct file_stamp *stamp, bool *is_folder,
                       char sha256[DIGEST_TEXT])
{
    struct stat status;
    if (stat(path, &status) != 0)
        return errno == ENOENT && cache_store_gone(store, path, sha256);
    *stamp = file_stamp_of(&status);
    *is_folder = S_ISDIR(status.st_mode);
    return cache_store_digest(store, stamp, sha256);
}

static bool is_known(struct cache_store *store, const struct file_stamp *stamp, char sha256[DIGEST_TEXT])
{
    return store != NULL && cache_store_digest(store, stamp, sha256);
}

static bool read_file(struct cache_store *store, const char *path, const struct file_stamp *stamp, bool fresh,
                      char sha256[DIGEST_TEXT], struct error *error)
{
    struct stat after;
    if (!digest_of_file(path, sha256, error))
        return false;
    if (stat(path, &after) != 0)
        return error_system(error, "cannot look at '%s'", path);
    const struct file_stamp now = file_stamp_of(&after);
    if (!file_stamp_equal(stamp, &now))
        return error_set(error, ERROR_SYSTEM, "'%s' changed while it was read", path);
    if (store == NULL)
        return true;
    bool settled = fresh || stamp->modified_ns / NS_PER_MS < clock_wall_ms() - RACY_MS;
    cache_store_keep_digest(store, stamp, sha256, settled);
    return true;
}

static bool add_tree_entry(struct cache_store *store, struct digest *digest, const char *folder,
                           const struct entry *entry, bool fresh, struct error *error)
{
    cleanup(memory_free) char *path = path_join(folder, entry->path);
    if (S_ISDIR(entry->status.st_mode)) {
        add_part(digest, "folder", entry->path, "");
    } else if (S_ISLNK(entry->status.st_mode)) {
        char target[PATH_MAX + 1];
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length < 0)
            return error_system(error, "cannot read the link '%s'", path);
        target[length] = '\0';
        add_part(digest, "link", entry->path, target);
    } else if (S_ISREG(entry->status.st_mode)) {
        char sha256[DIGEST_TEXT];
        const struct file_stamp stamp = file_stamp_of(&entry->status);
        if (!is_known(store, &stamp, sha256) && !read_file(store, path, &stamp, fresh, sha256, error))
            return false;
        add_part(digest, "file", entry->path, sha256);
    } else {
        return error_set(error, ERROR_INPUT, "'%s' is neither a file, a folder nor a link", path);
    }
    return true;
}

static bool read_tree(struct cache_store *store, const char *path, bool fresh, char sha256[DIGEST_TEXT],
                      struct error *error)
{
    cleanup(tree_clear) struct tree tree = {.folder = path};
    cleanup(digest_free) struct digest *digest = digest_new();
    uint8_t result[DIGEST_BYTES];
    if (!tree_list(&tree, error))
        return false;
    for (size_t i = 0; i < tree.entries.count; i++)
        if (!add_tree_entry(store, digest, path, &tree.entries.items[i], fresh, error))
            return false;
    digest_end(digest, result);
    digest_to_text(result, sha256);
    return true;
}

bool file_digest(struct cache_store *store, const char *path, bool fresh, char sha256[DIGEST_TEXT], struct error *error)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return error_system(error, "cannot look at '%s'", path);
    const struct file_stamp stamp = file_stamp_of(&status);
    if (!S_ISDIR(status.st_mode))
        return is_known(store, &stamp, sha256) || read_file(store, path, &stamp, fresh, sha256, error);
    if (!read_tree(store, path, fresh, sha256, error))
        return false;
    if (store != NULL)
        cache_store_keep_digest(store, &stamp, sha256, false);
    return true;
}

/* A number that is another one when a name, size or time in the folder is. */
static bool look_at_tree(const char *path, uint64_t *bytes, int64_t *modified_ns, struct error *error)
{
    cleanup(tree_clear) struct tree tree = {.folder = path};
    cleanup(digest_free) struct digest *digest = digest_new();
    uint8_t result[DIGEST_BYTES];
    if (!tree_list(&tree, error))
        return false;
    *bytes = 0;
    for (size_t i = 0; i < tree.entries.count; i++) {
        const struct entry *entry = &tree.entries.items[i];
        struct file_stamp stamp = file_stamp_of(&entry->status);
        bool is_file = S_ISREG(entry->status.st_mode);
        digest_add(digest, entry->path, strlen(entry->path) + 1);
        digest_add(digest, &stamp.bytes, is_file ? sizeof stamp.bytes : 0);
        digest_add(digest, &stamp.modified_ns, is_file ? sizeof stamp.modified_ns : 0);
        *bytes += is_file ? stamp.bytes : 0;
    }
    digest_end(digest, result);
    uint64_t number;
    memcpy(&number, result, sizeof number);
    *modified_ns = (int64_t)(number >> 1);
    return true;
}

bool file_digest_look(const char *path, uint64_t *bytes, int64_t *modified_ns, struct error *error)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return error_system(error, "cannot look at '%s'", path);
    if (S_ISDIR(status.st_mode))
        return look_at_tree(path, bytes, modified_ns, error);
    if (!S_ISREG(status.st_mode))
        return error_set(error, ERROR_INPUT, "'%s' is neither a file nor a folder", path);
    const struct file_stamp stamp = file_stamp_of(&status);
    *bytes = stamp.bytes;
    *modified_ns = stamp.modified_ns;
    return true;
}
