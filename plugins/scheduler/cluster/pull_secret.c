/* SPDX-License-Identifier: BSD-3-Clause */
/* Registry logins for the nodes of a cluster; pull_secret.h says how it works. */
#include "cluster/pull_secret.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cluster/pod.h"

#define HUB "docker.io"
#define HUB_KEY "https://index.docker.io/v1/" /* as docker writes it, and as the nodes look for it */
#define ACCOUNT_TOKEN "<token>"

static const char hint_own[] =
    "let the cluster have a login of its own (pull-secrets: [NAME]), or none (pull-secrets: [])";

struct login {
    char *image, *username, *origin;
    struct descpipe_secret *password;
};

struct pull_secret {
    struct pull_secret_request request;
    struct descpipe_timer *later;
    struct cluster_exchange *exchange;
    struct descpipe_image image; /* asked for now */
    uint32_t next_job;
    json_t *asked; /* repositories */
    struct login logins[PULL_SECRET_LOGINS];
    size_t count;
    char name[PULL_SECRET_NAME];
    char words[PULL_SECRET_WORDS];
    const char *hint;
    uint32_t failure;
    json_t *manifest; /* wiped when it is sent */
    bool replacing;
    bool asking;  /* a login is on its way */
    bool dropped; /* nobody waits any more */
};

/* Pure. */

size_t pull_secret_repository(const char *image)
{
    const char *name = strrchr(image, '/');
    return (size_t)((name != NULL ? name : image) - image) + strcspn(name != NULL ? name : image, ":@");
}

static bool is_hub(const char *image, size_t host)
{
    bool named = image[host] == '/' && (memchr(image, '.', host) != NULL || memchr(image, ':', host) != NULL ||
                                        (host == 9 && strncmp(image, "localhost", 9) == 0));
    return !named || (host == strlen(HUB) && strncmp(image, HUB, host) == 0);
}

void pull_secret_wipe(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        free(text);
    }
}

static char *packed(const char *text, size_t length)
{
    unsigned char *to = malloc(length / 3 * 4 + 5);
    if (to != NULL) {
        EVP_EncodeBlock(to, (const unsigned char *)text, (int)length);
    }
    return (char *)to;
}

/* As docker writes it; any bytes may be in it. */
static json_t *entry_of(const struct pull_login *login)
{
    char *pair = NULL;
    if (asprintf(&pair, "%s:%s", login->username, login->password) < 0) {
        return NULL;
    }
    char *auth = packed(pair, strlen(pair));
    json_t *entry = auth != NULL ? json_pack("{s:s}", "auth", auth) : NULL;
    pull_secret_wipe(pair);
    pull_secret_wipe(auth);
    return entry;
}

/* The texts of a value that is about to go. */
static void wipe_entry(json_t *entry)
{
    const char *key;
    json_t *value;
    json_object_foreach(entry, key, value)
    {
        if (json_is_string(value)) { /* ours alone, and nobody reads it any more */
            explicit_bzero((void *)(uintptr_t)json_string_value(value), json_string_length(value));
        }
    }
}

/* Its host's entry, or one for its repository when somebody else logs in there. False: out of memory. */
static bool add_entry(json_t *auths, const struct pull_login *login)
{
    size_t host = strcspn(login->image, "/"), repository = pull_secret_repository(login->image);
    char *server = is_hub(login->image, host) ? strdup(HUB_KEY) : strndup(login->image, host);
    char *place = strndup(login->image, repository);
    json_t *entry = entry_of(login);
    const json_t *other = server != NULL ? json_object_get(auths, server) : NULL;
    bool done = server != NULL && place != NULL && entry != NULL;
    if (done && other != NULL && json_equal(other, entry)) {
        wipe_entry(entry);
        json_decref(entry);
    } else if (done) {
        done = json_object_set_new(auths, other != NULL ? place : server, entry) == 0;
    }
    free(server);
    free(place);
    return done;
}

