/* SPDX-License-Identifier: BSD-3-Clause */
/* Small documents by their digest in a folder. */
#include "registry/image/document_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/digest.h"
#include "registry/manifest.h"
#include "registry/ownership.h"

static bool name_file(char path[PATH_MAX], const char *folder, const char *digest, const char *suffix)
{
    int length = snprintf(path, PATH_MAX, "%s/%s%s", folder, digest + strlen("sha256:"), suffix);
    return length > 0 && length < PATH_MAX;
}

static char *read_whole(int file, size_t *length)
{
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > OCI_DOCUMENT_LIMIT)
        return NULL;
    char *bytes = malloc((size_t)status.st_size + 1);
    for (*length = 0; bytes != NULL && *length < (size_t)status.st_size;) {
        ssize_t got = read(file, bytes + *length, (size_t)status.st_size - *length);
        if (got <= 0 && !(got < 0 && errno == EINTR))
            break;
        *length += got > 0 ? (size_t)got : 0;
    }
    if (bytes != NULL)
        bytes[*length] = '\0';
    return bytes;
}

char *document_cache_read(const char *folder, const char *digest, size_t *length)
{
    char path[PATH_MAX], actual[DIGEST_SIZE];
    if (folder == NULL || !oci_digest_valid(digest) || !name_file(path, folder, digest, ""))
        return NULL;
    cleanup(descriptor_close) int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return NULL;
    cleanup(memory_free) char *bytes = read_whole(file, length);
    if (bytes != NULL && digest_of_bytes(bytes, *length, actual) && strcmp(actual, digest) == 0)
        return steal(&bytes);
    unlink(path); /* damaged */
    return NULL;
}

void document_cache_write(const char *folder, const char *digest, const char *bytes, size_t length)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    if (folder == NULL || !oci_digest_valid(digest) || !name_file(path, folder, digest, "") ||
        !name_file(temporary, folder, digest, ".XXXXXX"))
        return;
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return;
    cleanup(descriptor_close) int file = mkostemp(temporary, O_CLOEXEC);
    if (file < 0)
        return;
    if (write(file, bytes, length) != (ssize_t)length || rename(temporary, path) != 0)
        unlink(temporary);
}
