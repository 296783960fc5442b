/* SPDX-License-Identifier: BSD-3-Clause */
/* One layer of an image: a tar stream, plain or compressed, unpacked into a folder of its own. */
#include "layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "registry/manifest.h"
#include "registry/ownership.h"

#include "tree.h"

#define BLOCK_BYTES (128 * 1024)
#define TAR_BLOCK 512
#define CHECK_BYTES (64ull << 20) /* how often the disk is looked at */
#define WHITEOUT ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

struct layer {
    const struct layer_request *request;
    struct failure *failure; /* callbacks of libarchive leave the true reason here */
    struct layer_result result;
    struct archive *inflater, *tar;
    EVP_MD_CTX *stored_hash, *plain_hash;
    struct tree tree;
    int tree_folder, whiteouts;
    uint64_t checked_bytes;
    uint64_t plain_bytes; /* of the tar, as far as it was read */
    bool ended;           /* and all of it was */
    size_t padding;       /* that was added behind it */
    unsigned char stored[BLOCK_BYTES], plain[BLOCK_BYTES];
};

static void layer_free(struct layer *layer)
{
    if (layer == NULL)
        return;
    if (layer->tar != NULL)
        archive_read_free(layer->tar);
    if (layer->inflater != NULL)
        archive_read_free(layer->inflater);
    EVP_MD_CTX_free(layer->stored_hash);
    EVP_MD_CTX_free(layer->plain_hash);
    tree_close(&layer->tree);
    descriptor_close(layer->tree_folder);
    descriptor_close(layer->whiteouts);
    free(layer);
}
DEFINE_CLEANUP(struct layer *, layer_free);

static la_ssize_t read_stored(struct archive *archive, void *context, const void **block)
{
    struct layer *layer = context;
    ssize_t got = layer->request->read(layer->request->context, layer->stored, sizeof layer->stored, layer->failure);
    if (got < 0) {
        archive_set_error(archive, EIO, "cannot read");
        return ARCHIVE_FATAL;
    }
    if (layer->request->digest != NULL) /* hashing is what unpacking waits for */
        EVP_DigestUpdate(layer->stored_hash, layer->stored, (size_t)got);
    *block = layer->stored;
    return got;
}

/* Some tools (umoci) end their tar right after the last file's last byte, and container engines take it: what is
 * missing of the last block is added here, unhashed. That a file itself is not cut is seen in copy_data. */
static la_ssize_t pad_end(struct layer *layer)
{
    if (layer->ended)
        return 0;
    layer->ended = true;
    layer->padding = (TAR_BLOCK - layer->plain_bytes % TAR_BLOCK) % TAR_BLOCK;
    memset(layer->plain, 0, layer->padding);
    return (la_ssize_t)layer->padding;
}

static la_ssize_t read_plain(struct archive *archive, void *context, const void **block)
{
    struct layer *layer = context;
    la_ssize_t got = archive_read_data(layer->inflater, layer->plain, sizeof layer->plain);
    if (got < 0) {
        archive_set_error(archive, EIO, "%s", archive_error_string(layer->inflater));
        return ARCHIVE_FATAL;
    }
    EVP_DigestUpdate(layer->plain_hash, layer->plain, (size_t)got);
    layer->plain_bytes += (uint64_t)got;
    *block = layer->plain;
    return got > 0 ? got : pad_end(layer);
}

static bool fail_reading(struct layer *layer, struct archive *archive)
{
    if (layer->failure->kind != 0)
        return false;
    const char *text = archive_error_string(archive);
    return failure_set(layer->failure, DESCPIPE_FAILED_REFUSED, "not a readable layer: %s",
                       text != NULL ? text : "unknown format");
}

