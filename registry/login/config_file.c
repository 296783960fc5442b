/* SPDX-License-Identifier: BSD-3-Clause */
/* Docker's config file as a file. */
#include "registry/login/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/document.h"
#include "registry/login/docker_config.h"

char *config_file_read(const char *path, size_t *length, struct failure *failure)
{
    struct stat status;
    cleanup(descriptor_close) int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 && (errno == ENOENT || errno == ENOTDIR))
        return NULL;
    if (file < 0 || fstat(file, &status) != 0) {
        failure_system(failure, "cannot read '%s'", path);
        return NULL;
    }
    if (!S_ISREG(status.st_mode) || status.st_size > (off_t)DOCKER_CONFIG_LIMIT) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is no file, or larger than %u bytes", path,
                    DOCKER_CONFIG_LIMIT);
        return NULL;
    }
    char *bytes = malloc((size_t)status.st_size + 1);
    if (bytes == NULL) {
        failure_memory(failure);
        return NULL;
    }
    for (*length = 0; *length < (size_t)status.st_size;) {
        ssize_t got = read(file, bytes + *length, (size_t)status.st_size - *length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        *length += (size_t)got;
    }
    bytes[*length] = '\0';
    return bytes;
}

/* Every folder up to the file's; those that are missing are private. */
static bool make_folders(const char *path, struct failure *failure)
{
    char folder[PATH_MAX];
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        if (mkdir(folder, 0700) != 0 && errno != EEXIST)
            return failure_system(failure, "cannot make '%s'", folder);
    }
    return true;
}

/* The lock is the folder's own, so that no file stays behind. */
static int lock_folder(const char *path, struct failure *failure)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    cleanup(descriptor_close) int lock = open(folder[0] != '\0' ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        failure_system(failure, "cannot lock '%s'", folder);
        return -1;
    }
    int locked = lock;
    lock = -1;
    return locked;
}

static bool write_whole(const char *path, const char *bytes, size_t length, struct failure *failure)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the path '%.200s...' is too long", path);
    cleanup(descriptor_close) int file = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (file < 0)
        return failure_system(failure, "cannot write beside '%s'", path);
    bool good = write(file, bytes, length) == (ssize_t)length && fsync(file) == 0 && rename(temporary, path) == 0;
    if (good)
        return true;
    failure_system(failure, "cannot write '%s'", path);
    unlink(temporary);
    return false;
}

/* "auth": base64 of "user:password". */
static json_t *basic_entry(const char *username, const char *password)
{
    char *plain = NULL;
    int length = asprintf(&plain, "%s:%s", username, password);
    char *encoded = length >= 0 ? malloc((size_t)length / 3 * 4 + 5) : NULL;
    json_t *entry = NULL;
    if (encoded != NULL) {
        EVP_EncodeBlock((unsigned char *)encoded, (unsigned char *)plain, length);
        entry = json_pack("{s:s}", "auth", encoded);
        explicit_bzero(encoded, strlen(encoded));
    }
    if (length >= 0) {
        explicit_bzero(plain, (size_t)length);
        free(plain);
    }
    free(encoded);
    return entry;
}

static json_t *make_entry(const struct config_change *change)
{
    if (change->kept_elsewhere)
        return json_object();
    if (change->username == NULL)
        return json_pack("{s:s}", "registrytoken", change->password);
    if (strcmp(change->username, "<token>") == 0)
        return json_pack("{s:s}", "identitytoken", change->password);
    return basic_entry(change->username, change->password);
}

static const char *key_of(const char *server)
{
    return strcmp(server, "docker.io") == 0 ? DOCKER_HUB_KEY : server;
}

static bool change_document(json_t *root, const struct config_change *change, bool *found, struct failure *failure)
{
    json_t *auths = json_object_get(root, "auths");
    if (auths == NULL && json_object_set_new(root, "auths", json_object()) != 0)
        return failure_memory(failure);
    auths = json_object_get(root, "auths");
    if (!json_is_object(auths))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s': its 'auths' is no object", change->path);
    *found = false;
    const char *key;
    while ((key = docker_config_key(auths, change->server)) != NULL) {
        *found = true;
        if (json_object_del(auths, key) != 0)
            break;
    }
    if (change->erase)
        return true;
    return json_object_set_new(auths, key_of(change->server), make_entry(change)) == 0 ? true : failure_memory(failure);
}

static json_t *read_document(const char *path, struct failure *failure)
{
    size_t length;
    char *bytes = config_file_read(path, &length, failure);
    if (bytes == NULL)
        return failure->kind == 0 ? json_object() : NULL;
    json_t *root = document_parse(bytes, length, failure);
    explicit_bzero(bytes, length);
    free(bytes);
    if (root == NULL || !json_is_object(root)) {
        if (root != NULL)
            failure_set(failure, DESCPIPE_FAILED_REFUSED, "it is no JSON object");
        json_decref(root);
        failure_wrap(failure, "'%s'", path);
        failure_hint(failure, "repair it by hand; nothing was changed");
        return NULL;
    }
    return root;
}

bool config_file_change(const struct config_change *change, bool *found, struct failure *failure)
{
    cleanup(memory_free) char *real = realpath(change->path, NULL); /* a link to it stays a link */
    const char *path = real != NULL ? real : change->path;
    if (path[0] != '/')
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is no absolute path", path);
    if (!change->erase && !make_folders(path, failure))
        return false;
    cleanup(descriptor_close) int lock = lock_folder(path, failure);
    if (lock < 0)
        return false;
    cleanup(document_free) json_t *root = read_document(path, failure);
    if (root == NULL || !change_document(root, change, found, failure))
        return false;
    if (change->erase && !*found)
        return true;
    char *text = json_dumps(root, JSON_INDENT(8));
    if (text == NULL)
        return failure_memory(failure);
    bool good = write_whole(path, text, strlen(text), failure);
    explicit_bzero(text, strlen(text));
    free(text);
    return good;
}
