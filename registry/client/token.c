/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens of a registry's token service, by scope. */
#include "registry/client/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/client/explain.h"
#include "registry/client/retry.h"
#include "registry/client/url.h"
#include "registry/client/wire.h"
#include "registry/document.h"

#define CLIENT_ID "descpipe"
#define TRIES 4
#define LONGEST_LIFE_MS (30ll * 24 * 3600 * 1000)

void token_clear(struct token *token, const struct access *access)
{
    if (token->secret != NULL)
        access->host->secret->release(token->secret);
    *token = (struct token){0};
}

static int64_t life_ms(const json_t *root)
{
    const json_t *member = json_object_get(root, "expires_in");
    int64_t seconds = json_is_integer(member) ? (int64_t)json_integer_value(member) : 0;
    if (seconds <= 0)
        return TOKEN_DEFAULT_LIFE_MS;
    return seconds < LONGEST_LIFE_MS / 1000 ? seconds * 1000 : LONGEST_LIFE_MS;
}

bool token_read(struct token *token, struct descpipe_secret **renewed, const struct access *access, const char *body,
                size_t length, int64_t now, struct failure *failure)
{
    const struct descpipe_secret_service *secrets = access->host->secret;
    cleanup(document_free) json_t *root = document_parse(body, length, failure);
    if (root == NULL)
        return failure_wrap(failure, "the token service's answer");
    const char *text = json_string_value(json_object_get(root, "token"));
    if (text == NULL || text[0] == '\0')
        text = json_string_value(json_object_get(root, "access_token"));
    if (text == NULL || text[0] == '\0')
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the token service's answer holds no token");
    if (strlen(text) > TOKEN_LIMIT)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the token service's token is longer than %d bytes",
                           TOKEN_LIMIT);
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            return failure_set(failure, DESCPIPE_FAILED_REFUSED,
                               "the token service's token holds what cannot stand in a header");
    const char *next = json_string_value(json_object_get(root, "refresh_token"));
    struct descpipe_secret *secret = secrets->make(text, strlen(text));
    if (secret == NULL)
        return failure_memory(failure);
    int64_t life = life_ms(root), margin = life / 4 < TOKEN_MARGIN_MS ? life / 4 : TOKEN_MARGIN_MS;
    *token = (struct token){.secret = secret, .expires_at_ms = now + life, .use_until_ms = now + life - margin};
    if (renewed != NULL && next != NULL && next[0] != '\0' && strlen(next) <= TOKEN_LIMIT)
        *renewed = secrets->make(next, strlen(next));
    return true;
}

/* --- the cache --- */

struct kept {
    char *scope;
    struct token token;
};

struct token_cache {
    const struct access *access;
    struct kept *items;
    size_t count, capacity;
};

struct token_cache *token_cache_new(const struct access *access)
{
    struct token_cache *cache = calloc(1, sizeof *cache);
    if (cache != NULL)
        cache->access = access;
    return cache;
}

static void drop_at(struct token_cache *cache, size_t i)
{
    free(cache->items[i].scope);
    token_clear(&cache->items[i].token, cache->access);
    cache->items[i] = cache->items[--cache->count];
}

void token_cache_free(struct token_cache *cache)
{
    if (cache == NULL)
        return;
    while (cache->count > 0)
        drop_at(cache, cache->count - 1);
    free(cache->items);
    free(cache);
}

const struct descpipe_secret *token_cache_find(struct token_cache *cache, const char *scope, int64_t now)
{
    for (size_t i = 0; i < cache->count; i++) {
        if (strcmp(cache->items[i].scope, scope) != 0)
            continue;
        if (cache->items[i].token.use_until_ms > now)
            return cache->items[i].token.secret;
        drop_at(cache, i);
        return NULL;
    }
    return NULL;
}

void token_cache_drop(struct token_cache *cache, const char *scope)
{
    for (size_t i = 0; i < cache->count; i++)
        if (strcmp(cache->items[i].scope, scope) == 0) {
            drop_at(cache, i);
            return;
        }
}

/* Makes room: those that have expired, or else the one that ends first. */
static void make_room(struct token_cache *cache)
{
    int64_t now = clock_now_ms();
    size_t first = 0;
    for (size_t i = cache->count; i-- > 0;)
        if (cache->items[i].token.expires_at_ms <= now)
            drop_at(cache, i);
    if (cache->count < TOKEN_CACHE_LIMIT)
        return;
    for (size_t i = 1; i < cache->count; i++)
        if (cache->items[i].token.expires_at_ms < cache->items[first].token.expires_at_ms)
            first = i;
    drop_at(cache, first);
}

