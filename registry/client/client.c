/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests to one registry as one person; client.h tells how.
 *
 * An exchange is WAITING for its turn, AUTHORISING (for a token that it or another one fetches), ON_WIRE, or ENDING
 * (stopped or failed before it was sent; told by a timer).
 */
#include "registry/client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "registry/client/challenge.h"
#include "registry/client/explain.h"
#include "registry/client/retry.h"
#include "registry/client/token.h"
#include "registry/client/url.h"
#include "registry/client/wire.h"

#define PATIENCE_MS 90000 /* for limits, in all: a question to a plugin may take two minutes */
#define TRIES 5
#define REFUSALS_LIMIT 2 /* of tokens, for one request: ours may be too old, then too narrow */

enum state { WAITING, AUTHORISING, ON_WIRE, ENDING };

struct client_exchange {
    struct registry_client *client;
    TAILQ_ENTRY(client_exchange) in_queue; /* waiting, or authorising */
    enum state state;
    struct client_request request;
    char *method, *url, *scope, *what;
    char *wanted_scope; /* as the registry's challenge names it; NULL: `scope` */
    char **headers;
    char *body;
    unsigned refusals;
    bool carried_token, stopped;
    struct wire *wire;
    struct descpipe_timer *timer;
    struct failure failure; /* told when ENDING */
};
TAILQ_HEAD(exchanges, client_exchange);

/* A token on its way. */
struct fetching {
    struct registry_client *client;
    struct fetching *next;
    char *scope;
    struct token_fetch *fetch;
};

struct registry_client {
    struct access access;
    unsigned references;
    unsigned on_wire;
    bool answered; /* once, so that we know how it wants to be asked */
    bool has_challenge;
    struct challenge challenge;
    struct token_cache *tokens;
    struct fetching *fetching;
    struct exchanges waiting, authorising;
    uint64_t patience_ms;
    unsigned tries;
};

struct registry_client *registry_client_new(const struct access *access, struct failure *failure)
{
    struct registry_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        failure_memory(failure);
        return NULL;
    }
    client->references = 1;
    client->patience_ms = PATIENCE_MS;
    client->tries = TRIES;
    TAILQ_INIT(&client->waiting);
    TAILQ_INIT(&client->authorising);
    if (!access_copy(&client->access, access, failure)) {
        free(client);
        return NULL;
    }
    client->tokens = token_cache_new(&client->access);
    if (client->tokens != NULL)
        return client;
    registry_client_release(client);
    failure_memory(failure);
    return NULL;
}

void registry_client_retain(struct registry_client *client)
{
    client->references++;
}

void registry_client_release(struct registry_client *client)
{
    if (client == NULL || --client->references > 0)
        return;
    token_cache_free(client->tokens);
    challenge_clear(&client->challenge);
    access_clear(&client->access);
    free(client);
}

const struct access *registry_client_access(const struct registry_client *client)
{
    return &client->access;
}

void registry_client_set_patience(struct registry_client *client, uint64_t patience_ms)
{
    client->patience_ms = patience_ms;
}

uint64_t registry_client_patience(const struct registry_client *client)
{
    return client->patience_ms;
}

void registry_client_set_tries(struct registry_client *client, unsigned tries)
{
    client->tries = tries > 0 ? tries : 1;
}

static void exchange_free(struct client_exchange *exchange)
{
    failure_clear(&exchange->failure);
    free(exchange->method);
    free(exchange->url);
    free(exchange->scope);
    free(exchange->wanted_scope);
    free(exchange->what);
    for (size_t i = 0; exchange->headers != NULL && exchange->headers[i] != NULL; i++)
        free(exchange->headers[i]);
    free((void *)exchange->headers);
    free(exchange->body);
    free(exchange);
}

static void serve_waiting(struct registry_client *client);

/* Calls `done` and frees the exchange, which is in no queue any more. */
static void finish(struct client_exchange *exchange, const struct client_answer *answer, const struct failure *failure)
{
    static const char *const nothing[] = {NULL};
    struct registry_client *client = exchange->client;
    const struct client_answer none = {.url = exchange->url, .body = "", .headers = nothing};
    exchange->request.done(exchange->request.context, answer != NULL ? answer : &none, failure);
    exchange_free(exchange);
    serve_waiting(client);
    registry_client_release(client);
}

static void tell_ending(void *context)
{
    struct client_exchange *exchange = context;
    cleanup(failure_clear) struct failure failure = exchange->failure;
    exchange->failure = FAILURE_INIT;
    finish(exchange, NULL, &failure);
}