char *pull_secret_config(const struct pull_login *logins, size_t count)
{
    json_t *auths = json_object();
    bool done = auths != NULL;
    for (size_t i = 0; done && i < count; i++) {
        done = add_entry(auths, &logins[i]);
    }
    json_t *config = done ? json_pack("{s:O}", "auths", auths) : NULL;
    char *text = config != NULL ? json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    const char *key;
    json_t *entry;
    json_object_foreach(auths, key, entry)
    {
        wipe_entry(entry);
    }
    json_decref(config);
    json_decref(auths);
    return text;
}

/* Making one. */

void pull_secret_free(struct pull_secret *pull)
{
    if (pull == NULL) {
        return;
    }
    const struct descpipe_host *host = pull->request.cluster->host;
    if (pull->asking) { /* freed when the login has come */
        pull->dropped = true;
        return;
    }
    if (pull->later != NULL) {
        host->timer->stop(pull->later);
    }
    cluster_drop(pull->exchange);
    for (size_t i = 0; i < pull->count; i++) {
        free(pull->logins[i].image);
        free(pull->logins[i].username);
        free(pull->logins[i].origin);
        host->secret->release(pull->logins[i].password);
    }
    wipe_entry(json_object_get(pull->manifest, "data"));
    json_decref(pull->manifest);
    json_decref(pull->asked);
    free(pull);
}

static void tell(struct pull_secret *pull)
{
    const struct pull_secret_answer answer = {.name = pull->failure == 0 && pull->count > 0 ? pull->name : NULL,
                                              .failure = pull->failure,
                                              .words = pull->words,
                                              .hint = pull->hint};
    pull->request.done(pull->request.context, &answer);
}

static void fail(struct pull_secret *pull, uint32_t failure, const char *hint)
{
    pull->failure = failure;
    pull->hint = hint;
}

static void posted(void *context, const struct cluster_reply *reply);

/* False: it cannot be sent. */
static bool send(struct pull_secret *pull)
{
    struct cluster *cluster = pull->request.cluster;
    char *path = cluster_path(cluster, "/api/v1/namespaces/%s/secrets%s%s", cluster->namespace,
                              pull->replacing ? "/" : "", pull->replacing ? pull->name : "");
    const struct cluster_request request = {.method = pull->replacing ? "PUT" : "POST",
                                            .path = path,
                                            .body = pull->manifest,
                                            .done = posted,
                                            .context = pull};
    pull->exchange = path != NULL ? cluster_ask(cluster, &request) : NULL;
    free(path);
    return pull->exchange != NULL;
}

static void posted(void *context, const struct cluster_reply *reply)
{
    struct pull_secret *pull = context;
    pull->exchange = NULL;
    if (!reply->ok && reply->status == 409 && !pull->replacing) { /* of a try before this one: its login may be old */
        pull->replacing = true;
        if (send(pull)) {
            return;
        }
    }
    if (!reply->ok) {
        const struct login *login = &pull->logins[0];
        snprintf(pull->words, sizeof(pull->words),
                 "the login for '%.*s' (as '%.80s', from %.120s) cannot be handed to the cluster: %.500s",
                 (int)strcspn(login->image, "/"), login->image, login->username, login->origin, reply->words);
        fail(pull, reply->failure,
             reply->failure == DESCPIPE_FAILED_REFUSED || reply->status == 403 ? hint_own : reply->hint);
    }
    tell(pull);
}

static bool make_manifest(struct pull_secret *pull)
{
    const struct descpipe_host *host = pull->request.cluster->host;
    const struct descpipe_submission *submission = pull->request.submission;
    struct pull_login logins[PULL_SECRET_LOGINS];
    for (size_t i = 0; i < pull->count; i++) {
        logins[i] = (struct pull_login){.image = pull->logins[i].image,
                                        .username = pull->logins[i].username,
                                        .password = host->secret->reveal(pull->logins[i].password, NULL)};
    }
    char *config = pull_secret_config(logins, pull->count);
    char *data = config != NULL ? packed(config, strlen(config)) : NULL;
    if (data != NULL) {
        pull->manifest =
            json_pack("{s:s, s:s, s:s, s:{s:s, s:{s:s, s:s, s:s, s:s}}, s:{s:s}}", "apiVersion", "v1", "kind", "Secret",
                      "type", "kubernetes.io/dockerconfigjson", "metadata", "name", pull->name, "labels",
                      "app.kubernetes.io/managed-by", "descpipe", POD_LABEL_RUN, submission->run, POD_LABEL_TOKEN,
                      submission->token, PULL_SECRET_LABEL, PULL_SECRET_LABEL_VALUE, "data", ".dockerconfigjson", data);
    }
    pull_secret_wipe(config);
    pull_secret_wipe(data);
    return pull->manifest != NULL;
}

