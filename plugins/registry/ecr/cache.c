/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ECR's tokens kept between runs, so that a hundred runs of an afternoon ask AWS once: one file each in the plugin's
 * own folder, readable by the user alone, named by a digest of whose keys it belongs to. Nothing here may fail a call:
 * what cannot be read is fetched again.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ecr.h"

enum { FILE_LIMIT = 64 << 10 };

static char *path_of(const struct ecr *ecr, const char *key, const char *end)
{
    const char *folder = ecr_services(ecr)->cache_folder;
    char *path = NULL;
    if (folder == NULL || asprintf(&path, "%s/token-%.64s%s", folder, key + strlen("sha256:"), end) < 0)
        return NULL;
    return path;
}

/* Only a file that nobody else can have written or read. */
static bool is_private(int descriptor)
{
    struct stat status;
    return fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & 077) == 0 && status.st_size <= FILE_LIMIT;
}

static bool take(const json_t *document, struct aws_authorization *authorization)
{
    const char *username = json_string_value(json_object_get(document, "username"));
    const char *password = json_string_value(json_object_get(document, "password"));
    const char *account = json_string_value(json_object_get(document, "account"));
    json_int_t expires = json_integer_value(json_object_get(document, "expires_at_ms"));
    if (username == NULL || password == NULL || expires <= 0)
        return false;
    authorization->username = strdup(username);
    authorization->password = strdup(password);
    authorization->account = account != NULL ? strdup(account) : NULL;
    authorization->expires_at_ms = expires;
    return authorization->username != NULL && authorization->password != NULL;
}

bool cache_read(const struct ecr *ecr, const char *key, struct aws_authorization *authorization)
{
    cleanup(memory_free) char *path = path_of(ecr, key, "");
    cleanup(descriptor_close) int descriptor =
        path != NULL ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    char bytes[4096];
    char *text = NULL;
    size_t length = 0;
    if (descriptor < 0 || !is_private(descriptor))
        return false;
    FILE *collected = open_memstream(&text, &length);
    if (collected == NULL)
        return false;
    ssize_t got;
    while ((got = read(descriptor, bytes, sizeof bytes)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0)
            fwrite(bytes, 1, (size_t)got, collected);
    explicit_bzero(bytes, sizeof bytes);
    bool done = fclose(collected) == 0 && got == 0;
    json_t *document = done ? json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
    done = document != NULL && take(document, authorization);
    json_decref(document);
    if (text != NULL)
        explicit_bzero(text, length);
    free(text);
    if (!done)
        aws_authorization_clear(authorization);
    return done;
}

static bool write_text(int descriptor, const char *text)
{
    for (size_t length = strlen(text); length > 0;) {
        ssize_t put = write(descriptor, text, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        text += put;
        length -= (size_t)put;
    }
    return true;
}

static bool write_file(const char *path, char *name, const char *text)
{
    int descriptor = mkostemp(name, O_CLOEXEC); /* 0600 */
    if (descriptor < 0)
        return false;
    bool done = write_text(descriptor, text);
    done = close(descriptor) == 0 && done && rename(name, path) == 0;
    if (!done)
        unlink(name);
    return done;
}

void cache_write(const struct ecr *ecr, const char *key, const struct aws_authorization *authorization)
{
    cleanup(memory_free) char *path = path_of(ecr, key, ""), *temporary = path_of(ecr, key, ".XXXXXX");
    if (path == NULL || temporary == NULL)
        return;
    json_t *document =
        json_pack("{s:s, s:s, s:s*, s:I}", "username", authorization->username, "password", authorization->password,
                  "account", authorization->account, "expires_at_ms", (json_int_t)authorization->expires_at_ms);
    char *text = document != NULL ? json_dumps(document, JSON_COMPACT) : NULL;
    json_decref(document);
    if (text != NULL && !write_file(path, temporary, text))
        ecr_services(ecr)->log->write(ecr_services(ecr), DESCPIPE_LOG_DEBUG,
                                      "the token cannot be kept for the next run");
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void cache_drop(const struct ecr *ecr, const char *key)
{
    cleanup(memory_free) char *path = path_of(ecr, key, "");
    if (path != NULL)
        unlink(path);
}
