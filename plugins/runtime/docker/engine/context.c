/* SPDX-License-Identifier: BSD-3-Clause */
/* Walks a folder, in an order that does not depend on the machine, and writes what is not ignored. */
#include "engine/context.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/ignore.h"

#define OUTSIDE_FILE ".dockerfile.descpipe"

enum { PIECE = 64 << 10 };

struct walk {
    const struct context_request *request;
    const volatile bool *stop;
    struct context_answer *answer;
    struct ignore ignore;
    struct archive *archive;
    char *piece;
};

static bool refuse(struct walk *walk, const char *path, const char *why)
{
    snprintf(walk->answer->words, sizeof(walk->answer->words), "'%.300s': %s", path, why);
    return false;
}

static bool read_ignore(struct walk *walk)
{
    char path[CONTEXT_PATH];
    snprintf(path, sizeof(path), "%s/.dockerignore", walk->request->folder);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        return errno == ENOENT || refuse(walk, path, strerrordesc_np(errno));
    }
    char *text = malloc(IGNORE_FILE_LIMIT + 1);
    size_t length = 0;
    ssize_t got = 1;
    while (text != NULL && got > 0 && length <= IGNORE_FILE_LIMIT) {
        got = read(descriptor, text + length, IGNORE_FILE_LIMIT + 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    close(descriptor);
    char words[CONTEXT_WORDS / 2] = "it cannot be read";
    bool done = text != NULL && got == 0 && ignore_read(text, length, &walk->ignore, words, sizeof(words));
    free(text);
    return done || refuse(walk, path, words);
}

/* Docker's own client sends these two even when they are ignored: the Engine reads them, then leaves them out. */
static bool always_goes(const struct walk *walk, const char *name)
{
    return strcmp(name, ".dockerignore") == 0 || strcmp(name, walk->answer->file) == 0;
}

/* A folder on the way to the Dockerfile. */
static bool leads_to_file(const struct walk *walk, const char *name)
{
    size_t length = strlen(name);
    return strncmp(walk->answer->file, name, length) == 0 && walk->answer->file[length] == '/';
}

static bool put_content(struct walk *walk, const char *path, int descriptor, uint64_t size)
{
    uint64_t left = size;
    while (left > 0) {
        ssize_t got = read(descriptor, walk->piece, left < PIECE ? (size_t)left : (size_t)PIECE);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return refuse(walk, path, got < 0 ? strerrordesc_np(errno) : "it became shorter while it was read");
        }
        if (*walk->stop) {
            return refuse(walk, path, "stopped");
        }
        if (archive_write_data(walk->archive, walk->piece, (size_t)got) != got) {
            return refuse(walk, path, archive_error_string(walk->archive));
        }
        left -= (uint64_t)got;
    }
    walk->answer->bytes += size;
    return true;
}

static bool put_entry(struct walk *walk, struct archive_entry *entry, const char *path, const struct stat *status)
{
    int descriptor = -1;
    if (S_ISREG(status->st_mode)) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (descriptor < 0) {
            return refuse(walk, path, strerrordesc_np(errno));
        }
    }
    bool done = archive_write_header(walk->archive, entry) == ARCHIVE_OK ||
                refuse(walk, path, archive_error_string(walk->archive));
    if (done && descriptor >= 0) {
        done = put_content(walk, path, descriptor, (uint64_t)status->st_size);
    }
    if (descriptor >= 0) {
        close(descriptor);
    }
    return done;
}

static bool put(struct walk *walk, const char *path, const char *name, const struct stat *status)
{
    char target[CONTEXT_PATH];
    struct archive_entry *entry = archive_entry_new();
    if (entry == NULL) {
        return refuse(walk, path, "not enough memory");
    }
    archive_entry_copy_stat(entry, status);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    archive_entry_set_nlink(entry, 1);
    if (!S_ISREG(status->st_mode)) {
        archive_entry_set_size(entry, 0);
    }
    bool done = true;
    if (S_ISLNK(status->st_mode)) {
        ssize_t length = readlink(path, target, sizeof(target) - 1);
        done = length >= 0 || refuse(walk, path, strerrordesc_np(errno));
        target[length >= 0 ? length : 0] = '\0';
        archive_entry_set_symlink(entry, target);
    }
    done = done && put_entry(walk, entry, path, status);
    archive_entry_free(entry);
    if (done && ++walk->answer->entries > CONTEXT_ENTRIES_LIMIT) {
        return refuse(walk, walk->request->folder,
                      "it holds more than a million files; name what is not needed in its "
                      ".dockerignore");
    }
    return done;
}