/* Ends an exchange that is not on the wire, from the loop. Takes the failure. */
static void end_soon(struct client_exchange *exchange, struct failure *failure)
{
    const struct descpipe_host *host = exchange->client->access.host;
    exchange->state = ENDING;
    exchange->failure = *failure;
    *failure = FAILURE_INIT;
    exchange->timer = host->timer->start(host, 0, tell_ending, exchange);
}

static const char *token_scope(const struct client_exchange *exchange)
{
    return exchange->wanted_scope != NULL ? exchange->wanted_scope : exchange->scope;
}

static bool uses_tokens(const struct registry_client *client)
{
    const struct access *access = &client->access;
    return client->has_challenge && client->challenge.scheme == CHALLENGE_BEARER &&
           (access->password == NULL || access->username != NULL);
}

static bool uses_basic(const struct registry_client *client)
{
    const struct access *access = &client->access;
    return client->has_challenge && client->challenge.scheme == CHALLENGE_BASIC && access->password != NULL &&
           access->username != NULL;
}

static void on_answer(void *context, const struct client_answer *answer, const struct failure *failure);

static bool on_started(void *context, const struct client_answer *answer, struct failure *failure)
{
    struct client_exchange *exchange = context;
    exchange->client->answered = true;
    serve_waiting(exchange->client);
    return exchange->request.started(exchange->request.context, answer, failure);
}

static bool on_data(void *context, const void *bytes, size_t length, struct failure *failure)
{
    struct client_exchange *exchange = context;
    return exchange->request.data(exchange->request.context, bytes, length, failure);
}

static void send_now(struct client_exchange *exchange, const struct descpipe_secret *bearer)
{
    struct registry_client *client = exchange->client;
    const struct client_request *given = &exchange->request;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    const struct wire_request request = {.access = &client->access,
                                         .method = exchange->method,
                                         .url = exchange->url,
                                         .headers = (const char *const *)exchange->headers,
                                         .bearer = bearer,
                                         .basic = bearer == NULL && uses_basic(client),
                                         .body = exchange->body,
                                         .body_length = given->body_length,
                                         .body_descriptor = given->body_descriptor,
                                         .body_offset = given->body_offset,
                                         .answer_limit = given->answer_limit,
                                         .flags = given->flags,
                                         .retry = {.tries = client->tries, .patience_ms = client->patience_ms},
                                         .what = exchange->what,
                                         .started = given->data != NULL ? on_started : NULL,
                                         .data = given->data != NULL ? on_data : NULL,
                                         .done = on_answer,
                                         .context = exchange};
    exchange->carried_token = bearer != NULL;
    exchange->wire = wire_start(&request, &failure);
    if (exchange->wire == NULL) {
        end_soon(exchange, &failure);
        return;
    }
    exchange->state = ON_WIRE;
    client->on_wire++;
}

static void on_token(void *context, struct token *token, const struct failure *given);

/* Nobody fetches this scope's token yet. */
static bool fetch_token(struct registry_client *client, const char *scope, struct failure *failure)
{
    struct fetching *fetching = calloc(1, sizeof *fetching);
    if (fetching == NULL || (fetching->scope = strdup(scope)) == NULL) {
        free(fetching);
        return failure_memory(failure);
    }
    fetching->client = client;
    const struct token_fetch_request request = {.access = &client->access,
                                                .challenge = &client->challenge,
                                                .scope = scope,
                                                .done = on_token,
                                                .context = fetching};
    fetching->fetch = token_fetch_start(&request, failure);
    if (fetching->fetch == NULL) {
        free(fetching->scope);
        free(fetching);
        return false;
    }
    fetching->next = client->fetching;
    client->fetching = fetching;
    registry_client_retain(client);
    return true;
}

static bool is_fetched(const struct registry_client *client, const char *scope)
{
    for (const struct fetching *it = client->fetching; it != NULL; it = it->next)
        if (strcmp(it->scope, scope) == 0)
            return true;
    return false;
}

/* Sends it, or lets it wait for its token. */
static void proceed(struct client_exchange *exchange)
{
    struct registry_client *client = exchange->client;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    const char *scope = token_scope(exchange);
    const struct descpipe_secret *token;
    if (!uses_tokens(client)) {
        bool own = client->access.password != NULL && client->access.username == NULL;
        send_now(exchange, own ? client->access.password : NULL);
    } else if ((token = token_cache_find(client->tokens, scope, clock_now_ms())) != NULL)
        send_now(exchange, token);
    else if (is_fetched(client, scope) || fetch_token(client, scope, &failure)) {
        exchange->state = AUTHORISING;
        TAILQ_INSERT_TAIL(&client->authorising, exchange, in_queue);
    } else {
        failure_wrap(&failure, "%s", exchange->what);
        end_soon(exchange, &failure);
    }
}

