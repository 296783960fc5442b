/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How one registry is reached, and as whom: an owned copy of a `struct descpipe_credential` with what is derived from
 * it.
 *
 * Logins: a username and a password; a password alone is a bearer token; the username "<token>" says that the password
 * is an identity token, with which the token service is asked (as Docker's credential helpers write it).
 */
#ifndef DESCPIPE_REGISTRY_ACCESS_H
#define DESCPIPE_REGISTRY_ACCESS_H

#include <stdbool.h>

#include "registry/failure.h"
#include "registry/ownership.h"

#define ACCESS_IDENTITY_TOKEN "<token>"

struct access {
    const struct descpipe_host *host; /* the plugin host, borrowed */
    char *server;                     /* as references name it: "docker.io", "localhost:5000" */
    char *endpoint; /* "https://registry-1.docker.io": scheme, host and port, perhaps a path; no slash at its end */
    uint32_t flags; /* DESCPIPE_ACCESS_ */
    char *username; /* each of these may be NULL */
    struct descpipe_secret *password;
    int64_t expires_at_ms;
    char *origin; /* where the login was found */
    char *ca_file;
    char *client_certificate;
    char *client_key;
    char *proxy;
};

/* `credential` NULL: anonymous over https. Copies. REFUSED: an endpoint that is no URL, or plain http to another
 * machine without DESCPIPE_ACCESS_PLAIN_HTTP. */
bool access_take(struct access *access, const struct descpipe_host *host, const char *server,
                 const struct descpipe_credential *credential, struct failure *failure);
bool access_copy(struct access *to, const struct access *from, struct failure *failure);
void access_clear(struct access *access);
static inline void access_clear_at(struct access *place)
{
    access_clear(place);
}
/* The same place as the same person: what was learnt with one holds for the other. */
bool access_equal(const struct access *one, const struct access *other);
bool access_is_anonymous(const struct access *access);
/* "as 'user' (from ~/.docker/config.json)", "with a token (from ...)", "without a login"; never the secret. Owned. */
char *access_describe(const struct access *access);

#endif
