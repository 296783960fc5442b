/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tokens of a registry's token service, by scope.
 *
 * How it works: with an identity token the service is asked by POST (OAuth 2), else by GET with Basic or without a
 * login; a service that knows no GET with a login (404, 405) is asked by POST with the password. An identity token that
 * the service renews is used from then on.
 *
 * Sources: distribution's token authentication specification, "token" and "oauth"; RFC 6749 sections 4.3, 5 and 6.
 */
#ifndef DESCPIPE_REGISTRY_TOKEN_H
#define DESCPIPE_REGISTRY_TOKEN_H

#include "registry/client/access.h"
#include "registry/client/challenge.h"

#define TOKEN_LIMIT 65536         /* bytes of one token: some hold a whole signed document */
#define TOKEN_ANSWER_LIMIT 262144 /* bytes */
#define TOKEN_CACHE_LIMIT 1024    /* tokens of one client */
#define TOKEN_DEFAULT_LIFE_MS 60000
#define TOKEN_MARGIN_MS 10000 /* so long before its end, or for its last quarter, a token is not used any more */

struct token {
    struct descpipe_secret *secret;
    int64_t expires_at_ms; /* Unix epoch */
    int64_t use_until_ms;
};

/* What a token service answered. Owned; free with token_clear. */
bool token_read(struct token *token, struct descpipe_secret **renewed, const struct access *access, const char *body,
                size_t length, int64_t now_ms, struct failure *failure);
void token_clear(struct token *token, const struct access *access);

/* Kept tokens; one list for one client. */
struct token_cache;
struct token_cache *token_cache_new(const struct access *access);
void token_cache_free(struct token_cache *cache);
/* Borrowed until the cache changes; NULL: none that still holds. `scope` is the space-separated, sorted list. */
const struct descpipe_secret *token_cache_find(struct token_cache *cache, const char *scope, int64_t now_ms);
bool token_cache_keep(struct token_cache *cache, const char *scope, struct token *token,
                      struct failure *failure); /* takes the secret */
void token_cache_drop(struct token_cache *cache, const char *scope);

struct token_fetch;
struct token_fetch_request {
    struct access *access;             /* lives until done; its password changes when the service renews it */
    const struct challenge *challenge; /* Bearer, copied */
    const char *scope;                 /* space-separated; "": only the login is checked; copied */
    void (*done)(void *context, struct token *token, const struct failure *failure); /* once; `token` may be taken */
    void *context;
};
struct token_fetch *token_fetch_start(const struct token_fetch_request *request, struct failure *failure);
void token_fetch_stop(struct token_fetch *fetch); /* `done` still comes */

#endif
