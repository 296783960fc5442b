/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Logins as Docker keeps them: `auths`, `credHelpers` and `credsStore` of its config file, and the helper programs
 * `docker-credential-NAME` (secrets go through their standard streams, never through argv).
 *
 * The file is $DOCKER_CONFIG/config.json, else ~/.docker/config.json. It is changed by writing a new one (mode 0600)
 * beside it and renaming, under a lock; what we do not know in it stays.
 *
 * Keys: a host ("ghcr.io", "localhost:5000"); for docker.io Docker writes "https://index.docker.io/v1/", which is
 * looked for too. Older files hold URLs; a URL's host counts.
 */
#ifndef DESCPIPE_REGISTRY_DOCKER_CONFIG_H
#define DESCPIPE_REGISTRY_DOCKER_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "registry/failure.h"
#include "registry/ownership.h"

#define DOCKER_CONFIG_LIMIT (1u << 20) /* bytes of the file */
#define DOCKER_HELPER_OUTPUT_LIMIT 65536
#define DOCKER_HELPER_TIMEOUT_MS 30000
#define DOCKER_HUB_KEY "https://index.docker.io/v1/"

/* The path of the file, owned; NULL with a failure: there is no home. `given` (may be NULL) wins. */
char *docker_config_path(const char *given, struct failure *failure);

/* A login that was found. */
struct docker_login {
    const char *username; /* "<token>": an identity token; NULL: a bearer token */
    const struct descpipe_secret *password;
    const char *origin; /* "/home/x/.docker/config.json", "docker-credential-pass" */
};

/* What the file says of a host, without asking any helper. */
struct docker_config_entry {
    char *key;      /* of `auths`, as written; NULL: none */
    char *username; /* from the file itself */
    struct descpipe_secret *password;
    char *helper; /* NAME of docker-credential-NAME that is to be asked first, or NULL */
};
/* Pure: `bytes` are the file's. An unreadable file is a failure; a host without an entry is not. */
bool docker_config_read(struct docker_config_entry *entry, const struct descpipe_host *host, const char *bytes,
                        size_t length, const char *server, struct failure *failure);
void docker_config_entry_clear(struct docker_config_entry *entry, const struct descpipe_host *host);

/* The first key of `auths` that names the server, borrowed; NULL: none does. */
const char *docker_config_key(const json_t *auths, const char *server);

/* All three come back exactly once, never before the start has returned; false with a failure: they do not. `config`
 * is a path or NULL. */
/* `login` NULL without a failure: there is none. */
bool docker_login_find(const struct descpipe_host *host, const char *config, const char *server,
                       void (*done)(void *context, const struct docker_login *login, const struct failure *failure),
                       void *context, struct failure *failure);
/* Through the configured helper, else into the file. `where` tells a person. */
bool docker_login_store(const struct descpipe_host *host, const char *config, const char *server, const char *username,
                        const struct descpipe_secret *password,
                        void (*done)(void *context, const char *where, const struct failure *failure), void *context,
                        struct failure *failure);
/* NOT_FOUND: there was none. */
bool docker_login_erase(const struct descpipe_host *host, const char *config, const char *server,
                        void (*done)(void *context, const char *where, const struct failure *failure), void *context,
                        struct failure *failure);

#endif