static void finish(struct pull_secret *pull)
{
    if (pull->failure == 0 && pull->count > 0) {
        if (make_manifest(pull) && send(pull)) {
            return;
        }
        snprintf(pull->words, sizeof(pull->words), "out of memory");
        fail(pull, DESCPIPE_FAILED_CANNOT_ASK, NULL);
    }
    tell(pull);
}

/* Once for each login: a run has many submissions. */
static void tell_end(struct pull_secret *pull, const struct descpipe_credential *credential)
{
    struct cluster *cluster = pull->request.cluster;
    char words[PULL_SECRET_WORDS], place[512], when[32] = "";
    time_t seconds = (time_t)(credential->expires_at_ms / 1000);
    struct tm moment;
    if (gmtime_r(&seconds, &moment) == NULL || strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &moment) == 0) {
        return;
    }
    const char *image = pull->image.reference;
    snprintf(place, sizeof(place), "%.*s %s", (int)strcspn(image, "/"), image, when);
    if (cluster->told == NULL) {
        cluster->told = json_object();
    }
    if (json_object_get(cluster->told, place) != NULL || json_object_set_new(cluster->told, place, json_true()) != 0) {
        return;
    }
    snprintf(
        words, sizeof(words),
        "the nodes of the cluster pull '%.300s' with a login that ends at %s, and nobody renews it there: a stage that "
        "waits longer for its node may fail",
        image, when);
    cluster->host->log->write(cluster->host, DESCPIPE_LOG_WARNING, words);
}

static bool keep_login(struct pull_secret *pull, const struct descpipe_credential *credential)
{
    const struct descpipe_host *host = pull->request.cluster->host;
    uint64_t length = 0;
    const char *password = host->secret->reveal(credential->password, &length);
    struct login login = {.image = strdup(pull->image.reference),
                          .username = strdup(credential->username),
                          .origin = strdup(credential->origin != NULL ? credential->origin : "nobody knows where"),
                          .password = host->secret->make(password, length)};
    pull->logins[pull->count++] = login;
    return login.image != NULL && login.username != NULL && login.origin != NULL && login.password != NULL;
}

static void ask_next(void *context);

static void got_login(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct pull_secret *pull = context;
    pull->asking = false;
    if (pull->dropped) {
        pull_secret_free(pull);
        return;
    }
    bool known = credential != NULL && credential->password != NULL;
    if (message != NULL) {
        snprintf(pull->words, sizeof(pull->words), "%s", message);
        fail(pull, DESCPIPE_FAILED_NEEDS_LOGIN, NULL);
    } else if (known && (credential->username == NULL || strcmp(credential->username, ACCOUNT_TOKEN) == 0)) {
        snprintf(pull->words, sizeof(pull->words),
                 "the login for '%.300s' (from %.200s) is a token, with which the nodes of a cluster cannot pull",
                 pull->image.reference, credential->origin != NULL ? credential->origin : "nobody knows where");
        fail(pull, DESCPIPE_FAILED_REFUSED, hint_own);
    } else if (known && pull->count == PULL_SECRET_LOGINS) {
        snprintf(pull->words, sizeof(pull->words), "the images of one submission have more than %d logins",
                 PULL_SECRET_LOGINS);
        fail(pull, DESCPIPE_FAILED_REFUSED, hint_own);
    } else if (known) {
        if (credential->expires_at_ms > 0) {
            tell_end(pull, credential);
        }
        if (!keep_login(pull, credential)) {
            snprintf(pull->words, sizeof(pull->words), "out of memory");
            fail(pull, DESCPIPE_FAILED_CANNOT_ASK, NULL);
        }
    }
    ask_next(pull);
}

