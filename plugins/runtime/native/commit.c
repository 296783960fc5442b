/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A developer's container as an image; commit.h tells of the format.
 *
 * How it works: the folder becomes a tar file beside the archive, which is hashed (that is the layer's diff_id), then
 * config, manifest and layer become the archive, which is synced and renamed.
 */
#include "commit.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "registry/document.h"
#include "registry/ownership.h"

#include "store/environment.h"
#include "tool/box.h"

#define PIECE_BYTES ((size_t)256 * 1024)

struct writing {
    const struct commit_request *request;
    struct archive *archive;
    struct archive_entry_linkresolver *links; /* files with several names are written once */
    char *piece;
    struct failure *failure;
};

static bool archive_failed(const struct writing *writing)
{
    return failure_set(writing->failure, DESCPIPE_FAILED_REFUSED, "cannot write '%s': %s", writing->request->path,
                       archive_error_string(writing->archive));
}

static bool write_content(struct writing *writing, const char *path)
{
    cleanup(descriptor_close) int file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0)
        return failure_system(writing->failure, "cannot read '%s'", path);
    for (;;) {
        ssize_t got = read(file, writing->piece, PIECE_BYTES);
        if (got < 0)
            return failure_system(writing->failure, "cannot read '%s'", path);
        if (got == 0)
            return true;
        if (atomic_load(writing->request->stop))
            return failure_set(writing->failure, DESCPIPE_FAILED_CANCELLED, "the commit was cancelled");
        if (archive_write_data(writing->archive, writing->piece, (size_t)got) < 0)
            return archive_failed(writing);
    }
}

/* An ordinary caller's files are root's in the image, as they are in the container. */
static void set_owner(struct archive_entry *entry)
{
    if (geteuid() != 0) {
        archive_entry_set_uid(entry, 0);
        archive_entry_set_gid(entry, 0);
    }
    archive_entry_set_uname(entry, NULL);
    archive_entry_set_gname(entry, NULL);
}

static bool write_one(struct writing *writing, struct archive_entry *entry, const char *path)
{
    bool has_content = archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == NULL &&
                       archive_entry_size(entry) > 0;
    if (archive_write_header(writing->archive, entry) < ARCHIVE_WARN)
        return archive_failed(writing);
    return !has_content || write_content(writing, path);
}

static bool write_entry(struct writing *writing, const FTSENT *found, const char *name)
{
    char link[PATH_MAX];
    struct archive_entry *entry = archive_entry_new(), *spare = NULL;
    if (entry == NULL)
        return failure_memory(writing->failure);
    archive_entry_copy_stat(entry, found->fts_statp);
    archive_entry_set_pathname(entry, name);
    set_owner(entry);
    bool good = true;
    if (S_ISLNK(found->fts_statp->st_mode)) {
        ssize_t length = readlink(found->fts_accpath, link, sizeof link - 1);
        good = length >= 0 || failure_system(writing->failure, "cannot read '%s'", found->fts_accpath);
        link[length > 0 ? length : 0] = '\0';
        archive_entry_set_symlink(entry, link);
    }
    archive_entry_linkify(writing->links, &entry, &spare); /* of this format nothing is held back */
    good = good && write_one(writing, entry, found->fts_accpath);
    archive_entry_free(entry);
    return good;
}

static bool write_tree(struct writing *writing, char *root)
{
    char *const roots[] = {root, NULL};
    size_t length = strlen(root);
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    bool good = tree != NULL || failure_system(writing->failure, "cannot list '%s'", root);
    const FTSENT *found;
    while (good && (found = fts_read(tree)) != NULL) {
        if (found->fts_info == FTS_DP || found->fts_level == 0 || S_ISSOCK(found->fts_statp->st_mode))
            continue;
        if (found->fts_info == FTS_DNR || found->fts_info == FTS_ERR || found->fts_info == FTS_NS) {
            errno = found->fts_errno;
            good = failure_system(writing->failure, "cannot read '%s'", found->fts_path);
        } else {
            good = write_entry(writing, found, found->fts_path + length + 1);
        }
    }
    if (tree != NULL)
        fts_close(tree);
    return good;
}

static struct archive *open_archive(int file)
{
    struct archive *archive = archive_write_new();
    if (archive != NULL && archive_write_set_format_pax_restricted(archive) == ARCHIVE_OK &&
        archive_write_open_fd(archive, file) == ARCHIVE_OK)
        return archive;
    archive_write_free(archive);
    return NULL;
}

