/* SPDX-License-Identifier: BSD-3-Clause */
/* What tests against the scripted server share: a host, a server, a client of it, and how one request ended. */
#ifndef TESTS_REGISTRY_FIXTURE_H
#define TESTS_REGISTRY_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "loop_host.h"
#include "registry/client/client.h"
#include "registry/digest.h"
#include "scripted_registry.h"

struct fixture {
    struct loop_host *loop;
    const struct descpipe_host *host;
    struct scripted_registry *server;
    struct registry_client *client;
    char name[32]; /* "127.0.0.1:PORT" */
};

/* How something ended. */
struct end {
    bool done;
    int status;
    char *body;
    struct failure failure;
};

void fixture_open(struct fixture *fixture, scripted_serve *serve, void *context);
/* Instead of the anonymous client: one with a login. `password` NULL: anonymous. */
void fixture_login(struct fixture *fixture, const char *username, const char *password, const char *origin);
void fixture_close(struct fixture *fixture);
void fixture_wait(struct fixture *fixture, const bool *done);

void end_clear(struct end *end);
/* `done` of a client request. */
void end_take(void *context, const struct client_answer *answer, const struct failure *failure);
/* `done` with a failure only. */
void end_take_failure(struct end *end, const struct failure *failure);
/* GET of a path in repository a/b; waits. */
void fixture_get(struct fixture *fixture, const char *path, struct end *end);
bool target_begins(const struct scripted_request *request, const char *prefix);

#define ck_assert_good(end) ck_assert_msg((end).failure.kind == 0, "%s", failure_message(&(end).failure))
#define ck_assert_says(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "'%s' is not in '%s'", (part), (text))

#endif