/* The next job whose repository was not asked for yet. */
static const char *next_image(struct pull_secret *pull)
{
    const struct descpipe_submission *submission = pull->request.submission;
    while (pull->next_job < submission->count) {
        const struct descpipe_job *job = submission->jobs[pull->next_job++];
        const char *image = job->form != NULL ? job->form->image : NULL;
        if (image == NULL || !pull->request.wanted(pull->request.self, job)) {
            continue;
        }
        char *repository = strndup(image, pull_secret_repository(image));
        bool fresh = repository != NULL && json_object_get(pull->asked, repository) == NULL;
        if (fresh) {
            json_object_set_new(pull->asked, repository, json_true());
        }
        free(repository);
        if (fresh) {
            return image;
        }
    }
    return NULL;
}

static void ask_next(void *context)
{
    struct pull_secret *pull = context;
    const struct descpipe_host *host = pull->request.cluster->host;
    const char *image = pull->failure == 0 ? next_image(pull) : NULL;
    pull->later = NULL;
    if (image == NULL) {
        finish(pull);
        return;
    }
    pull->image =
        (struct descpipe_image){.size = sizeof(pull->image), .source = DESCPIPE_SOURCE_REGISTRY, .reference = image};
    pull->asking = true;
    host->credential->for_image(host, &pull->image, DESCPIPE_PURPOSE_PULL, got_login, pull);
}

struct pull_secret *pull_secret_make(const struct pull_secret_request *request)
{
    struct pull_secret *pull = calloc(1, sizeof(*pull));
    if (pull == NULL || (pull->asked = json_object()) == NULL) {
        free(pull);
        return NULL;
    }
    pull->request = *request;
    snprintf(pull->name, sizeof(pull->name), "%s-pull", request->submission->token);
    pull->later = request->cluster->host->timer->start(request->cluster->host, 0, ask_next, pull);
    return pull;
}

/* Its end. */

static void owned(void *context, const struct cluster_reply *reply)
{
    const struct cluster *cluster = context;
    if (!reply->ok) {
        char words[PULL_SECRET_WORDS];
        snprintf(words, sizeof(words), "the registry login in the cluster stays until the run is over: %s",
                 reply->words);
        cluster->host->log->write(cluster->host, DESCPIPE_LOG_WARNING, words);
    }
}

void pull_secret_own(struct cluster *cluster, const char *token, json_t *owners)
{
    char *path = cluster_path(cluster, "/api/v1/namespaces/%s/secrets/%s-pull", cluster->namespace, token);
    json_t *patch = json_pack("{s:{s:o}}", "metadata", "ownerReferences", owners);
    const struct cluster_request request = {.method = "PATCH",
                                            .path = path,
                                            .body = patch,
                                            .type = "application/merge-patch+json",
                                            .done = owned,
                                            .context = cluster};
    if (path != NULL && patch != NULL) {
        cluster_ask(cluster, &request);
    }
    json_decref(patch);
    free(path);
}

struct cluster_exchange *pull_secret_remove(struct cluster *cluster, const char *token,
                                            void (*done)(void *context, const struct cluster_reply *reply),
                                            void *context)
{
    char *path = cluster_path(cluster, "/api/v1/namespaces/%s/secrets/%s-pull", cluster->namespace, token);
    const struct cluster_request request = {.method = "DELETE", .path = path, .done = done, .context = context};
    struct cluster_exchange *exchange = path != NULL ? cluster_ask(cluster, &request) : NULL;
    free(path);
    return exchange;
}

void pull_secret_check_removed(const struct cluster *cluster, const struct cluster_reply *reply)
{
    if (!reply->ok && reply->status != 404) {
        char words[PULL_SECRET_WORDS];
        snprintf(words, sizeof(words),
                 "a registry login stays in the cluster (kubectl delete secret -n %.100s -l " PULL_SECRET_LABEL
                 "=" PULL_SECRET_LABEL_VALUE "): %s",
                 cluster->namespace, reply->words);
        cluster->host->log->write(cluster->host, DESCPIPE_LOG_WARNING, words);
    }
}
