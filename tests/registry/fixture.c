/* SPDX-License-Identifier: BSD-3-Clause */
/* What tests against the scripted server share. */
#include "fixture.h"

#include <stdio.h>

void fixture_login(struct fixture *fixture, const char *username, const char *password, const char *origin)
{
    struct failure failure = FAILURE_INIT;
    struct access access;
    struct descpipe_secret *secret = password != NULL ? fixture->host->secret->make(password, strlen(password)) : NULL;
    const struct descpipe_credential credential = {.size = sizeof credential,
                                                   .access = DESCPIPE_ACCESS_PLAIN_HTTP,
                                                   .username = username,
                                                   .password = secret,
                                                   .origin = origin};
    registry_client_release(fixture->client);
    ck_assert(access_take(&access, fixture->host, fixture->name, &credential, &failure));
    fixture->client = registry_client_new(&access, &failure);
    ck_assert_ptr_nonnull(fixture->client);
    access_clear(&access);
    if (secret != NULL)
        fixture->host->secret->release(secret);
}

void fixture_open(struct fixture *fixture, scripted_serve *serve, void *context)
{
    *fixture = (struct fixture){.loop = loop_host_new()};
    fixture->host = loop_host_table(fixture->loop);
    fixture->server = scripted_start(serve, context);
    snprintf(fixture->name, sizeof fixture->name, "127.0.0.1:%d", scripted_port(fixture->server));
    fixture_login(fixture, NULL, NULL, NULL);
}

void fixture_close(struct fixture *fixture)
{
    registry_client_release(fixture->client);
    loop_host_free(fixture->loop);
    scripted_stop(fixture->server);
}

void fixture_wait(struct fixture *fixture, const bool *done)
{
    ck_assert_msg(loop_host_wait(fixture->loop, done, 60), "it did not end");
}

void end_clear(struct end *end)
{
    free(end->body);
    failure_clear(&end->failure);
    *end = (struct end){0};
}

void end_take_failure(struct end *end, const struct failure *failure)
{
    ck_assert_msg(!end->done, "it ended twice");
    end->done = true;
    if (failure != NULL)
        failure_copy(&end->failure, failure);
}

void end_take(void *context, const struct client_answer *answer, const struct failure *failure)
{
    struct end *end = context;
    end->status = answer->status;
    end->body = strdup(answer->body);
    end_take_failure(end, failure);
}

void fixture_get(struct fixture *fixture, const char *path, struct end *end)
{
    struct failure failure = FAILURE_INIT;
    const struct client_request request = {.method = "GET",
                                           .path = path,
                                           .repository = "a/b",
                                           .actions = "pull",
                                           .what = "the thing",
                                           .done = end_take,
                                           .context = end};
    ck_assert_ptr_nonnull(registry_client_send(fixture->client, &request, &failure));
    ck_assert_msg(!end->done, "it ended before the start returned");
    fixture_wait(fixture, &end->done);
}

bool target_begins(const struct scripted_request *request, const char *prefix)
{
    return strncmp(request->target, prefix, strlen(prefix)) == 0;
}