/* The first goes alone: it learns for all others how the registry wants to be asked. */
static void serve_waiting(struct registry_client *client)
{
    struct client_exchange *exchange;
    while (client->on_wire < (client->answered ? CLIENT_OPEN_LIMIT : 1u) &&
           (exchange = TAILQ_FIRST(&client->waiting)) != NULL) {
        TAILQ_REMOVE(&client->waiting, exchange, in_queue);
        proceed(exchange);
    }
}

/* A token came, or not: all that waited for it go on, or fail with the same words. */
static void on_token(void *context, struct token *token, const struct failure *given)
{
    struct fetching *fetching = context;
    struct registry_client *client = fetching->client;
    cleanup(failure_clear) struct failure kept = FAILURE_INIT;
    struct fetching **place = &client->fetching;
    while (*place != fetching)
        place = &(*place)->next;
    *place = fetching->next;
    if (token != NULL)
        token_cache_keep(client->tokens, fetching->scope, token, &kept);
    struct exchanges ready = TAILQ_HEAD_INITIALIZER(ready);
    struct client_exchange *exchange = TAILQ_FIRST(&client->authorising), *next;
    for (; exchange != NULL; exchange = next) {
        next = TAILQ_NEXT(exchange, in_queue);
        if (strcmp(token_scope(exchange), fetching->scope) != 0)
            continue;
        TAILQ_REMOVE(&client->authorising, exchange, in_queue);
        TAILQ_INSERT_TAIL(&ready, exchange, in_queue);
    }
    const struct failure *failure = given != NULL ? given : kept.kind != 0 ? &kept : NULL;
    while ((exchange = TAILQ_FIRST(&ready)) != NULL) {
        TAILQ_REMOVE(&ready, exchange, in_queue);
        if (failure == NULL) {
            exchange->state = WAITING;
            TAILQ_INSERT_TAIL(&client->waiting, exchange, in_queue);
            continue;
        }
        struct failure own = FAILURE_INIT;
        failure_set(&own, failure->kind, "%s: %s", exchange->what, failure_message(failure));
        if (failure->hint != NULL)
            failure_hint(&own, "%s", failure->hint);
        end_soon(exchange, &own);
        failure_clear(&own);
    }
    free(fetching->scope);
    free(fetching);
    serve_waiting(client);
    registry_client_release(client);
}

static bool is_expected(const struct client_request *request, int status)
{
    for (size_t i = 0; i < CLIENT_EXPECTED_LIMIT; i++)
        if (request->expected[i] != 0 && request->expected[i] == status)
            return true;
    return status / 100 == 2;
}

/* Learns from a 401 how to ask; false: we cannot answer what it wants, or did so in vain. */
static bool learn_challenge(struct client_exchange *exchange, const struct client_answer *answer,
                            struct failure *failure)
{
    struct registry_client *client = exchange->client;
    cleanup(challenges_clear) struct challenges challenges = {0};
    for (const char *const *header = answer->headers; header[0] != NULL; header += 2)
        if (strcasecmp(header[0], "WWW-Authenticate") == 0 && !challenges_add(&challenges, header[1], failure))
            return failure_wrap(failure, "%s", exchange->what);
    const struct challenge *chosen = challenges_choose(&challenges);
    if (chosen == NULL || exchange->refusals++ >= REFUSALS_LIMIT)
        return false;
    bool tried_basic = chosen->scheme == CHALLENGE_BASIC &&
                       (uses_basic(client) || client->access.password == NULL || client->access.username == NULL);
    bool own_token = client->access.password != NULL && client->access.username == NULL;
    if (tried_basic || own_token)
        return false;
    if (exchange->carried_token)
        token_cache_drop(client->tokens, token_scope(exchange));
    struct challenge learnt;
    if (!challenge_copy(&learnt, chosen, failure))
        return false;
    challenge_clear(&client->challenge);
    client->challenge = learnt;
    client->has_challenge = true;
    /* A registry that renames what it is asked for (a cache, a proxy) says in its own words what opens it. */
    if (exchange->carried_token && chosen->scope != NULL && strcmp(chosen->scope, token_scope(exchange)) != 0) {
        char *scope = strdup(chosen->scope);
        if (scope == NULL)
            return failure_memory(failure);
        free(exchange->wanted_scope);
        exchange->wanted_scope = scope;
    }
    return true;
}

