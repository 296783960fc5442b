/* SPDX-License-Identifier: BSD-3-Clause */
/* Blobs of the store. */
#include "blobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "registry/digest.h"
#include "registry/manifest.h"
#include "registry/ownership.h"

#define BLOCK_BYTES (256 * 1024)

static const char *hex_of(const char *digest)
{
    return digest + strlen("sha256:");
}

void blobs_name_place(char path[BLOBS_PATH_BYTES], const struct store *store, const char *folder, const char *digest)
{
    snprintf(path, BLOBS_PATH_BYTES, "%s/%s/%s", store_path(store), folder, hex_of(digest));
}

char *blobs_folder(const struct store *store)
{
    char *folder = NULL;
    return asprintf(&folder, "%s/blobs/sha256", store_path(store)) < 0 ? NULL : folder;
}

bool blobs_have(const struct store *store, const char *digest)
{
    char path[BLOBS_PATH_BYTES];
    if (!oci_digest_valid(digest))
        return false;
    blobs_name_place(path, store, "blobs/sha256", digest);
    return access(path, F_OK) == 0;
}

int blobs_open(const struct store *store, const char *digest)
{
    char path[BLOBS_PATH_BYTES];
    blobs_name_place(path, store, "blobs/sha256", digest);
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

bool blobs_remove(const struct store *store, const char *digest, struct failure *failure)
{
    char path[BLOBS_PATH_BYTES];
    blobs_name_place(path, store, "blobs/sha256", digest);
    return unlink(path) == 0 || errno == ENOENT || failure_system(failure, "cannot remove '%s'", path);
}

bool blobs_check_room(const struct store *store, uint64_t bytes, struct failure *failure)
{
    struct statvfs disk;
    if (statvfs(store_path(store), &disk) != 0)
        return true; /* the write will tell */
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes >= BUDGET_FREE_BYTES && free_bytes - BUDGET_FREE_BYTES >= bytes)
        return true;
    failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' has no room for %llu MiB: %llu MiB are free", store_path(store),
                (unsigned long long)(bytes >> 20), (unsigned long long)(free_bytes >> 20));
    return failure_hint(failure,
                        "make room with: descpipe images --prune, or name another folder with the option 'store'");
}

static bool take_lock(struct blob_file *file, const struct store *store, bool *busy, struct failure *failure)
{
    char path[BLOBS_PATH_BYTES];
    snprintf(path, sizeof path, "%s/locks/blob-%s", store_path(store), hex_of(file->digest));
    file->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->lock < 0)
        return failure_system(failure, "cannot open '%s'", path);
    if (flock(file->lock, LOCK_EX | LOCK_NB) == 0)
        return true;
    *busy = errno == EWOULDBLOCK || errno == EINTR;
    return *busy ? false : failure_system(failure, "cannot lock '%s'", path);
}

bool blob_file_begin(struct blob_file *file, const struct store *store, const char *digest, bool *busy,
                     struct failure *failure)
{
    char path[BLOBS_PATH_BYTES];
    *busy = false;
    *file = BLOB_FILE_INIT;
    if (!oci_digest_valid(digest))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%.100s' is not a sha256 digest", digest);
    snprintf(file->digest, sizeof file->digest, "%s", digest);
    if (!take_lock(file, store, busy, failure)) {
        blob_file_close(file);
        return false;
    }
    if (blobs_have(store, digest)) {
        blob_file_close(file);
        return true;
    }
    blobs_name_place(path, store, "partial", digest);
    file->descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->descriptor >= 0)
        return true;
    failure_system(failure, "cannot open '%s'", path);
    blob_file_close(file);
    return false;
}

bool blob_file_finish(struct blob_file *file, const struct store *store, struct failure *failure)
{
    char from[BLOBS_PATH_BYTES], to[BLOBS_PATH_BYTES];
    blobs_name_place(from, store, "partial", file->digest);
    blobs_name_place(to, store, "blobs/sha256", file->digest);
    bool good = fdatasync(file->descriptor) == 0 && rename(from, to) == 0;
    if (!good)
        failure_system(failure, "cannot move to '%s'", to);
    blob_file_close(file);
    return good;
}

void blob_file_close(struct blob_file *file)
{
    descriptor_close(file->descriptor);
    descriptor_close(file->lock);
    file->descriptor = file->lock = -1;
}

static inline void blob_file_close_at(struct blob_file *file)
{
    blob_file_close(file);
}

bool blobs_write(int descriptor, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(descriptor, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

static bool copy_part(struct part *part, int to, const struct budget *budget, struct failure *failure)
{
    cleanup(memory_free) char *block = malloc(BLOCK_BYTES);
    if (block == NULL)
        return failure_memory(failure);
    for (;;) {
        ssize_t got = part_read(part, block, BLOCK_BYTES, failure);
        if (got <= 0)
            return got == 0;
        if (budget->stop != NULL && atomic_load(budget->stop))
            return failure_set(failure, DESCPIPE_FAILED_CANCELLED, "reading the image was cancelled");
        if (!blobs_write(to, block, (size_t)got))
            return failure_system(failure, "cannot write to the store");
    }
}

bool blobs_digest(int descriptor, char digest[72], uint64_t *bytes, struct failure *failure)
{
    struct stat status;
    struct digest_file hash = {0};
    if (fstat(descriptor, &status) != 0)
        return failure_system(failure, "cannot read a file of the store");
    *bytes = (uint64_t)status.st_size;
    bool good = digest_file_begin(&hash, failure) && digest_file_advance(&hash, descriptor, *bytes, failure) &&
                digest_file_end(&hash, digest, failure);
    digest_file_clear(&hash);
    return good;
}

bool blobs_import(const struct store *store, const struct source *source, const char *name, const char *digest,
                  const struct budget *budget, bool *busy, struct failure *failure)
{
    cleanup(blob_file_close) struct blob_file file = BLOB_FILE_INIT;
    char actual[DIGEST_SIZE];
    uint64_t bytes;
    if (!blob_file_begin(&file, store, digest, busy, failure))
        return false;
    if (file.descriptor < 0)
        return true;
    cleanup(part_close) struct part *part = source_read(source, name, failure);
    if (part == NULL)
        return false;
    if (ftruncate(file.descriptor, 0) != 0)
        return failure_system(failure, "cannot empty a file of the store");
    if (!copy_part(part, file.descriptor, budget, failure) || !blobs_digest(file.descriptor, actual, &bytes, failure))
        return false;
    if (strcmp(actual, digest) != 0)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' in '%s' is damaged: its digest is %s", name,
                           source_path(source), actual);
    return blob_file_finish(&file, store, failure);
}
