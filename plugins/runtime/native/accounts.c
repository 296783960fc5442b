/* SPDX-License-Identifier: BSD-3-Clause */
/* The caller's entry in /etc/passwd and /etc/group, for images that do not know the caller's uid. */
#include "accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/ownership.h"

/* Reads a whole small file; "" for none. A file over the limit or of another kind is a failure. */
static bool read_accounts(const char *path, char **content, size_t *length, struct failure *failure)
{
    *content = calloc(1, ACCOUNTS_FILE_LIMIT + 2);
    *length = 0;
    if (*content == NULL)
        return failure_memory(failure);
    if (path == NULL)
        return true;
    cleanup(descriptor_close) int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status) != 0)
        return failure_system(failure, "cannot read '%s'", path);
    if (!S_ISREG(status.st_mode) || status.st_size > ACCOUNTS_FILE_LIMIT)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is no ordinary account file", path);
    for (;;) {
        ssize_t got = read(descriptor, *content + *length, ACCOUNTS_FILE_LIMIT + 1 - *length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failure_system(failure, "cannot read '%s'", path);
        if (got == 0)
            break;
        *length += (size_t)got;
    }
    return true;
}

/* True when a line's third field is the id. */
static bool has_id(const char *content, unsigned id)
{
    for (const char *line = content; *line != '\0';) {
        const char *end = line + strcspn(line, "\n");
        const char *field = memchr(line, ':', (size_t)(end - line));
        field = field == NULL ? NULL : memchr(field + 1, ':', (size_t)(end - field - 1));
        if (field != NULL && field[1] >= '0' && field[1] <= '9' && strtoul(field + 1, NULL, 10) == id)
            return true;
        line = *end == '\0' ? end : end + 1;
    }
    return false;
}

static bool make_name(const char *folder, const char *content, size_t length, char **path, struct failure *failure)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_length = 0;
    char hex[2 * 16 + 1];
    if (EVP_Digest(content, length, digest, &digest_length, EVP_sha256(), NULL) != 1)
        return failure_memory(failure);
    for (size_t i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    if (asprintf(path, "%s/%s", folder, hex) < 0) {
        *path = NULL;
        return failure_memory(failure);
    }
    return true;
}

/* Temp file and rename: several processes may make the same copy at once. */
static bool write_copy(const char *path, const char *content, size_t length, struct failure *failure)
{
    cleanup(memory_free) char *temporary = NULL;
    if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0)
        return failure_memory(failure);
    cleanup(descriptor_close) int descriptor =
        open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (descriptor < 0)
        return failure_system(failure, "cannot write '%s'", temporary);
    bool written = write(descriptor, content, length) == (ssize_t)length && fchmod(descriptor, 0644) == 0;
    if (!written || rename(temporary, path) != 0) {
        failure_system(failure, "cannot write '%s'", temporary);
        unlink(temporary);
        return false;
    }
    return true;
}

static bool append_entry(const struct accounts_request *request, char *content, size_t *length, struct failure *failure)
{
    size_t room = ACCOUNTS_FILE_LIMIT + 2 - *length;
    const char *separator = *length > 0 && content[*length - 1] != '\n' ? "\n" : "";
    int added = request->home != NULL
                    ? snprintf(content + *length, room, "%s%s:x:%u:%u:%s:%s:/bin/sh\n", separator, request->name,
                               request->uid, request->gid, request->name, request->home)
                    : snprintf(content + *length, room, "%s%s:x:%u:\n", separator, request->name, request->gid);
    if (added < 0 || (size_t)added >= room)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is too long to add the caller to it", request->file);
    *length += (size_t)added;
    return true;
}

bool accounts_complete(const struct accounts_request *request, char **path, struct failure *failure)
{
    cleanup(memory_free) char *content = NULL;
    size_t length;
    if (!read_accounts(request->file, &content, &length, failure))
        return false;
    if (has_id(content, request->home != NULL ? request->uid : request->gid)) {
        *path = NULL;
        return true;
    }
    cleanup(memory_free) char *copy = NULL;
    if (!append_entry(request, content, &length, failure) ||
        !make_name(request->folder, content, length, &copy, failure))
        return false;
    if (access(copy, R_OK) != 0) {
        if (mkdir(request->folder, 0700) != 0 && errno != EEXIST)
            return failure_system(failure, "cannot make '%s'", request->folder);
        if (!write_copy(copy, content, length, failure))
            return false;
    }
    *path = steal(&copy);
    return true;
}
