/* SPDX-License-Identifier: BSD-3-Clause */
/* How a registry is reached by a tool. */
#include "tool/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "registry/ownership.h"

#include "store/tree.h"

#define LOGIN_LIMIT ((size_t)64 * 1024) /* bytes of name and password together */

/* The first part of a reference is a host when it has a '.' or ':' or is "localhost"; OCI and Docker agree. */
static size_t host_length(const char *reference)
{
    size_t length = strcspn(reference, "/");
    if (reference[length] != '/')
        return 0;
    bool host = memchr(reference, '.', length) != NULL || memchr(reference, ':', length) != NULL ||
                (length == 9 && strncmp(reference, "localhost", 9) == 0);
    return host ? length : 0;
}

char *access_host(const char *reference)
{
    size_t length = host_length(reference);
    return length > 0 ? strndup(reference, length) : strdup("docker.io");
}

static bool is_docker_hub(const char *host)
{
    return strcmp(host, "docker.io") == 0 || strcmp(host, "index.docker.io") == 0 ||
           strcmp(host, "registry-1.docker.io") == 0;
}

/* "https://host:port/path" → "host:port" */
static char *endpoint_host(const char *endpoint)
{
    const char *start = strstr(endpoint, "://");
    start = start != NULL ? start + 3 : endpoint;
    return strndup(start, strcspn(start, "/"));
}

char *access_reference(const char *reference, const struct descpipe_credential *credential, struct failure *failure)
{
    const char *endpoint = credential != NULL ? credential->endpoint : NULL;
    cleanup(memory_free) char *own = access_host(reference);
    cleanup(memory_free) char *other = endpoint_host(endpoint != NULL ? endpoint : "");
    char *answer = NULL;
    if (own == NULL || other == NULL) {
        failure_memory(failure);
        return NULL;
    }
    size_t length = host_length(reference);
    bool same = endpoint == NULL || strcmp(own, other) == 0 || (is_docker_hub(own) && is_docker_hub(other));
    const char *path = length > 0 ? reference + length + 1 : reference;
    bool official = !same && is_docker_hub(own) && strchr(path, '/') == NULL; /* Docker Hub's word for "ubuntu" */
    if (same ? (answer = strdup(reference)) == NULL
             : asprintf(&answer, "%s/%s%s", other, official ? "library/" : "", path) < 0) {
        failure_memory(failure);
        return NULL;
    }
    return answer;
}

/* base64 of "name:password", in memory that is wiped by the caller. */
static bool encode_login(const struct descpipe_host *host, const struct descpipe_credential *credential, char **plain,
                         char **encoded, struct failure *failure)
{
    const char *password = credential->password != NULL ? host->secret->reveal(credential->password, NULL) : "";
    size_t length = strlen(credential->username) + 1 + strlen(password);
    if (length > LOGIN_LIMIT)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the login from %s is too long", credential->origin);
    if (asprintf(plain, "%s:%s", credential->username, password) < 0) {
        *plain = NULL;
        return failure_memory(failure);
    }
    *encoded = malloc(4 * (length / 3 + 1) + 1);
    if (*encoded == NULL)
        return failure_memory(failure);
    EVP_EncodeBlock((unsigned char *)*encoded, (const unsigned char *)*plain, (int)length);
    return true;
}

static void wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

static bool write_login(const char *path, const char *host_name, const char *encoded, struct failure *failure)
{
    if (strpbrk(host_name, "\"\\") != NULL)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is not a registry's host", host_name);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return failure_system(failure, "cannot make '%s'", path);
    bool good = dprintf(file, "{\"auths\":{\"%s\":{\"auth\":\"%s\"}}}\n", host_name, encoded) > 0;
    good = close(file) == 0 && good;
    return good || failure_system(failure, "cannot write '%s'", path);
}

static bool make_login(struct access_files *files, const struct descpipe_host *host, const char *reference,
                       const struct descpipe_credential *credential, struct failure *failure)
{
    if (credential->username == NULL && credential->password != NULL)
        return failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "the tool takes a name and a password, not a bare token");
    if (credential->username == NULL)
        return true;
    cleanup(memory_free) char *host_name = access_host(reference);
    char *plain = NULL, *encoded = NULL;
    if (host_name == NULL || asprintf(&files->login, "%s/login.json", files->folder) < 0) {
        files->login = NULL;
        return failure_memory(failure);
    }
    bool good = encode_login(host, credential, &plain, &encoded, failure) &&
                write_login(files->login, host_name, encoded, failure);
    wipe(plain);
    wipe(encoded);
    return good;
}

static bool link_file(const char *folder, const char *name, const char *target, struct failure *failure)
{
    cleanup(memory_free) char *link = NULL;
    if (target == NULL)
        return true;
    if (asprintf(&link, "%s/%s", folder, name) < 0) {
        link = NULL;
        return failure_memory(failure);
    }
    return symlink(target, link) == 0 || failure_system(failure, "cannot make '%s'", link);
}

/* containers-certs.d(5): *.crt are CAs, client.cert and client.key a client's own. */
static bool make_certificates(struct access_files *files, const struct descpipe_credential *credential,
                              struct failure *failure)
{
    if (credential->ca_file == NULL && credential->client_certificate == NULL)
        return true;
    if (asprintf(&files->certificates, "%s/certificates", files->folder) < 0) {
        files->certificates = NULL;
        return failure_memory(failure);
    }
    if (mkdir(files->certificates, 0700) != 0)
        return failure_system(failure, "cannot make '%s'", files->certificates);
    return link_file(files->certificates, "ca.crt", credential->ca_file, failure) &&
           link_file(files->certificates, "client.cert", credential->client_certificate, failure) &&
           link_file(files->certificates, "client.key", credential->client_key, failure);
}

bool access_folder_make(struct access_files *files, const char *parent, struct failure *failure)
{
    if (asprintf(&files->folder, "%s/access.XXXXXX", parent) < 0) {
        files->folder = NULL;
        return failure_memory(failure);
    }
    if (mkdtemp(files->folder) != NULL)
        return true;
    free(files->folder);
    files->folder = NULL;
    return failure_system(failure, "cannot make a folder in '%s'", parent);
}

bool access_files_make(struct access_files *files, const struct descpipe_host *host, const char *parent,
                       const char *reference, const struct descpipe_credential *credential, struct failure *failure)
{
    if (credential == NULL || (credential->username == NULL && credential->password == NULL &&
                               credential->ca_file == NULL && credential->client_certificate == NULL))
        return true;
    return access_folder_make(files, parent, failure) && make_login(files, host, reference, credential, failure) &&
           make_certificates(files, credential, failure);
}

void access_files_remove(struct access_files *files)
{
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT;
    if (files->folder != NULL)
        tree_remove(AT_FDCWD, files->folder, &ignored);
    free(files->folder);
    free(files->login);
    free(files->certificates);
    *files = (struct access_files){0};
}
