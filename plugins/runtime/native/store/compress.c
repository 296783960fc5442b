/* SPDX-License-Identifier: BSD-3-Clause */
/* Layers without compression become blobs: gzip, always by the same settings, so that equal layers have equal digests.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "registry/digest.h"
#include "registry/manifest.h"
#include "registry/ownership.h"

#include "blobs.h"

#define BLOCK_BYTES (256 * 1024)
#define GZIP_LEVEL 6
#define GZIP_WINDOW (15 + 16) /* the largest, with gzip's head and end */
#define GZIP_MEMORY 8

/* What a layer became earlier: "sha256:... BYTES". */
static bool recall(const struct store *store, const char *diff_id, char digest[72], uint64_t *bytes)
{
    char path[BLOBS_PATH_BYTES], line[128] = "";
    blobs_name_place(path, store, "compressed", diff_id);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    if (!read || strlen(line) < OCI_DIGEST_LENGTH + 2 || line[OCI_DIGEST_LENGTH] != ' ')
        return false;
    line[OCI_DIGEST_LENGTH] = '\0';
    memcpy(digest, line, OCI_DIGEST_LENGTH + 1);
    *bytes = strtoull(line + OCI_DIGEST_LENGTH + 1, NULL, 10);
    return oci_digest_valid(digest) && blobs_have(store, digest);
}

static void remember(const struct store *store, const char *diff_id, const char *digest, uint64_t bytes)
{
    char path[BLOBS_PATH_BYTES], temporary[BLOBS_PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/compressed", store_path(store));
    mkdir(path, 0700);
    blobs_name_place(path, store, "compressed", diff_id);
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    cleanup(descriptor_close) int file = mkostemp(temporary, O_CLOEXEC);
    if (file < 0)
        return; /* it costs only the time of compressing again */
    if (dprintf(file, "%s %llu\n", digest, (unsigned long long)bytes) < 0 || rename(temporary, path) != 0)
        unlink(temporary);
}

/* What goes through: the plain bytes are hashed, for they must be those that the config names. */
struct squeeze {
    z_stream stream;
    EVP_MD_CTX *hash;
    unsigned char in[BLOCK_BYTES], out[BLOCK_BYTES];
};

static bool squeeze_block(struct squeeze *squeeze, size_t length, int flush, int to, struct failure *failure)
{
    squeeze->stream.next_in = squeeze->in;
    squeeze->stream.avail_in = (uInt)length;
    do {
        squeeze->stream.next_out = squeeze->out;
        squeeze->stream.avail_out = sizeof squeeze->out;
        deflate(&squeeze->stream, flush);
        if (!blobs_write(to, (const char *)squeeze->out, sizeof squeeze->out - squeeze->stream.avail_out))
            return failure_system(failure, "cannot write to the store");
    } while (squeeze->stream.avail_out == 0);
    return true;
}

static bool check_plain(struct squeeze *squeeze, const char *diff_id, struct failure *failure)
{
    struct digest_file hash = {.hash = squeeze->hash};
    char actual[DIGEST_SIZE];
    if (!digest_file_end(&hash, actual, failure))
        return false;
    return strcmp(actual, diff_id) == 0 || failure_set(failure, DESCPIPE_FAILED_REFUSED,
                                                       "the layer's content is %s, and should be %s", actual, diff_id);
}

static bool squeeze_all(struct squeeze *squeeze, struct part *part, int to, const struct budget *budget,
                        struct failure *failure)
{
    for (;;) {
        ssize_t got = part_read(part, squeeze->in, sizeof squeeze->in, failure);
        if (got < 0)
            return false;
        if (budget->stop != NULL && atomic_load(budget->stop))
            return failure_set(failure, DESCPIPE_FAILED_CANCELLED, "compressing the image was cancelled");
        EVP_DigestUpdate(squeeze->hash, squeeze->in, (size_t)got);
        if (!squeeze_block(squeeze, (size_t)got, got == 0 ? Z_FINISH : Z_NO_FLUSH, to, failure))
            return false;
        if (got == 0)
            return true;
    }
}

static bool compress_part(struct part *part, int to, const char *diff_id, const struct budget *budget,
                          struct failure *failure)
{
    struct squeeze *squeeze = calloc(1, sizeof *squeeze);
    if (squeeze == NULL)
        return failure_memory(failure);
    squeeze->hash = EVP_MD_CTX_new();
    bool good =
        squeeze->hash != NULL && EVP_DigestInit_ex(squeeze->hash, EVP_sha256(), NULL) == 1 &&
        deflateInit2(&squeeze->stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
    if (!good)
        failure_memory(failure);
    good = good && squeeze_all(squeeze, part, to, budget, failure) && check_plain(squeeze, diff_id, failure);
    deflateEnd(&squeeze->stream);
    EVP_MD_CTX_free(squeeze->hash);
    free(squeeze);
    return good;
}

/* Puts a finished temporary file among the blobs. */
static bool adopt(const struct store *store, const char *path, int file, const char *digest, struct failure *failure)
{
    char place[BLOBS_PATH_BYTES];
    blobs_name_place(place, store, "blobs/sha256", digest);
    if (fdatasync(file) == 0 && rename(path, place) == 0)
        return true;
    return failure_system(failure, "cannot move to '%s'", place);
}

bool blobs_compress(const struct store *store, const struct source *source, const char *name, const char *diff_id,
                    const struct budget *budget, char digest[72], uint64_t *bytes, struct failure *failure)
{
    char path[BLOBS_PATH_BYTES];
    if (recall(store, diff_id, digest, bytes))
        return true;
    cleanup(part_close) struct part *part = source_read(source, name, failure);
    if (part == NULL)
        return false;
    snprintf(path, sizeof path, "%s/compressed-%.64s.XXXXXX", store_temporary(store), diff_id + strlen("sha256:"));
    cleanup(descriptor_close) int file = mkostemp(path, O_CLOEXEC);
    if (file < 0)
        return failure_system(failure, "cannot make a file in '%s'", store_temporary(store));
    bool good = compress_part(part, file, diff_id, budget, failure) && blobs_digest(file, digest, bytes, failure) &&
                adopt(store, path, file, digest, failure);
    if (!good)
        unlink(path);
    else
        remember(store, diff_id, digest, *bytes);
    return good;
}