bool token_cache_keep(struct token_cache *cache, const char *scope, struct token *token, struct failure *failure)
{
    token_cache_drop(cache, scope);
    if (cache->count == TOKEN_CACHE_LIMIT)
        make_room(cache);
    if (cache->count == cache->capacity) {
        size_t capacity = cache->capacity == 0 ? 8 : 2 * cache->capacity;
        struct kept *items = realloc(cache->items, capacity * sizeof *items);
        if (items == NULL)
            return failure_memory(failure);
        cache->items = items;
        cache->capacity = capacity;
    }
    char *copy = strdup(scope);
    if (copy == NULL)
        return failure_memory(failure);
    cache->items[cache->count++] = (struct kept){.scope = copy, .token = *token};
    *token = (struct token){0};
    return true;
}

/* --- asking the service --- */

struct token_fetch {
    struct token_fetch_request request;
    struct challenge challenge;
    char *scope, *what;
    bool posted;
    struct wire *wire;
};

static void fetch_free(struct token_fetch *fetch)
{
    challenge_clear(&fetch->challenge);
    free(fetch->scope);
    free(fetch->what);
    free(fetch);
}

static bool has_identity_token(const struct access *access)
{
    return access->password != NULL && access->username != NULL && strcmp(access->username, ACCESS_IDENTITY_TOKEN) == 0;
}

/* A login must not go over an open line, nor to a service on this machine that a stranger named. */
static bool check_realm(const struct access *access, const char *realm, struct failure *failure)
{
    if (!url_valid(realm))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED,
                           "registry '%s' names a token service that is no URL: '%.200s'", access->server, realm);
    if (url_is_loopback(realm) && !url_is_loopback(access->endpoint))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED,
                           "registry '%s' names a token service on this machine, '%.200s'", access->server, realm);
    if (!url_is_plain(realm) || url_is_loopback(realm) || url_is_plain(access->endpoint))
        return true;
    failure_set(failure, DESCPIPE_FAILED_REFUSED, "registry '%s' names a token service without https, '%.200s'",
                access->server, realm);
    return failure_hint(failure, "allow plain http to this registry only if the whole way to it is trusted");
}

static bool add_parameter(char **url, const char *name, const char *value, struct failure *failure)
{
    char *longer = value != NULL ? url_add_parameter(*url, name, value, failure) : NULL;
    if (value == NULL)
        return true;
    if (longer == NULL)
        return false;
    free(*url);
    *url = longer;
    return true;
}

static char *get_url(const struct token_fetch *fetch, struct failure *failure)
{
    const struct access *access = fetch->request.access;
    cleanup(memory_free) char *url = strdup(fetch->challenge.realm), *scopes = strdup(fetch->scope);
    if (url == NULL || scopes == NULL) {
        failure_memory(failure);
        return NULL;
    }
    if (!add_parameter(&url, "account", access->password != NULL ? access->username : NULL, failure) ||
        !add_parameter(&url, "service", fetch->challenge.service, failure))
        return NULL;
    for (char *scope = scopes, *next = NULL; scope != NULL && *scope != '\0'; scope = next) {
        size_t length = strcspn(scope, " ");
        next = scope[length] != '\0' ? scope + length + 1 : NULL;
        scope[length] = '\0';
        if (length > 0 && !add_parameter(&url, "scope", scope, failure))
            return NULL;
    }
    return steal(&url);
}

/* The form of RFC 6749; it holds the secret and is wiped by whoever frees it. */
static char *post_form(const struct token_fetch *fetch, struct failure *failure)
{
    const struct access *access = fetch->request.access;
    bool identity = has_identity_token(access);
    const char *secret = access->host->secret->reveal(access->password, NULL);
    cleanup(memory_free) char *service =
        url_encode(fetch->challenge.service != NULL ? fetch->challenge.service : "", failure);
    cleanup(memory_free) char *scope = url_encode(fetch->scope, failure), *user = url_encode(access->username, failure);
    char *word = url_encode(secret, failure), *form = NULL;
    int length = -1;
    if (service != NULL && scope != NULL && user != NULL && word != NULL)
        length = identity
                     ? asprintf(&form, "grant_type=refresh_token&service=%s&client_id=%s&scope=%s&refresh_token=%s",
                                service, CLIENT_ID, scope, word)
                     : asprintf(&form, "grant_type=password&service=%s&client_id=%s&scope=%s&username=%s&password=%s",
                                service, CLIENT_ID, scope, user, word);
    if (word != NULL)
        explicit_bzero(word, strlen(word));
    free(word);
    if (length >= 0)
        return form;
    failure_memory(failure);
    return NULL;
}

