/* SPDX-License-Identifier: BSD-3-Clause */
/* A host's options and certificates. */
#include "inquiry/place.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "registry/client/url.h"
#include "registry/ownership.h"
#include "registry/reference.h"

enum { FOLDER_ENTRIES_LIMIT = 1000 };

void place_clear(struct place *place)
{
    free(place->endpoint);
    free(place->ca_file);
    free(place->client_certificate);
    free(place->client_key);
    free(place->proxy);
    *place = (struct place){0};
}

struct descpipe_credential place_credential(const struct place *place)
{
    return (struct descpipe_credential){.size = sizeof(struct descpipe_credential),
                                        .access = place->access,
                                        .endpoint = place->endpoint,
                                        .ca_file = place->ca_file,
                                        .client_certificate = place->client_certificate,
                                        .client_key = place->client_key,
                                        .proxy = place->proxy};
}

static bool copy_text(char **to, const char *text, struct failure *failure)
{
    if (text == NULL || text[0] == '\0')
        return true;
    free(*to);
    *to = strdup(text);
    return *to != NULL ? true : failure_memory(failure);
}

/* ---- Docker's certs.d ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length > end_length && strcmp(text + length - end_length, end) == 0;
}

/* The first name that ends so; `wished` before all others. Owned; NULL: none. */
static char *first_file(const char *folder, const char *wished, const char *end)
{
    DIR *entries = opendir(folder);
    cleanup(memory_free) char *found = NULL;
    const struct dirent *entry;
    for (int count = 0; entries != NULL && count < FOLDER_ENTRIES_LIMIT && (entry = readdir(entries)) != NULL;
         count++) {
        if (!ends_with(entry->d_name, end))
            continue;
        bool better = found == NULL || strcmp(entry->d_name, wished) == 0 ||
                      (strcmp(found, wished) != 0 && strcmp(entry->d_name, found) < 0);
        if (!better)
            continue;
        free(found);
        found = strdup(entry->d_name);
    }
    if (entries != NULL)
        closedir(entries);
    char *path = NULL;
    if (found == NULL || asprintf(&path, "%s/%s", folder, found) < 0)
        return NULL;
    return path;
}

/* Docker takes HOST's *.crt as its CAs and X.cert with X.key as our own certificate. */
static bool take_certificates(struct place *place, const char *folder, struct failure *failure)
{
    cleanup(memory_free) char *ca = first_file(folder, "ca.crt", ".crt");
    cleanup(memory_free) char *certificate = first_file(folder, "client.cert", ".cert");
    cleanup(memory_free) char *key = NULL;
    if (certificate != NULL && asprintf(&key, "%.*skey", (int)(strlen(certificate) - 4), certificate) < 0) {
        key = NULL;
        return failure_memory(failure);
    }
    if (key != NULL && access(key, F_OK) != 0) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' has no key beside it ('%s')", certificate, key);
        return failure_hint(failure, "Docker wants NAME.cert and NAME.key together");
    }
    if (place->ca_file == NULL)
        place->ca_file = steal(&ca);
    if (place->client_certificate == NULL && certificate != NULL) {
        place->client_certificate = steal(&certificate);
        place->client_key = steal(&key);
    }
    return true;
}

static bool take_certificates_below(struct place *place, const char *folder, const char *server,
                                    struct failure *failure)
{
    cleanup(memory_free) char *own = NULL;
    if (asprintf(&own, "%s/%s", folder, server) < 0) {
        own = NULL;
        return failure_memory(failure);
    }
    return take_certificates(place, own, failure);
}

static bool find_certificates(struct place *place, const char *given, const char *server, struct failure *failure)
{
    if (given != NULL)
        return take_certificates_below(place, given, server, failure);
    if (!take_certificates_below(place, "/etc/docker/certs.d", server, failure))
        return false;
    const char *home = secure_getenv("HOME");
    if (home == NULL || home[0] != '/')
        return true;
    cleanup(memory_free) char *folder = NULL;
    if (asprintf(&folder, "%s/.config/docker/certs.d", home) < 0) {
        folder = NULL;
        return failure_memory(failure);
    }
    return take_certificates_below(place, folder, server, failure);
}

/* ---- options ---- */

/* curl's own words for it would be about certificates in general. */
static bool take_file(char **to, const struct descpipe_host *host, const char *key, struct failure *failure)
{
    const char *path = host->config->text(host->settings, key);
    if (!copy_text(to, path, failure))
        return false;
    if (path == NULL || path[0] == '\0' || access(path, R_OK) == 0)
        return true;
    return failure_system(failure, "the option '%s': cannot read '%s'", key, path);
}

static bool take_options(struct place *place, const struct descpipe_host *host, struct failure *failure)
{
    const struct descpipe_config_service *config = host->config;
    const char *proxy = config->text(host->settings, "proxy"), *endpoint = config->text(host->settings, "endpoint");
    if (endpoint != NULL && endpoint[0] != '\0' && !url_valid(endpoint))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the option 'endpoint' is no http or https URL");
    if (proxy != NULL && strcmp(proxy, "none") == 0) {
        place->proxy = strdup("");
        if (place->proxy == NULL)
            return failure_memory(failure);
        proxy = NULL;
    }
    if (config->boolean(host->settings, "unverified-tls"))
        place->access |= DESCPIPE_ACCESS_UNVERIFIED_TLS;
    if (config->boolean(host->settings, "plain-http"))
        place->access |= DESCPIPE_ACCESS_PLAIN_HTTP;
    return copy_text(&place->proxy, proxy, failure) && copy_text(&place->endpoint, endpoint, failure) &&
           take_file(&place->ca_file, host, "ca", failure) &&
           take_file(&place->client_certificate, host, "client-certificate", failure) &&
           take_file(&place->client_key, host, "client-key", failure);
}

bool place_find(struct place *place, const struct descpipe_host *host, const char *server, bool ours,
                struct failure *failure)
{
    if (ours && !take_options(place, host, failure))
        return false;
    if (!find_certificates(place, host->config->text(host->settings, "certificates"), server, failure))
        return failure_wrap(failure, "registry '%s'", server);
    bool said = ours && host->config->given(host->settings, "plain-http");
    if (!said && place->ca_file == NULL && place->client_certificate == NULL &&
        (place->access & DESCPIPE_ACCESS_UNVERIFIED_TLS) == 0 && reference_host_is_loopback(server))
        place->access |= DESCPIPE_ACCESS_PLAIN_HTTP;
    return true;
}