static void on_answer(void *context, const struct client_answer *answer, const struct failure *given)
{
    struct client_exchange *exchange = context;
    struct registry_client *client = exchange->client;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    exchange->wire = NULL;
    client->on_wire--;
    if (given == NULL)
        client->answered = true;
    if (given == NULL && answer->status == 401 && !exchange->stopped && learn_challenge(exchange, answer, &failure)) {
        proceed(exchange);
        serve_waiting(client);
        return;
    }
    if (given == NULL && failure.kind == 0 && !is_expected(&exchange->request, answer->status))
        explain_answer(&failure, &client->access, exchange->what, answer, clock_now_ms());
    finish(exchange, answer, given != NULL ? given : failure.kind != 0 ? &failure : NULL);
}

/* "repository:A:pull repository:B:pull,push", sorted, so that equal wishes share a token. */
static char *write_scope(const struct client_request *request)
{
    char *scope = NULL;
    if (request->repository == NULL)
        return strdup("");
    int length;
    if (request->mount_from == NULL || strcmp(request->mount_from, request->repository) == 0)
        length = asprintf(&scope, "repository:%s:%s", request->repository, request->actions);
    else if (strcmp(request->mount_from, request->repository) < 0)
        length = asprintf(&scope, "repository:%s:pull repository:%s:%s", request->mount_from, request->repository,
                          request->actions);
    else
        length = asprintf(&scope, "repository:%s:%s repository:%s:pull", request->repository, request->actions,
                          request->mount_from);
    return length < 0 ? NULL : scope;
}

static char *whole_url(const struct registry_client *client, const char *path, struct failure *failure)
{
    char *url = NULL;
    if (path[0] != '/') {
        if (url_same_origin(path, client->access.endpoint) && url_valid(path) && (url = strdup(path)) != NULL)
            return url;
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "registry '%s' sends us to another host: '%.200s'",
                    client->access.server, path);
        return NULL;
    }
    if (asprintf(&url, "%s%s", client->access.endpoint, path) >= 0)
        return url;
    failure_memory(failure);
    return NULL;
}

static bool copy_headers(struct client_exchange *exchange, const char *const *headers)
{
    size_t count = 0;
    while (headers != NULL && headers[count] != NULL)
        count++;
    exchange->headers = calloc(count + 1, sizeof *exchange->headers);
    for (size_t i = 0; exchange->headers != NULL && i < count; i++)
        if ((exchange->headers[i] = strdup(headers[i])) == NULL)
            return false;
    return exchange->headers != NULL;
}

static bool copy_request(struct client_exchange *exchange, const struct client_request *request,
                         struct failure *failure)
{
    exchange->request = *request;
    exchange->url = whole_url(exchange->client, request->path, failure);
    if (exchange->url == NULL)
        return false;
    exchange->method = strdup(request->method);
    exchange->what = strdup(request->what);
    exchange->scope = write_scope(request);
    bool good = exchange->method != NULL && exchange->what != NULL && exchange->scope != NULL &&
                copy_headers(exchange, request->headers);
    if (good && request->body != NULL && request->body_length > 0) {
        exchange->body = malloc((size_t)request->body_length);
        good = exchange->body != NULL;
        if (good)
            memcpy(exchange->body, request->body, (size_t)request->body_length);
    }
    return good ? true : failure_memory(failure);
}

struct client_exchange *registry_client_send(struct registry_client *client, const struct client_request *request,
                                             struct failure *failure)
{
    struct client_exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL) {
        failure_memory(failure);
        return NULL;
    }
    exchange->client = client;
    if (!copy_request(exchange, request, failure)) {
        exchange_free(exchange);
        return NULL;
    }
    registry_client_retain(client);
    TAILQ_INSERT_TAIL(&client->waiting, exchange, in_queue);
    serve_waiting(client);
    return exchange;
}

void client_exchange_stop(struct client_exchange *exchange)
{
    if (exchange == NULL || exchange->stopped)
        return;
    struct registry_client *client = exchange->client;
    exchange->stopped = true;
    if (exchange->state == ON_WIRE) {
        wire_stop(exchange->wire);
        return;
    }
    if (exchange->state == ENDING)
        return;
    TAILQ_REMOVE(exchange->state == WAITING ? &client->waiting : &client->authorising, exchange, in_queue);
    struct failure failure = FAILURE_INIT;
    failure_set(&failure, DESCPIPE_FAILED_CANCELLED, "%s: cancelled", exchange->what);
    end_soon(exchange, &failure);
}