/* The layer into an open, empty file, with its digest. */
static bool write_layer(const struct commit_request *request, int file, char diff_id[DIGEST_SIZE],
                        struct failure *failure)
{
    char root[PATH_MAX];
    struct stat status;
    struct digest_file digest;
    struct writing writing = {.request = request,
                              .archive = open_archive(file),
                              .links = archive_entry_linkresolver_new(),
                              .piece = malloc(PIECE_BYTES),
                              .failure = failure};
    bool good = writing.archive != NULL && writing.links != NULL && writing.piece != NULL;
    snprintf(root, sizeof root, "%s/" BOX_ROOT, request->box);
    if (!good)
        failure_memory(failure);
    else
        archive_entry_linkresolver_set_strategy(writing.links, archive_format(writing.archive));
    good = good && write_tree(&writing, root);
    if (good && archive_write_close(writing.archive) != ARCHIVE_OK)
        good = archive_failed(&writing);
    if (writing.links != NULL)
        archive_entry_linkresolver_free(writing.links);
    archive_write_free(writing.archive);
    free(writing.piece);
    if (!good || (fstat(file, &status) != 0 && !failure_system(failure, "the layer")) ||
        !digest_file_begin(&digest, failure))
        return false;
    good = digest_file_advance(&digest, file, (uint64_t)status.st_size, failure) &&
           digest_file_end(&digest, diff_id, failure);
    digest_file_clear(&digest);
    return good;
}

/* ---- config and manifest ---- */

/* "linux/amd64" of this machine, by Go's names for processors. */
static void own_platform(char platform[64])
{
    static const char *const names[][2] = {
        {"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i686", "386"}, {"armv7l", "arm/v7"}, {NULL, NULL}};
    struct utsname machine;
    uname(&machine);
    const char *name = machine.machine;
    for (size_t i = 0; names[i][0] != NULL; i++)
        if (strcmp(names[i][0], machine.machine) == 0)
            name = names[i][1];
    snprintf(platform, 64, "linux/%.50s", name);
}

static void read_platform(const char *box, char platform[64])
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/platform", box);
    FILE *file = fopen(path, "re");
    bool read = file != NULL && fgets(platform, 64, file) != NULL && strchr(platform, '/') != NULL;
    if (file != NULL)
        fclose(file);
    if (!read)
        own_platform(platform);
}

static json_t *environment_of(const char *box, struct failure *failure)
{
    char root[PATH_MAX];
    size_t length = 0;
    snprintf(root, sizeof root, "%s/" BOX_ROOT, box);
    cleanup(memory_free) char *bytes = environment_read(root, &length, failure);
    json_t *list = json_array();
    for (size_t at = 0; bytes != NULL && at < length; at += strlen(bytes + at) + 1)
        if (json_array_append_new(list, json_string(bytes + at)) != 0) /* what is not UTF-8 fits no config */
            failure_set(failure, DESCPIPE_FAILED_REFUSED, "a variable of the image is no text in UTF-8");
    return list;
}

static json_t *list_of(const char *const *words)
{
    static const char *const shell[] = {"/bin/sh", NULL};
    json_t *list = json_array();
    for (words = words != NULL && words[0] != NULL ? words : shell; *words != NULL; words++)
        json_array_append_new(list, json_string(*words));
    return list;
}

static char *write_config(const struct commit_request *request, const char *diff_id, struct committed *committed,
                          struct failure *failure)
{
    char created[32], system[64];
    time_t now = time(NULL);
    struct tm parts;
    committed->created_at_ms = (int64_t)now * 1000;
    strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts));
    read_platform(request->box, committed->platform);
    snprintf(system, sizeof system, "%s", committed->platform);
    char *architecture = strchr(system, '/');
    *architecture++ = '\0';
    char *variant = strchr(architecture, '/');
    if (variant != NULL)
        *variant++ = '\0';
    cleanup(document_free) json_t *config =
        json_pack("{s:s, s:s, s:s, s:{s:o, s:o}, s:{s:s, s:[s]}, s:[{s:s, s:s}]}", "created", created, "architecture",
                  architecture, "os", system, "config", "Env", environment_of(request->box, failure), "Cmd",
                  list_of(request->command), "rootfs", "type", "layers", "diff_ids", diff_id, "history", "created",
                  created, "created_by", "descpipe");
    if (failure->kind != 0)
        return NULL;
    if (config != NULL && variant != NULL)
        json_object_set_new(config, "variant", json_string(variant));
    char *bytes = config != NULL ? json_dumps(config, JSON_COMPACT) : NULL;
    if (bytes == NULL)
        failure_memory(failure);
    return bytes;
}

