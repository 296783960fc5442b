/* SPDX-License-Identifier: BSD-3-Clause */
/* Folders of developers' containers; box.h tells how. */
#include "tool/box.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "registry/ownership.h"

#include "store/tree.h"

#define ENTRIES_LIMIT ((size_t)20 * 1000 * 1000)
#define TOKEN_LIMIT 64
#define LISTING "listing"

static bool is_token(const char *token)
{
    size_t length = strlen(token);
    return length > 0 && length <= TOKEN_LIMIT && token[0] != '-' &&
           strspn(token, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

char *box_path(const char *cache, const char *token, const char *name, struct failure *failure)
{
    char *path = NULL;
    if (!is_token(token)) {
        failure_set(failure, DESCPIPE_FAILED_NOT_FOUND, "there is no container '%s'", token);
        return NULL;
    }
    if (asprintf(&path, "%s/developers/%s%s%s", cache, token, name != NULL ? "/" : "", name != NULL ? name : "") >= 0)
        return path;
    failure_memory(failure);
    return NULL;
}

bool box_make(const char *cache, const char *token, struct failure *failure)
{
    cleanup(memory_free) char *path = box_path(cache, token, NULL, failure);
    if (path == NULL)
        return false;
    char *last = strrchr(path, '/');
    *last = '\0';
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return failure_system(failure, "cannot make '%s'", path);
    *last = '/';
    return mkdir(path, 0700) == 0 || failure_system(failure, "cannot make '%s'", path);
}

static int open_in_root(int root, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                           .resolve = (uint64_t)(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)};
    if ((flags & O_CREAT) != 0)
        how.mode = 0644;
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static int open_root(const char *box, struct failure *failure)
{
    cleanup(memory_free) char *path = NULL;
    if (asprintf(&path, "%s/" BOX_ROOT, box) < 0) {
        path = NULL;
        failure_memory(failure);
        return -1;
    }
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        failure_system(failure, "'%s'", path);
        if (errno == ENOENT)
            failure->kind = DESCPIPE_FAILED_NOT_FOUND;
    }
    return root;
}

/* The parts of a path, one after the other, each made where it is missing. */
static bool make_parts(int root, char *path, bool file, struct failure *failure)
{
    for (char *at = path + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        bool last = *at == '\0';
        *at = '\0';
        cleanup(descriptor_close) int there = open_in_root(root, path, O_PATH);
        if (there < 0) {
            char *slash = strrchr(path, '/');
            *slash = '\0';
            cleanup(descriptor_close) int folder = open_in_root(root, slash == path ? "/" : path, O_PATH | O_DIRECTORY);
            *slash = '/';
            int made = folder < 0 ? -1
                       : last && file
                           ? openat(folder, slash + 1, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644)
                           : mkdirat(folder, slash + 1, 0755);
            if (made < 0)
                return failure_system(failure, "cannot make '%s' in the container", path);
            if (last && file)
                close(made);
        }
        if (last)
            return true;
        *at = '/';
    }
}

bool box_make_target(const char *box, const char *path, bool file, struct failure *failure)
{
    cleanup(descriptor_close) int root = open_root(box, failure);
    cleanup(memory_free) char *copy = strdup(path);
    if (root < 0)
        return false;
    if (copy == NULL)
        return failure_memory(failure);
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = '\0';
    if (copy[0] != '/' || length < 2)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is no place for a mount", path);
    return make_parts(root, copy, file, failure);
}

/* ---- listings ---- */

struct listing {
    char *text; /* records that end with NUL */
    size_t length;
    char **records; /* sorted by path */
    size_t count;
};

static void listing_clear(struct listing *listing)
{
    free(listing->text);
    free(listing->records);
    *listing = (struct listing){0};
}

static void listing_clear_at(struct listing *listing)
{
    listing_clear(listing);
}

static const char *path_of(const char *record)
{
    const char *path = strchr(record, '/');
    return path != NULL ? path : "";
}

static int compare_records(const void *one, const void *other)
{
    return strcmp(path_of(*(char *const *)one), path_of(*(char *const *)other));
}

static bool index_records(struct listing *listing, struct failure *failure)
{
    for (size_t at = 0; at < listing->length; at += strlen(listing->text + at) + 1)
        listing->count++;
    listing->records = calloc(listing->count + 1, sizeof *listing->records);
    if (listing->records == NULL)
        return failure_memory(failure);
    size_t number = 0;
    for (size_t at = 0; at < listing->length; at += strlen(listing->text + at) + 1)
        listing->records[number++] = listing->text + at;
    qsort(listing->records, listing->count, sizeof *listing->records, compare_records);
    return true;
}

/* A folder's size and a link's time say nothing. */
static void write_record(FILE *records, const FTSENT *entry, size_t root_length)
{
    const struct stat *status = entry->fts_statp;
    bool folder = S_ISDIR(status->st_mode);
    fprintf(records, "%o %" PRIu64 " %" PRId64 " %ld %s", status->st_mode, folder ? 0 : (uint64_t)status->st_size,
            (int64_t)status->st_mtim.tv_sec, status->st_mtim.tv_nsec, entry->fts_path + root_length);
    fputc('\0', records);
}

static bool walk(const char *box, struct listing *listing, struct failure *failure)
{
    char root[PATH_MAX];
    int length = snprintf(root, sizeof root, "%s/" BOX_ROOT, box);
    if (length < 0 || (size_t)length >= sizeof root)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the path of the container is too long");
    char *const roots[] = {root, NULL};
    FILE *records = open_memstream(&listing->text, &listing->length);
    FTS *tree = records != NULL ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL) : NULL;
    size_t count = 0;
    const FTSENT *entry;
    bool good = tree != NULL;
    while (good && (entry = fts_read(tree)) != NULL) {
        if (entry->fts_info == FTS_DP || entry->fts_level == 0)
            continue;
        if (entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR)
            continue; /* went meanwhile */
        good = ++count <= ENTRIES_LIMIT;
        write_record(records, entry, (size_t)length);
    }
    if (tree != NULL)
        fts_close(tree);
    if (records == NULL || fclose(records) != 0 || !good)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' cannot be listed", root);
    return true;
}