static void on_answer(void *context, const struct client_answer *answer, const struct failure *failure);

static bool ask(struct token_fetch *fetch, bool post, struct failure *failure)
{
    static const char *const form_headers[] = {"Content-Type: application/x-www-form-urlencoded",
                                               "Accept: application/json", NULL};
    static const char *const plain_headers[] = {"Accept: application/json", NULL};
    struct access *access = fetch->request.access;
    cleanup(memory_free) char *url = post ? strdup(fetch->challenge.realm) : get_url(fetch, failure);
    char *form = post ? post_form(fetch, failure) : NULL;
    if (url == NULL || (post && form == NULL)) {
        free(form);
        return failure->kind != 0 ? false : failure_memory(failure);
    }
    const struct wire_request request = {.access = access,
                                         .method = post ? "POST" : "GET",
                                         .url = url,
                                         .headers = post ? form_headers : plain_headers,
                                         .basic = !post && access->password != NULL && access->username != NULL,
                                         .stranger = !url_same_origin(url, access->endpoint),
                                         .body = form,
                                         .body_length = form != NULL ? strlen(form) : 0,
                                         .answer_limit = TOKEN_ANSWER_LIMIT,
                                         .retry = {.tries = TRIES, .patience_ms = RETRY_LONGEST_MS},
                                         .what = fetch->what,
                                         .done = on_answer,
                                         .context = fetch};
    fetch->posted = post;
    fetch->wire = wire_start(&request, failure);
    if (form != NULL)
        explicit_bzero(form, strlen(form));
    free(form);
    return fetch->wire != NULL;
}

static void finish(struct token_fetch *fetch, struct token *token, const struct failure *failure)
{
    fetch->request.done(fetch->request.context, token, failure);
    if (token != NULL)
        token_clear(token, fetch->request.access);
    fetch_free(fetch);
}

static bool knows_no_get(const struct token_fetch *fetch, int status)
{
    const struct access *access = fetch->request.access;
    return !fetch->posted && access->password != NULL && access->username != NULL && (status == 404 || status == 405);
}

static void use_renewed(struct access *access, struct descpipe_secret *renewed)
{
    if (renewed == NULL)
        return;
    if (!has_identity_token(access)) {
        access->host->secret->release(renewed);
        return;
    }
    access->host->secret->release(access->password);
    access->password = renewed;
}

static void on_answer(void *context, const struct client_answer *answer, const struct failure *given)
{
    struct token_fetch *fetch = context;
    struct access *access = fetch->request.access;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct token token = {0};
    struct descpipe_secret *renewed = NULL;
    fetch->wire = NULL;
    if (given != NULL) {
        finish(fetch, NULL, given);
        return;
    }
    if (knows_no_get(fetch, answer->status) && ask(fetch, true, &failure))
        return;
    if (failure.kind == 0 && answer->status != 200) {
        explain_answer(&failure, access, fetch->what, answer, clock_now_ms());
        if (answer->status == 400 || answer->status == 404) /* a login that the service does not know */
            failure.kind = DESCPIPE_FAILED_NEEDS_LOGIN;
    } else if (failure.kind == 0)
        token_read(&token, &renewed, access, answer->body, answer->body_length, clock_now_ms(), &failure);
    use_renewed(access, renewed);
    finish(fetch, failure.kind == 0 ? &token : NULL, failure.kind != 0 ? &failure : NULL);
}

struct token_fetch *token_fetch_start(const struct token_fetch_request *request, struct failure *failure)
{
    const struct access *access = request->access;
    if (!check_realm(access, request->challenge->realm, failure))
        return NULL;
    struct token_fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL) {
        failure_memory(failure);
        return NULL;
    }
    fetch->request = *request;
    fetch->scope = strdup(request->scope);
    size_t length;
    const char *host = url_host(request->challenge->realm, &length);
    if (asprintf(&fetch->what, "token service '%.*s' of '%s'", (int)length, host, access->server) < 0)
        fetch->what = NULL;
    bool good = fetch->scope != NULL && fetch->what != NULL ? true : failure_memory(failure);
    if (good && challenge_copy(&fetch->challenge, request->challenge, failure) &&
        ask(fetch, has_identity_token(access), failure))
        return fetch;
    fetch_free(fetch);
    return NULL;
}

void token_fetch_stop(struct token_fetch *fetch)
{
    wire_stop(fetch->wire);
}