static bool add_part(struct writing *writing, const char *name, const char *bytes, uint64_t length)
{
    struct archive_entry *entry = archive_entry_new();
    if (entry == NULL)
        return failure_memory(writing->failure);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (int64_t)length);
    bool good = archive_write_header(writing->archive, entry) >= ARCHIVE_WARN &&
                (bytes == NULL || archive_write_data(writing->archive, bytes, (size_t)length) == (ssize_t)length);
    archive_entry_free(entry);
    return good || archive_failed(writing);
}

static bool write_parts(struct writing *writing, const char *layer, const char *config, const char *config_digest)
{
    char name[96];
    struct stat status;
    snprintf(name, sizeof name, "%s.json", config_digest + strlen("sha256:"));
    cleanup(document_free) json_t *manifest =
        json_pack("[{s:s, s:n, s:[s]}]", "Config", name, "RepoTags", "Layers", "layer.tar");
    cleanup(memory_free) char *bytes = manifest != NULL ? json_dumps(manifest, JSON_COMPACT) : NULL;
    if (bytes == NULL)
        return failure_memory(writing->failure);
    if (stat(layer, &status) != 0)
        return failure_system(writing->failure, "'%s'", layer);
    return add_part(writing, name, config, strlen(config)) &&
           add_part(writing, "manifest.json", bytes, strlen(bytes)) &&
           add_part(writing, "layer.tar", NULL, (uint64_t)status.st_size) && write_content(writing, layer);
}

static bool write_archive(const struct commit_request *request, const char *layer, int file, const char *config,
                          const char *config_digest, struct failure *failure)
{
    struct writing writing = {
        .request = request, .archive = open_archive(file), .piece = malloc(PIECE_BYTES), .failure = failure};
    bool good = writing.archive != NULL && writing.piece != NULL;
    if (!good)
        failure_memory(failure);
    good = good && write_parts(&writing, layer, config, config_digest);
    if (good && archive_write_close(writing.archive) != ARCHIVE_OK)
        good = archive_failed(&writing);
    archive_write_free(writing.archive);
    free(writing.piece);
    return good && (fsync(file) == 0 || failure_system(failure, "cannot write '%s'", request->path));
}

/* Two files that are not there afterwards, unless the second got its name. */
struct drafts {
    char layer_path[PATH_MAX], archive_path[PATH_MAX];
    int layer, archive;
};

static void drafts_remove(struct drafts drafts)
{
    if (drafts.layer >= 0) {
        close(drafts.layer);
        unlink(drafts.layer_path);
    }
    if (drafts.archive >= 0) {
        close(drafts.archive);
        unlink(drafts.archive_path);
    }
}
DEFINE_CLEANUP(struct drafts, drafts_remove);

static bool make_drafts(struct drafts *drafts, const struct commit_request *request, struct failure *failure)
{
    snprintf(drafts->layer_path, sizeof drafts->layer_path, "%s/commit.XXXXXX", request->box);
    if ((size_t)snprintf(drafts->archive_path, sizeof drafts->archive_path, "%s.%ld.new", request->path,
                         (long)getpid()) >= sizeof drafts->archive_path)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%.100s...': the path is too long", request->path);
    drafts->layer = mkostemp(drafts->layer_path, O_CLOEXEC);
    if (drafts->layer < 0) {
        failure_system(failure, "container '%s'", strrchr(request->box, '/') + 1);
        failure->kind = errno == ENOENT ? DESCPIPE_FAILED_NOT_FOUND : failure->kind;
        return false;
    }
    drafts->archive = open(drafts->archive_path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    return drafts->archive >= 0 || failure_system(failure, "cannot make '%s'", request->path);
}

bool commit_write(const struct commit_request *request, struct committed *committed, struct failure *failure)
{
    char diff_id[DIGEST_SIZE];
    struct stat status;
    cleanup(drafts_remove) struct drafts drafts = {.layer = -1, .archive = -1};
    if (!make_drafts(&drafts, request, failure) || !write_layer(request, drafts.layer, diff_id, failure))
        return false;
    cleanup(memory_free) char *config = write_config(request, diff_id, committed, failure);
    if (config == NULL)
        return false;
    if (!digest_of_bytes(config, strlen(config), committed->config_digest))
        return failure_memory(failure);
    if (!write_archive(request, drafts.layer_path, drafts.archive, config, committed->config_digest, failure))
        return false;
    if (fstat(drafts.archive, &status) != 0 || rename(drafts.archive_path, request->path) != 0)
        return failure_system(failure, "cannot make '%s'", request->path);
    committed->bytes = (uint64_t)status.st_size;
    return true;
}
