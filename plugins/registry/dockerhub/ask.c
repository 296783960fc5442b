/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asks Docker Hub how many pulls are left: a HEAD of a manifest that Docker keeps for this question and does not count.
 */
#include <stdio.h>
#include <string.h>

#include "dockerhub.h"
#include "limit.h"
#include "registry/client/retry.h"

#define LIMIT_REPOSITORY "ratelimitpreview/test"

enum { STATUS_TOO_MANY = 429 };

struct asking {
    struct dockerhub *hub;
    struct descpipe_call *call; /* NULL: cancelled */
    struct reference reference;
    struct failure failure; /* of the resolve that hit the limit; kind 0: a probe */
    bool anonymous;
    struct client_exchange *exchange;
};

static const struct descpipe_host *services(const struct asking *asking)
{
    return asking->hub->inquirer.host;
}

/* The call ends with what was to be told anyway. */
static void finish(struct asking *asking, const struct failure *failure)
{
    const struct failure *told = asking->failure.kind != 0 ? &asking->failure : failure;
    if (asking->call != NULL && told != NULL)
        failure_finish(told, services(asking), asking->call);
    else if (asking->call != NULL)
        services(asking)->call->succeed(asking->call);
    failure_clear(&asking->failure);
    reference_clear(&asking->reference);
    free(asking);
}

static void wish_to_cancel(void *context)
{
    struct asking *asking = context;
    struct descpipe_call *call = steal(&asking->call);
    services(asking)->call->fail(call, DESCPIPE_FAILED_CANCELLED, "cancelled", NULL);
    if (asking->exchange != NULL)
        client_exchange_stop(asking->exchange);
}

static void add_limit(struct asking *asking, const struct pull_limit *limit)
{
    char text[200];
    pull_limit_describe(limit, text, sizeof text);
    if (asking->failure.kind == 0) {
        services(asking)->answer->fact(asking->call, "limit", text);
        return;
    }
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    failure_set(&own, asking->failure.kind, "%s; Docker Hub allows %s", failure_message(&asking->failure), text);
    if (limit->by_address)
        failure_hint(&own,
                     "log in with an account of Docker Hub (descpipe login docker.io), whose own limit is higher; or "
                     "use a mirror of your site; the count starts anew within %llu h",
                     (unsigned long long)((limit->window_s + 3599) / 3600));
    else
        failure_hint(&own,
                     "the account's pulls are used up: wait (the count starts anew within %llu h), or use a mirror of "
                     "your site",
                     (unsigned long long)((limit->window_s + 3599) / 3600));
    failure_clear(&asking->failure);
    asking->failure = own;
    own = FAILURE_INIT;
}

static void answered(void *context, const struct client_answer *answer, const struct failure *failure)
{
    struct asking *asking = context;
    struct pull_limit limit;
    asking->exchange = NULL;
    if (failure == NULL && asking->call != NULL) {
        pull_limit_read(answer->headers, asking->anonymous, &limit);
        if (limit.known)
            add_limit(asking, &limit);
        else if (asking->failure.kind == 0)
            services(asking)->answer->fact(asking->call, "limit", "none told");
    }
    finish(asking, failure);
}

static bool send_question(struct asking *asking, struct registry_client *client, struct failure *failure)
{
    static const char *const headers[] = {"Accept: application/vnd.docker.distribution.manifest.v2+json", NULL};
    struct client_request request = {.method = "HEAD",
                                     .path = "/v2/" LIMIT_REPOSITORY "/manifests/latest",
                                     .repository = LIMIT_REPOSITORY,
                                     .actions = "pull",
                                     .headers = headers,
                                     .flags = CLIENT_NO_RETRY,
                                     .expected = {STATUS_TOO_MANY},
                                     .what = "Docker Hub's limit on pulls",
                                     .done = answered,
                                     .context = asking};
    asking->exchange = registry_client_send(client, &request, failure);
    return asking->exchange != NULL;
}

static void login_came(void *context, const struct descpipe_credential *credential, const struct failure *failure)
{
    struct asking *asking = context;
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    if (failure != NULL || asking->call == NULL) {
        finish(asking, failure);
        return;
    }
    asking->anonymous = credential->username == NULL && credential->password == NULL;
    if (asking->failure.kind == 0)
        services(asking)->answer->fact(asking->call, "login",
                                       asking->anonymous            ? "none (anonymous)"
                                       : credential->origin != NULL ? credential->origin
                                                                    : "yes");
    cleanup(registry_client_release) struct registry_client *client =
        registry_clients_get(asking->hub->inquirer.clients, HUB_HOST, credential, &own);
    if (client == NULL || !send_question(asking, client, &own))
        finish(asking, &own);
}

static void start(struct dockerhub *hub, struct descpipe_call *call, const struct failure *failure)
{
    cleanup(failure_clear) struct failure own = FAILURE_INIT;
    struct asking *asking = calloc(1, sizeof *asking);
    if (asking == NULL || (asking->reference.host = strdup(HUB_HOST)) == NULL) {
        free(asking);
        failure_memory(&own);
        failure_finish(failure != NULL ? failure : &own, hub->inquirer.host, call);
        return;
    }
    asking->hub = hub;
    asking->call = call;
    if (failure != NULL) {
        failure_set(&asking->failure, failure->kind, "%s", failure_message(failure));
        if (failure->hint != NULL)
            failure_hint(&asking->failure, "%s", failure->hint);
    }
    hub->inquirer.host->call->on_cancel(call, wish_to_cancel, asking);
    hub->inquirer.find_login(hub, &asking->reference, DESCPIPE_PURPOSE_PULL, login_came, asking);
}

void dockerhub_probe(void *self, struct descpipe_call *call)
{
    struct dockerhub *hub = self;
    hub->inquirer.host->answer->fact(call, "host", HUB_HOST);
    start(hub, call, NULL);
}

void dockerhub_resolve_failed(void *self, struct descpipe_call *call, const struct failure *failure)
{
    struct dockerhub *hub = self;
    if (failure->kind == DESCPIPE_FAILED_LATER)
        start(hub, call, failure);
    else
        failure_finish(failure, hub->inquirer.host, call);
}
