/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ECR's logins: GetAuthorizationToken, asked once for all who want it, kept in memory and in a file until shortly
 * before its end (option `renew-before`), so that what is handed to a job that waits in a queue lasts as long as it
 * can.
 */
#include <stdio.h>
#include <string.h>

#include "ecr.h"

enum { TOKENS_LIMIT = 64 };

struct token {
    struct token *next;
    struct ecr *ecr;
    char key[DIGEST_SIZE]; /* of the service and whose keys */
    char *url, *origin;
    struct ecr_host place;
    struct aws_authorization authorization;
    struct waiter *waiters; /* somebody waits: it is being fetched */
};

static void token_free(struct token *token)
{
    aws_authorization_clear(&token->authorization);
    free(token->url);
    free(token->origin);
    free(token);
}

void tokens_free(struct ecr *ecr)
{
    while (ecr->tokens != NULL) {
        struct token *token = ecr->tokens;
        ecr->tokens = token->next;
        token_free(token);
    }
}

void tokens_forget(struct ecr *ecr)
{
    for (struct token *token = ecr->tokens; token != NULL; token = token->next) {
        if (token->waiters != NULL)
            continue;
        cache_drop(ecr, token->key);
        aws_authorization_clear(&token->authorization);
    }
    aws_keys_clear(&ecr->keys);
}

/* The oldest that nobody waits for goes. */
static void keep_few(struct ecr *ecr)
{
    size_t count = 0;
    struct token **oldest = NULL;
    for (struct token **place = &ecr->tokens; *place != NULL; place = &(*place)->next) {
        count++;
        if ((*place)->waiters == NULL)
            oldest = place;
    }
    if (count < TOKENS_LIMIT || oldest == NULL)
        return;
    struct token *token = *oldest;
    *oldest = token->next;
    token_free(token);
}

static bool lasts(const struct token *token)
{
    const struct aws_authorization *authorization = &token->authorization;
    return authorization->password != NULL && authorization->expires_at_ms - token->ecr->renew_ms > ecr_now_ms();
}

static void finish(struct token *token, const struct failure *failure)
{
    struct token_answer answer = {.authorization = &token->authorization, .origin = token->origin};
    waiters_finish(&token->waiters, &answer, failure);
}

static void authorization_came(void *context, const char *body, size_t length, const struct failure *failure)
{
    struct token *token = context;
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    struct aws_authorization authorization = {0};
    if (failure != NULL) {
        finish(token, failure);
        return;
    }
    if (!aws_read_authorization(body, length, &authorization, &own)) {
        aws_authorization_clear(&authorization);
        failure_wrap(&own, "the answer of GetAuthorizationToken at '%s'", token->url);
        finish(token, &own);
        return;
    }
    aws_authorization_clear(&token->authorization);
    token->authorization = authorization;
    const struct descpipe_host *host = ecr_services(token->ecr);
    if (authorization.expires_at_ms <= ecr_now_ms())
        host->log->write(host, DESCPIPE_LOG_WARNING,
                         "ECR's new token has ended already by this machine's clock: is the clock right?");
    else
        cache_write(token->ecr, token->key, &token->authorization);
    finish(token, NULL);
}

static void keys_came(void *context, const void *value, const struct failure *failure)
{
    struct token *token = context;
    const struct keys_answer *answer = value;
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    cleanup(memory_free) char *url = NULL;
    if (failure != NULL) {
        finish(token, failure);
        return;
    }
    free(token->origin);
    token->origin = strdup(answer->origin);
    if (token->origin == NULL || asprintf(&url, "%s/", token->url) < 0) {
        url = NULL;
        failure_memory(&own);
        finish(token, &own);
        return;
    }
    bool is_public = token->place.is_public;
    struct question question = {
        .what = "GetAuthorizationToken",
        .method = "POST",
        .url = url,
        .type = "application/x-amz-json-1.1",
        .body = "{}",
        .service = is_public ? "ecr-public" : "ecr",
        .region = token->place.region,
        .keys = answer->keys,
        .origin = token->origin,
        .headers = {is_public ? "X-Amz-Target: SpencerFrontendService.GetAuthorizationToken"
                              : "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"},
        .done = authorization_came,
        .context = token};
    ecr_ask(token->ecr, &question);
}

static bool make_key(const char *url, const char *identity, char key[DIGEST_SIZE])
{
    cleanup(memory_free) char *text = NULL;
    int length = asprintf(&text, "%s\n%s", url, identity);
    if (length < 0) {
        text = NULL;
        return false;
    }
    return digest_of_bytes(text, (size_t)length, key);
}

static struct token *find(struct ecr *ecr, const char *key)
{
    for (struct token *token = ecr->tokens; token != NULL; token = token->next)
        if (strcmp(token->key, key) == 0)
            return token;
    return NULL;
}

/* The token of these keys at this service, as far as it is known. NULL with a failure. */
static struct token *obtain(struct ecr *ecr, const struct ecr_host *place, struct failure *failure)
{
    cleanup(aws_plan_clear) struct aws_plan plan = {0};
    char identity[DIGEST_SIZE], key[DIGEST_SIZE];
    cleanup(memory_free) char *url =
        ecr_service_url(ecr->endpoint, place->is_public ? "AWS_ENDPOINT_URL_ECR_PUBLIC" : "AWS_ENDPOINT_URL_ECR",
                        ecr_api_url(place), failure);
    if (url == NULL || !ecr_plan(ecr, &plan, identity, failure))
        return NULL;
    if (!make_key(url, identity, key)) {
        failure_memory(failure);
        return NULL;
    }
    struct token *token = find(ecr, key);
    if (token != NULL)
        return token;
    keep_few(ecr);
    token = calloc(1, sizeof *token);
    if (token == NULL) {
        failure_memory(failure);
        return NULL;
    }
    token->ecr = ecr;
    token->place = *place;
    token->url = steal(&url);
    token->origin = steal(&plan.origin);
    memcpy(token->key, key, sizeof key);
    token->next = ecr->tokens;
    ecr->tokens = token;
    if (cache_read(ecr, key, &token->authorization) && !lasts(token))
        cache_drop(ecr, key);
    return token;
}

void token_want(struct ecr *ecr, const struct ecr_host *place, waited *done, void *context)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct token *token = obtain(ecr, place, &failure);
    if (token == NULL) {
        done(context, NULL, &failure);
        return;
    }
    bool fetching = token->waiters != NULL;
    if (!fetching && lasts(token)) {
        struct token_answer answer = {.authorization = &token->authorization, .origin = token->origin};
        done(context, &answer, NULL);
        return;
    }
    if (!waiters_add(&token->waiters, done, context)) {
        failure_memory(&failure);
        done(context, NULL, &failure);
        return;
    }
    if (!fetching)
        keys_want(ecr, keys_came, token);
}
