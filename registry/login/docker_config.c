/* SPDX-License-Identifier: BSD-3-Clause */
/* Docker's config file: where it is, what it says of a host. Source: docker/cli, cli/config. */
#include "registry/login/docker_config.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/document.h"

#define HELPER_NAME_LIMIT 64
#define AUTH_LIMIT 65536 /* bytes of one entry's `auth` */

char *docker_config_path(const char *given, struct failure *failure)
{
    const char *folder = secure_getenv("DOCKER_CONFIG"), *home = secure_getenv("HOME");
    char *path = NULL;
    int length;
    if (given != NULL)
        length = asprintf(&path, "%s", given);
    else if (folder != NULL && folder[0] != '\0')
        length = asprintf(&path, "%s/config.json", folder);
    else if (home != NULL && home[0] == '/')
        length = asprintf(&path, "%s/.docker/config.json", home);
    else {
        failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED,
                    "there is no place for Docker's config file: HOME is not set");
        failure_hint(failure, "let DOCKER_CONFIG name its folder");
        return NULL;
    }
    if (length >= 0)
        return path;
    failure_memory(failure);
    return NULL;
}

void docker_config_entry_clear(struct docker_config_entry *entry, const struct descpipe_host *host)
{
    free(entry->key);
    free(entry->username);
    if (entry->password != NULL)
        host->secret->release(entry->password);
    free(entry->helper);
    *entry = (struct docker_config_entry){0};
}

/* The host of a key: "https://ghcr.io/v2/" → "ghcr.io". */
static size_t host_of_key(const char *key, const char **host)
{
    const char *scheme = strstr(key, "://");
    *host = scheme != NULL ? scheme + 3 : key;
    return strcspn(*host, "/");
}

/* Docker Hub has several names. */
static const char *canonical(const char *server)
{
    static const char *const names[] = {"index.docker.io", "registry-1.docker.io"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(server, names[i]) == 0)
            return "docker.io";
    return server;
}

static bool key_is_for(const char *key, const char *server)
{
    const char *host;
    size_t length = host_of_key(key, &host);
    cleanup(memory_free) char *name = strndup(host, length);
    return name != NULL && strcasecmp(canonical(name), canonical(server)) == 0;
}

/* The member whose key names the server: exactly first, then by its host. */
static const json_t *find_member(const json_t *object, const char *server, const char **key)
{
    const char *name;
    json_t *value, *all = (json_t *)(uintptr_t)object; /* jansson's loop wants it so; nothing is changed */
    if (json_object_get(object, server) != NULL) {
        *key = server;
        return json_object_get(object, server);
    }
    if (!json_is_object(object))
        return NULL;
    json_object_foreach(all, name, value)
    {
        if (key_is_for(name, server)) {
            *key = name;
            return value;
        }
    }
    return NULL;
}

const char *docker_config_key(const json_t *auths, const char *server)
{
    const char *key = NULL;
    return find_member(auths, server, &key) != NULL ? key : NULL;
}

/* A helper's name becomes a program's: nothing but a plain word. */
static bool helper_valid(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    return length > 0 && length <= HELPER_NAME_LIMIT && name[length] == '\0' && name[0] != '.';
}

static bool take_helper(struct docker_config_entry *entry, const json_t *root, const char *server,
                        struct failure *failure)
{
    const char *key;
    const char *helper = json_string_value(find_member(json_object_get(root, "credHelpers"), server, &key));
    if (helper == NULL)
        helper = json_string_value(json_object_get(root, "credsStore"));
    if (helper == NULL || helper[0] == '\0')
        return true;
    if (!helper_valid(helper))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the credential helper '%.64s' has no legal name", helper);
    entry->helper = strdup(helper);
    return entry->helper != NULL ? true : failure_memory(failure);
}

static bool keep_secret(struct docker_config_entry *entry, const struct descpipe_host *host, const char *username,
                        const char *password, size_t length, struct failure *failure)
{
    entry->username = username != NULL ? strdup(username) : NULL;
    entry->password = host->secret->make(password, length);
    return (username == NULL || entry->username != NULL) && entry->password != NULL ? true : failure_memory(failure);
}

/* base64 of "user:password". */
static bool take_auth(struct docker_config_entry *entry, const struct descpipe_host *host, const char *auth,
                      struct failure *failure)
{
    size_t length = strlen(auth);
    if (length > AUTH_LIMIT || length % 4 != 0)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'auth' of '%.200s' is not in base64", entry->key);
    unsigned char *plain = malloc(length / 4 * 3 + 1);
    if (plain == NULL)
        return failure_memory(failure);
    int size = EVP_DecodeBlock(plain, (const unsigned char *)auth, (int)length);
    for (size_t i = length; size > 0 && i > 0 && auth[i - 1] == '='; i--)
        size--;
    plain[size > 0 ? size : 0] = '\0';
    char *colon = size > 0 ? memchr(plain, ':', (size_t)size) : NULL;
    bool good = colon != NULL && strlen((char *)plain) == (size_t)size;
    if (!good)
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "'auth' of '%.200s' is not a user and a password in base64",
                    entry->key);
    else {
        *colon = '\0';
        good = keep_secret(entry, host, (char *)plain, colon + 1, strlen(colon + 1), failure);
    }
    explicit_bzero(plain, length / 4 * 3 + 1);
    free(plain);
    return good;
}

static bool take_entry(struct docker_config_entry *entry, const struct descpipe_host *host, const json_t *object,
                       struct failure *failure)
{
    const char *identity = json_string_value(json_object_get(object, "identitytoken"));
    const char *bearer = json_string_value(json_object_get(object, "registrytoken"));
    const char *auth = json_string_value(json_object_get(object, "auth"));
    const char *username = json_string_value(json_object_get(object, "username"));
    const char *password = json_string_value(json_object_get(object, "password"));
    if (identity != NULL && identity[0] != '\0')
        return keep_secret(entry, host, "<token>", identity, strlen(identity), failure);
    if (bearer != NULL && bearer[0] != '\0')
        return keep_secret(entry, host, NULL, bearer, strlen(bearer), failure);
    if (auth != NULL && auth[0] != '\0')
        return take_auth(entry, host, auth, failure);
    if (username != NULL && username[0] != '\0' && password != NULL)
        return keep_secret(entry, host, username, password, strlen(password), failure);
    return true; /* {}: a helper keeps it */
}

bool docker_config_read(struct docker_config_entry *entry, const struct descpipe_host *host, const char *bytes,
                        size_t length, const char *server, struct failure *failure)
{
    struct docker_config_entry read = {0};
    if (length > DOCKER_CONFIG_LIMIT)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the file is larger than %u bytes", DOCKER_CONFIG_LIMIT);
    cleanup(document_free) json_t *root = document_parse(bytes, length, failure);
    if (root == NULL)
        return false;
    if (!json_is_object(root))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "it is no JSON object");
    const char *key = NULL;
    const json_t *object = find_member(json_object_get(root, "auths"), server, &key);
    if (object != NULL)
        read.key = strdup(key);
    bool good = object == NULL || read.key != NULL ? true : failure_memory(failure);
    good = good && take_helper(&read, root, server, failure) &&
           (object == NULL || take_entry(&read, host, object, failure));
    if (good)
        *entry = read;
    else
        docker_config_entry_clear(&read, host);
    return good;
}
