/* SPDX-License-Identifier: BSD-3-Clause */
/* How one registry is reached, and as whom. */
#include "registry/client/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/client/url.h"

void access_clear(struct access *access)
{
    free(access->server);
    free(access->endpoint);
    free(access->username);
    if (access->password != NULL)
        access->host->secret->release(access->password);
    free(access->origin);
    free(access->ca_file);
    free(access->client_certificate);
    free(access->client_key);
    free(access->proxy);
    *access = (struct access){0};
}

static bool copy_text(char **to, const char *from, struct failure *failure)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL ? true : failure_memory(failure);
}

static bool copy_secret(struct access *access, const struct descpipe_secret *secret, struct failure *failure)
{
    uint64_t length;
    if (secret == NULL)
        return true;
    const char *bytes = access->host->secret->reveal(secret, &length);
    access->password = access->host->secret->make(bytes, length);
    return access->password != NULL ? true : failure_memory(failure);
}

static bool copy_credential(struct access *access, const struct descpipe_credential *credential,
                            struct failure *failure)
{
    access->flags = credential->access;
    access->expires_at_ms = credential->expires_at_ms;
    return copy_text(&access->username, credential->username, failure) &&
           copy_secret(access, credential->password, failure) &&
           copy_text(&access->origin, credential->origin, failure) &&
           copy_text(&access->endpoint, credential->endpoint, failure) &&
           copy_text(&access->ca_file, credential->ca_file, failure) &&
           copy_text(&access->client_certificate, credential->client_certificate, failure) &&
           copy_text(&access->client_key, credential->client_key, failure) &&
           copy_text(&access->proxy, credential->proxy, failure);
}

static bool settle_endpoint(struct access *access, struct failure *failure)
{
    bool plain = (access->flags & DESCPIPE_ACCESS_PLAIN_HTTP) != 0;
    if (access->endpoint == NULL &&
        asprintf(&access->endpoint, "%s://%s", plain ? "http" : "https", access->server) < 0) {
        access->endpoint = NULL;
        return failure_memory(failure);
    }
    size_t length = strlen(access->endpoint);
    while (length > 0 && access->endpoint[length - 1] == '/')
        access->endpoint[--length] = '\0';
    if (!url_valid(access->endpoint) || strpbrk(access->endpoint, "?#") != NULL) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "registry '%s': its endpoint '%s' is no URL", access->server,
                    access->endpoint);
        return failure_hint(failure, "write https://HOST or https://HOST:PORT");
    }
    if (plain || !url_is_plain(access->endpoint) || url_is_loopback(access->endpoint))
        return true;
    failure_set(failure, DESCPIPE_FAILED_REFUSED, "registry '%s': its endpoint '%s' is plain http to another machine",
                access->server, access->endpoint);
    return failure_hint(failure, "use https, or allow plain http to this host by name");
}

bool access_take(struct access *access, const struct descpipe_host *host, const char *server,
                 const struct descpipe_credential *credential, struct failure *failure)
{
    struct access taken = {.host = host};
    if (copy_text(&taken.server, server, failure) &&
        (credential == NULL || copy_credential(&taken, credential, failure)) && settle_endpoint(&taken, failure)) {
        *access = taken;
        return true;
    }
    access_clear(&taken);
    return false;
}

bool access_copy(struct access *to, const struct access *from, struct failure *failure)
{
    const struct descpipe_credential credential = {.size = sizeof credential,
                                                   .access = from->flags,
                                                   .username = from->username,
                                                   .password = from->password,
                                                   .expires_at_ms = from->expires_at_ms,
                                                   .origin = from->origin,
                                                   .endpoint = from->endpoint,
                                                   .ca_file = from->ca_file,
                                                   .client_certificate = from->client_certificate,
                                                   .client_key = from->client_key,
                                                   .proxy = from->proxy};
    return access_take(to, from->host, from->server, &credential, failure);
}

static bool same_text(const char *one, const char *other)
{
    return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

static bool same_secret(const struct access *one, const struct access *other)
{
    if (one->password == NULL || other->password == NULL)
        return one->password == other->password;
    uint64_t one_length, other_length;
    const char *one_bytes = one->host->secret->reveal(one->password, &one_length);
    const char *other_bytes = other->host->secret->reveal(other->password, &other_length);
    return one_length == other_length && memcmp(one_bytes, other_bytes, (size_t)one_length) == 0;
}

bool access_equal(const struct access *one, const struct access *other)
{
    return one->host == other->host && one->flags == other->flags && same_text(one->server, other->server) &&
           same_text(one->endpoint, other->endpoint) && same_text(one->username, other->username) &&
           same_text(one->ca_file, other->ca_file) && same_text(one->client_certificate, other->client_certificate) &&
           same_text(one->client_key, other->client_key) && same_text(one->proxy, other->proxy) &&
           same_secret(one, other);
}

bool access_is_anonymous(const struct access *access)
{
    return access->password == NULL;
}

char *access_describe(const struct access *access)
{
    char *text = NULL;
    const char *origin = access->origin;
    int length;
    if (access->password == NULL)
        return strdup("without a login");
    if (access->username == NULL || strcmp(access->username, ACCESS_IDENTITY_TOKEN) == 0)
        length = asprintf(&text, "with a token%s%s%s", origin != NULL ? " (from " : "", origin != NULL ? origin : "",
                          origin != NULL ? ")" : "");
    else
        length = asprintf(&text, "as '%s'%s%s%s", access->username, origin != NULL ? " (from " : "",
                          origin != NULL ? origin : "", origin != NULL ? ")" : "");
    return length < 0 ? NULL : text;
}