bool box_list(const char *box, struct failure *failure)
{
    cleanup(listing_clear) struct listing listing = {0};
    cleanup(memory_free) char *path = NULL;
    if (!walk(box, &listing, failure))
        return false;
    if (asprintf(&path, "%s/" LISTING, box) < 0) {
        path = NULL;
        return failure_memory(failure);
    }
    FILE *file = fopen(path, "wxe");
    bool written = file != NULL && fwrite(listing.text, 1, listing.length, file) == listing.length;
    written = (file == NULL || fclose(file) == 0) && written;
    return written || failure_system(failure, "cannot write '%s'", path);
}

static bool read_listing(const char *box, struct listing *listing, struct failure *failure)
{
    cleanup(memory_free) char *path = NULL;
    if (asprintf(&path, "%s/" LISTING, box) < 0) {
        path = NULL;
        return failure_memory(failure);
    }
    cleanup(descriptor_close) int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0) {
        failure_system(failure, "'%s'", path);
        failure->kind = errno == ENOENT ? DESCPIPE_FAILED_NOT_FOUND : failure->kind;
        return false;
    }
    listing->text = malloc((size_t)status.st_size + 1);
    if (listing->text == NULL)
        return failure_memory(failure);
    for (ssize_t got = 1;
         got > 0 && listing->length<(size_t)status.st_size; listing->length += got> 0 ? (size_t)got : 0)
        got = read(file, listing->text + listing->length, (size_t)status.st_size - listing->length);
    listing->text[listing->length] = '\0';
    return true;
}

static void say(FILE *lines, char kind, const char *path, const char *but)
{
    size_t length = but != NULL ? strlen(but) : 0;
    if (length > 0 && strncmp(path, but, length) == 0 && (path[length] == '\0' || path[length] == '/'))
        return;
    fprintf(lines, "%c %s", kind, path);
    fputc('\0', lines);
}

bool box_compare(const char *box, const char *but, FILE *lines, struct failure *failure)
{
    cleanup(listing_clear) struct listing before = {0}, after = {0};
    if (!read_listing(box, &before, failure) || !index_records(&before, failure) || !walk(box, &after, failure) ||
        !index_records(&after, failure))
        return false;
    for (size_t i = 0, j = 0; i < before.count || j < after.count;) {
        int order = i == before.count  ? 1
                    : j == after.count ? -1
                                       : compare_records(&before.records[i], &after.records[j]);
        if (order < 0)
            say(lines, 'D', path_of(before.records[i]), but);
        else if (order > 0)
            say(lines, 'A', path_of(after.records[j]), but);
        else if (strcmp(before.records[i], after.records[j]) != 0)
            say(lines, 'C', path_of(after.records[j]), but);
        i += order <= 0;
        j += order >= 0;
    }
    return true;
}

bool box_find(const char *box, const char *path, char **folder, char **name, struct failure *failure)
{
    char link[64], real[PATH_MAX];
    cleanup(descriptor_close) int root = open_root(box, failure);
    if (root < 0)
        return false;
    cleanup(descriptor_close) int there = open_in_root(root, path, O_PATH);
    if (there < 0)
        return failure_set(failure, errno == ENOENT ? DESCPIPE_FAILED_NOT_FOUND : DESCPIPE_FAILED_REFUSED, "'%s': %s",
                           path, strerrordesc_np(errno));
    snprintf(link, sizeof link, "/proc/self/fd/%d", there);
    ssize_t length = readlink(link, real, sizeof real - 1);
    if (length <= 0)
        return failure_system(failure, "'%s'", path);
    real[length] = '\0';
    char *slash = strrchr(real, '/');
    *slash = '\0';
    cleanup(memory_free) char *found = strdup(slash == real ? "/" : real);
    cleanup(memory_free) char *last = strdup(slash[1] != '\0' ? slash + 1 : ".");
    if (found == NULL || last == NULL)
        return failure_memory(failure);
    *folder = steal(&found);
    *name = steal(&last);
    return true;
}

bool box_remove(const char *cache, const char *token, struct failure *failure)
{
    cleanup(memory_free) char *path = box_path(cache, token, NULL, failure);
    return path != NULL && tree_remove(AT_FDCWD, path, failure);
}