static bool goes_along(const struct walk *walk, const char *name, const struct stat *status)
{
    bool known =
        S_ISREG(status->st_mode) || S_ISDIR(status->st_mode) || S_ISLNK(status->st_mode) || S_ISFIFO(status->st_mode);
    return known && (always_goes(walk, name) || leads_to_file(walk, name) || !ignore_matches(&walk->ignore, name));
}

static int by_name(const FTSENT **left, const FTSENT **right)
{
    return strcmp((*left)->fts_name, (*right)->fts_name);
}

static bool visit(struct walk *walk, FTS *tree, FTSENT *found)
{
    const char *name = found->fts_path + strlen(walk->request->folder);
    name += strspn(name, "/");
    switch (found->fts_info) {
    case FTS_DP:
        return true;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        if (*name != '\0' && ignore_matches(&walk->ignore, name)) {
            return true; /* what is not sent need not be readable */
        }
        return refuse(walk, found->fts_path, strerrordesc_np(found->fts_errno));
    default:
        break;
    }
    if (*walk->stop) {
        return refuse(walk, found->fts_path, "stopped");
    }
    if (*name == '\0') {
        return found->fts_info == FTS_D || refuse(walk, found->fts_path, "it is no folder");
    }
    if (goes_along(walk, name, found->fts_statp)) {
        return put(walk, found->fts_accpath, name, found->fts_statp);
    }
    if (found->fts_info == FTS_D && !walk->ignore.takes_back) {
        fts_set(tree, found, FTS_SKIP);
    }
    return true;
}

static bool walk_folder(struct walk *walk)
{
    char *folder = strdup(walk->request->folder);
    char *const roots[] = {folder, NULL};
    FTS *tree = folder != NULL ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name) : NULL;
    bool done = tree != NULL || refuse(walk, walk->request->folder, strerrordesc_np(errno));
    while (done) {
        errno = 0;
        FTSENT *found = fts_read(tree);
        if (found == NULL) {
            done = errno == 0 || refuse(walk, walk->request->folder, strerrordesc_np(errno));
            break;
        }
        done = visit(walk, tree, found);
    }
    if (tree != NULL) {
        fts_close(tree);
    }
    free(folder);
    return done;
}

/* A Dockerfile that lies elsewhere goes along under a name of ours. */
static bool put_outside_file(struct walk *walk)
{
    struct stat status;
    if (strcmp(walk->answer->file, OUTSIDE_FILE) != 0) {
        return true;
    }
    if (stat(walk->request->file, &status) != 0) {
        return refuse(walk, walk->request->file, strerrordesc_np(errno));
    }
    return S_ISREG(status.st_mode) ? put(walk, walk->request->file, OUTSIDE_FILE, &status)
                                   : refuse(walk, walk->request->file, "it is not a regular file");
}

static bool name_file(struct walk *walk)
{
    const char *folder = walk->request->folder, *file = walk->request->file;
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') {
        length--;
    }
    bool inside = strncmp(file, folder, length) == 0 && file[length] == '/';
    const char *name = inside ? file + length + strspn(file + length, "/") : OUTSIDE_FILE;
    if (strlen(name) >= sizeof(walk->answer->file)) {
        return refuse(walk, file, "its path is too long");
    }
    memcpy(walk->answer->file, name, strlen(name) + 1);
    return true;
}

static bool open_archive(struct walk *walk)
{
    walk->piece = malloc(PIECE);
    walk->archive = archive_write_new();
    if (walk->piece == NULL || walk->archive == NULL) {
        return refuse(walk, walk->request->folder, "not enough memory");
    }
    archive_write_set_format_pax_restricted(walk->archive);
    return archive_write_open_fd(walk->archive, walk->request->descriptor) == ARCHIVE_OK ||
           refuse(walk, walk->request->folder, archive_error_string(walk->archive));
}

bool context_write(const struct context_request *request, const volatile bool *stop, struct context_answer *answer)
{
    struct walk walk = {.request = request, .stop = stop, .answer = answer};
    *answer = (struct context_answer){0};
    bool done =
        name_file(&walk) && read_ignore(&walk) && open_archive(&walk) && walk_folder(&walk) && put_outside_file(&walk);
    if (done && archive_write_close(walk.archive) != ARCHIVE_OK) {
        done = refuse(&walk, request->folder, archive_error_string(walk.archive));
    }
    if (walk.archive != NULL) {
        archive_write_free(walk.archive);
    }
    free(walk.piece);
    ignore_clear(&walk.ignore);
    return done;
}