static bool open_archives(struct layer *layer)
{
    layer->inflater = archive_read_new();
    layer->tar = archive_read_new();
    layer->stored_hash = EVP_MD_CTX_new();
    layer->plain_hash = EVP_MD_CTX_new();
    if (layer->inflater == NULL || layer->tar == NULL || layer->stored_hash == NULL || layer->plain_hash == NULL ||
        EVP_DigestInit_ex(layer->stored_hash, EVP_sha256(), NULL) != 1 ||
        EVP_DigestInit_ex(layer->plain_hash, EVP_sha256(), NULL) != 1)
        return failure_memory(layer->failure);
    archive_read_support_filter_gzip(layer->inflater);
    archive_read_support_filter_zstd(layer->inflater);
    archive_read_support_filter_bzip2(layer->inflater);
    archive_read_support_filter_xz(layer->inflater);
    archive_read_support_format_raw(layer->inflater);
    archive_read_support_format_empty(layer->inflater);
    archive_read_support_format_tar(layer->tar);
    struct archive_entry *entry;
    if (archive_read_open(layer->inflater, layer, NULL, read_stored, NULL) != ARCHIVE_OK)
        return fail_reading(layer, layer->inflater);
    int result = archive_read_next_header(layer->inflater, &entry);
    if (result != ARCHIVE_OK && result != ARCHIVE_EOF)
        return fail_reading(layer, layer->inflater);
    if (result == ARCHIVE_EOF)
        return failure_set(layer->failure, DESCPIPE_FAILED_REFUSED, "the layer is empty");
    if (archive_read_open(layer->tar, layer, NULL, read_plain, NULL) != ARCHIVE_OK)
        return fail_reading(layer, layer->tar);
    return true;
}

static bool check_budget(struct layer *layer)
{
    const struct budget *budget = layer->request->budget;
    struct statvfs disk;
    if (layer->result.entries > budget->entries)
        return failure_set(layer->failure, DESCPIPE_FAILED_REFUSED, "the layer has more than %llu entries",
                           (unsigned long long)budget->entries);
    if (layer->result.bytes > budget->bytes) {
        failure_set(layer->failure, DESCPIPE_FAILED_REFUSED, "the layer unpacks to more than %llu bytes",
                    (unsigned long long)budget->bytes);
        return failure_hint(layer->failure, "raise the option 'layer-limit' when the image is meant to be that large");
    }
    if (budget->stop != NULL && atomic_load(budget->stop))
        return failure_set(layer->failure, DESCPIPE_FAILED_CANCELLED, "unpacking was cancelled");
    if (layer->result.bytes < layer->checked_bytes + CHECK_BYTES && layer->result.entries % 4096 != 1)
        return true;
    layer->checked_bytes = layer->result.bytes;
    if (fstatvfs(layer->request->folder, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < budget->free_bytes)
        return failure_set(layer->failure, DESCPIPE_FAILED_REFUSED, "no space left to unpack the layer");
    return true;
}

static bool write_block(struct layer *layer, int file, const char *bytes, size_t size, off_t offset)
{
    while (size > 0) {
        ssize_t written = pwrite(file, bytes, size, offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return failure_system(layer->failure, "cannot write a file of the layer");
        bytes += written;
        offset += written;
        size -= (size_t)written;
    }
    return true;
}

/* Data comes in blocks with offsets, so that holes stay holes; both count. */
static bool copy_data(struct layer *layer, int file, struct archive_entry *entry)
{
    uint64_t counted = 0;
    for (;;) {
        const void *block;
        size_t size;
        la_int64_t offset;
        int result = archive_read_data_block(layer->tar, &block, &size, &offset);
        if (result == ARCHIVE_EOF)
            break;
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
            return fail_reading(layer, layer->tar);
        if (offset < 0 || (uint64_t)offset + size < counted)
            return failure_set(layer->failure, DESCPIPE_FAILED_REFUSED, "a sparse file in the layer goes backwards");
        layer->result.bytes += (uint64_t)offset + size - counted;
        counted = (uint64_t)offset + size;
        if (!check_budget(layer) || !write_block(layer, file, block, size, offset))
            return false;
    }
    la_int64_t length = archive_entry_size(entry);
    if (layer->padding > (size_t)((TAR_BLOCK - length % TAR_BLOCK) % TAR_BLOCK))
        return failure_set(layer->failure, DESCPIPE_FAILED_REFUSED, "not a readable layer: its last file is cut");
    if (length > 0 && (uint64_t)length > counted) {
        layer->result.bytes += (uint64_t)length - counted;
        if (!check_budget(layer))
            return false;
        if (ftruncate(file, length) != 0)
            return failure_system(layer->failure, "cannot write a file of the layer");
    }
    return true;
}

static bool add_file(struct layer *layer, const char *path, struct archive_entry *entry,
                     const struct tree_attributes *attributes)
{
    cleanup(descriptor_close) int file = tree_add_file(&layer->tree, path, layer->failure);
    return file >= 0 && copy_data(layer, file, entry) &&
           tree_finish_file(&layer->tree, file, attributes, layer->failure);
}

static bool add_hard_link(struct layer *layer, const char *path, const char *target)
{
    char clean[TREE_PATH_LIMIT];
    if (!tree_clean_path(target, clean, layer->failure))
        return false;
    if (clean[0] == '\0')
        return failure_set(layer->failure, DESCPIPE_FAILED_REFUSED, "entry '%.200s' is a hard link to a folder", path);
    return tree_add_hard_link(&layer->tree, path, clean, layer->failure);
}

static bool add_entry(struct layer *layer, const char *path, struct archive_entry *entry)
{
    struct tree_attributes attributes = {
        .mode = archive_entry_perm(entry),
        .uid = (uid_t)archive_entry_uid(entry),
        .gid = (gid_t)archive_entry_gid(entry),
        .modified = {.tv_sec = archive_entry_mtime(entry), .tv_nsec = archive_entry_mtime_nsec(entry)}};
    const char *target = archive_entry_hardlink(entry);
    if (path[0] == '\0' && (target != NULL || archive_entry_filetype(entry) != AE_IFDIR))
        return failure_set(layer->failure, DESCPIPE_FAILED_REFUSED, "the layer's root is not a folder");
    if (target != NULL)
        return add_hard_link(layer, path, target);
    switch (archive_entry_filetype(entry)) {
    case AE_IFDIR:
        return tree_add_folder(&layer->tree, path, &attributes, layer->failure);
    case AE_IFREG:
        return add_file(layer, path, entry, &attributes);
    case AE_IFLNK: {
        const char *text = archive_entry_symlink(entry);
        if (text == NULL || text[0] == '\0')
            return failure_set(layer->failure, DESCPIPE_FAILED_REFUSED, "entry '%.200s' is a link to nothing", path);
        return tree_add_link(&layer->tree, path, text, &attributes, layer->failure);
    }
    case AE_IFIFO:
        return tree_add_pipe(&layer->tree, path, &attributes, layer->failure);
    default:
        layer->result.skipped++;
        return true;
    }
}

static bool note_whiteout(struct layer *layer, char kind, const char *path)
{
    size_t length = strlen(path) + 1;
    char record[TREE_PATH_LIMIT + 1];
    record[0] = kind;
    memcpy(record + 1, path, length);
    if (write(layer->whiteouts, record, length + 1) != (ssize_t)length + 1)
        return failure_system(layer->failure, "cannot note what the layer removes");
    return true;
}

/* *handled: the entry is about lower layers, or an implementation's own notes. */
static bool take_whiteout(struct layer *layer, char *path, bool *handled)
{
    char *slash = strrchr(path, '/'), *last = slash != NULL ? slash + 1 : path;
    *handled = true;
    for (const char *part = path; part < last; part += strcspn(part, "/") + 1)
        if (strncmp(part, WHITEOUT, strlen(WHITEOUT)) == 0)
            return strncmp(part, ".wh..wh.", 8) == 0 ? true
                                                     : failure_set(layer->failure, DESCPIPE_FAILED_REFUSED,
                                                                   "entry '%.200s' lies in a whiteout", path);
    if (strcmp(last, WHITEOUT_OPAQUE) == 0) {
        *(slash != NULL ? slash : path) = '\0';
        return note_whiteout(layer, 'o', path);
    }
    if (strncmp(last, WHITEOUT, strlen(WHITEOUT)) != 0) {
        *handled = false;
        return true;
    }
    if (strncmp(last, ".wh..wh.", 8) == 0)
        return true;
    const char *name = last + strlen(WHITEOUT);
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return failure_set(layer->failure, DESCPIPE_FAILED_REFUSED, "entry '%.200s' removes nothing that can exist",
                           path);
    memmove(last, name, strlen(name) + 1);
    return note_whiteout(layer, 'w', path);
}

static bool unpack_entries(struct layer *layer)
{
    for (;;) {
        struct archive_entry *entry;
        int result = archive_read_next_header(layer->tar, &entry);
        if (result == ARCHIVE_EOF)
            return true;
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
            return fail_reading(layer, layer->tar);
        const char *name = archive_entry_pathname(entry);
        char path[TREE_PATH_LIMIT];
        bool handled;
        if (name == NULL)
            return failure_set(layer->failure, DESCPIPE_FAILED_REFUSED, "an entry of the layer has no name");
        layer->result.entries++;
        if (!check_budget(layer) || !tree_clean_path(name, path, layer->failure) ||
            !take_whiteout(layer, path, &handled) || (!handled && !add_entry(layer, path, entry)))
            return false;
    }
}

static bool compare_digest(struct layer *layer, EVP_MD_CTX *hash, const char *expected, const char *what)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    char digest[OCI_DIGEST_LENGTH + 1] = "sha256:";
    if (expected == NULL)
        return true;
    if (EVP_DigestFinal_ex(hash, bytes, &length) != 1 || length != 32)
        return failure_memory(layer->failure);
    for (size_t i = 0; i < 32; i++)
        snprintf(digest + 7 + 2 * i, 3, "%02x", bytes[i]);
    if (strcmp(digest, expected) == 0)
        return true;
    return failure_set(layer->failure, DESCPIPE_FAILED_REFUSED, "%s is %s, and should be %s", what, digest, expected);
}

/* Zeros after the tar's end, and what a compressor added, belong to the digests. */
static bool read_to_end(struct layer *layer)
{
    uint64_t rest = 0;
    for (;;) {
        const void *block;
        la_ssize_t got = read_plain(layer->tar, layer, &block);
        if (got < 0)
            return fail_reading(layer, layer->inflater);
        if (got == 0)
            break;
        rest += (uint64_t)got;
        if (rest > layer->request->budget->bytes)
            return failure_set(layer->failure, DESCPIPE_FAILED_REFUSED, "the layer does not end after its archive");
    }
    for (;;) {
        const void *block;
        la_ssize_t got = read_stored(layer->inflater, layer, &block);
        if (got <= 0)
            return got == 0;
    }
}

static bool open_folders(struct layer *layer)
{
    int folder = layer->request->folder;
    if (mkdirat(folder, LAYER_TREE, 0755) != 0)
        return failure_system(layer->failure, "cannot make the layer's folder");
    layer->tree_folder = openat(folder, LAYER_TREE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    layer->whiteouts = openat(folder, LAYER_WHITEOUTS, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (layer->tree_folder < 0 || layer->whiteouts < 0)
        return failure_system(layer->failure, "cannot make the layer's folder");
    layer->tree.root = layer->tree_folder;
    return true;
}

bool layer_unpack(const struct layer_request *request, struct layer_result *result, struct failure *failure)
{
    cleanup(layer_free) struct layer *layer = calloc(1, sizeof *layer);
    if (layer == NULL)
        return failure_memory(failure);
    layer->request = request;
    layer->failure = failure;
    layer->tree_folder = layer->whiteouts = -1;
    tree_open(&layer->tree, -1, request->keep_owner);
    if (!open_folders(layer) || !open_archives(layer) || !unpack_entries(layer) || !read_to_end(layer) ||
        !compare_digest(layer, layer->stored_hash, request->digest, "the layer's digest") ||
        !compare_digest(layer, layer->plain_hash, request->diff_id, "the layer's content"))
        return false;
    *result = layer->result;
    return true;
}
