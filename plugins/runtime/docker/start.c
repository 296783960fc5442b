/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Creates and starts the container of one attempt, exactly once.
 *
 * How it works: create (named by the token) → wait registered → start. The wait comes before the start, so that an end
 * is seen however soon it comes. The name makes it exactly once: when it is in use by a container with our own token,
 * an earlier try got that far, and it is only started if it never was. A container that Docker refuses to start is
 * removed again. When an answer is lost, the call fails as UNKNOWN and everything is left as it is, to be found by
 * `find`. A call that is cancelled while Docker creates waits some seconds for the answer: Docker goes on creating when
 * nobody listens any more, and `find` would be too early to see it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docker.h"
#include "engine/create.h"
#include "engine/words.h"

enum { START_PATIENCE_MS = 600000 };
enum { CANCEL_PATIENCE_MS = 3000 }; /* the host waits 5 s for a call that it cancelled */

struct attempt {
    struct docker *docker;
    struct descpipe_call *call;
    const struct descpipe_stage *stage; /* ends with the call: not used after a cancel */
    struct descpipe_stage own;          /* of a developer's container */
    char stage_name[ANSWER_NAME];
    struct exchange *exchange;
    struct watch *watch;
    char id[ANSWER_ID];
    bool creating, registering;
    bool cancelled;                 /* while it was being created */
    struct descpipe_timer *give_up; /* then */
    uint32_t failure;               /* while the container is removed again */
    const char *hint;
    char words[ANSWER_WORDS];
};

static void fail(struct attempt *attempt, uint32_t failure, const char *hint, const char *words)
{
    struct docker *docker = attempt->docker;
    if (attempt->watch != NULL) {
        watch_drop(docker, attempt->watch); /* whoever finds the container looks at it anew */
    }
    docker_fail(docker, attempt->call, failure, hint, "stage '%s' cannot start in Docker: %s", attempt->stage_name,
                words);
    free(attempt);
}

static void fail_memory(struct attempt *attempt)
{
    fail(attempt, DESCPIPE_FAILED_UNKNOWN, NULL, "not enough memory for a question to Docker");
}

static void succeed(struct attempt *attempt)
{
    attempt->docker->host->answer->native_id(attempt->call, 0, attempt->id);
    attempt->docker->host->call->succeed(attempt->call);
    free(attempt);
}

/* Takes `path`. */
static void ask(struct attempt *attempt, const char *method, char *path,
                void (*done)(void *context, const struct docker_reply *reply))
{
    struct docker_request request = {
        .method = method, .path = path, .idle_timeout_ms = START_PATIENCE_MS, .done = done, .context = attempt};
    attempt->exchange = path != NULL ? docker_ask(attempt->docker, &request) : NULL;
    free(path);
    if (attempt->exchange == NULL) {
        fail_memory(attempt);
    }
}

static void removed(void *context, const struct docker_reply *reply)
{
    struct attempt *attempt = context;
    attempt->exchange = NULL;
    if (docker_answered(reply, 204) || docker_answered(reply, 404)) {
        fail(attempt, attempt->failure, attempt->hint, attempt->words);
        return;
    }
    char words[ANSWER_WORDS];
    snprintf(words, sizeof(words), "%.250s; and the container could not be removed: %.200s", attempt->words,
             reply->words);
    fail(attempt, DESCPIPE_FAILED_UNKNOWN, attempt->hint, words);
}

/* It never ran: nothing may be left behind. */
static void remove_and_fail(struct attempt *attempt, uint32_t failure, const char *words)
{
    attempt->failure = failure;
    words_read_start(words, attempt->words, &attempt->hint);
    if (attempt->watch != NULL) {
        /* Docker never answers a wait for the next end when the start failed. */
        watch_drop(attempt->docker, attempt->watch);
        attempt->watch = NULL;
    }
    ask(attempt, "DELETE", container_path(attempt->id, "?v=1&force=1"), removed);
}

static void started(void *context, const struct docker_reply *reply)
{
    struct attempt *attempt = context;
    attempt->exchange = NULL;
    if (docker_answered(reply, 204) || docker_answered(reply, 304)) {
        succeed(attempt);
    } else if (reply->outcome == DESCPIPE_HTTP_DONE) {
        remove_and_fail(attempt, reply->status == 404 ? DESCPIPE_FAILED_NOT_FOUND : DESCPIPE_FAILED_REFUSED,
                        reply->words);
    } else {
        /* Also when nothing could be sent: it exists and cannot be removed now. */
        fail(attempt, DESCPIPE_FAILED_UNKNOWN, reply->hint, reply->words);
    }
}

static void registered(void *context, const struct docker_reply *failure)
{
    struct attempt *attempt = context;
    attempt->registering = false;
    if (failure != NULL) {
        attempt->watch = NULL; /* it is gone with its failure */
        if (failure->outcome == DESCPIPE_HTTP_DONE) {
            remove_and_fail(attempt, docker_failure(failure), failure->words);
        } else {
            fail(attempt, DESCPIPE_FAILED_UNKNOWN, failure->hint, failure->words);
        }
        return;
    }
    ask(attempt, "POST", container_path(attempt->id, "/start"), started);
}

static void start_it(struct attempt *attempt)
{
    attempt->registering = true;
    attempt->watch = watch_register(attempt->docker, attempt->id, attempt->stage->token, registered, attempt);
    if (attempt->watch == NULL) {
        fail_memory(attempt);
    }
}

static void holder_inspected(void *context, const struct docker_reply *reply)
{
    struct attempt *attempt = context;
    struct container_facts facts;
    char words[ANSWER_WORDS];
    attempt->exchange = NULL;
    if (!docker_answered(reply, 200)) {
        snprintf(words, sizeof(words), "its name %.60s was in use, and then: %.300s", attempt->stage->token,
                 reply->words);
        fail(attempt, docker_answered(reply, 404) ? DESCPIPE_FAILED_LATER : DESCPIPE_FAILED_UNKNOWN, reply->hint,
             words);
    } else if (!answer_read_container(reply->body, reply->length, &facts)) {
        fail(attempt, DESCPIPE_FAILED_UNKNOWN, NULL,
             "its name is in use, and Docker's answer about that cannot be read");
    } else if (strcmp(facts.token, attempt->stage->token) != 0 || strcmp(facts.run, attempt->stage->run) != 0) {
        snprintf(words, sizeof(words), "the name %.60s is in use by a container that is not ours (%.12s)",
                 attempt->stage->token, facts.id);
        fail(attempt, DESCPIPE_FAILED_REFUSED, "remove or rename that container", words);
    } else {
        memcpy(attempt->id, facts.id, sizeof(attempt->id));
        if (facts.alive || facts.ever_started) {
            succeed(attempt); /* an earlier try got it that far: it is not done twice */
        } else {
            start_it(attempt);
        }
    }
}

static void created(void *context, const struct docker_reply *reply)
{
    struct attempt *attempt = context;
    attempt->exchange = NULL;
    attempt->creating = false;
    if (attempt->give_up != NULL) {
        attempt->docker->host->timer->stop(attempt->give_up);
        attempt->give_up = NULL;
    }
    if (docker_answered(reply, 201)) {
        if (!answer_read_created(reply->body, reply->length, attempt->id)) {
            fail(attempt, DESCPIPE_FAILED_UNKNOWN, NULL, "Docker's answer to create cannot be read");
        } else if (attempt->cancelled) {
            remove_and_fail(attempt, DESCPIPE_FAILED_CANCELLED, "cancelled before it ran");
        } else {
            start_it(attempt);
        }
    } else if (attempt->cancelled && reply->outcome == DESCPIPE_HTTP_DONE && reply->status == 409) {
        fail(attempt, DESCPIPE_FAILED_UNKNOWN, NULL, "cancelled, and its name is in use"); /* `find` tells by whom */
    } else if (docker_answered(reply, 409) && strstr(reply->words, "already in use") != NULL) {
        ask(attempt, "GET", container_path(attempt->stage->token, "/json"), holder_inspected);
    } else if (reply->outcome == DESCPIPE_HTTP_DONE) {
        const char *hint = NULL;
        words_read_start(reply->words, attempt->words, &hint);
        fail(attempt, docker_failure(reply), reply->hint != NULL ? reply->hint : hint, attempt->words);
    } else {
        fail(attempt, docker_change_failure(reply), reply->hint, reply->words);
    }
}

static void no_answer_came(void *context)
{
    struct attempt *attempt = context;
    attempt->give_up = NULL;
    docker_stop_asking(attempt->exchange);
}

static void cancelled(void *context)
{
    struct attempt *attempt = context;
    const struct descpipe_host *host = attempt->docker->host;
    if (attempt->registering) {
        attempt->registering = false;
        remove_and_fail(attempt, DESCPIPE_FAILED_CANCELLED, "cancelled before it ran");
    } else if (attempt->creating) {
        attempt->cancelled = true;
        attempt->give_up = host->timer->start(host, CANCEL_PATIENCE_MS, no_answer_came, attempt);
    } else if (attempt->exchange != NULL && attempt->failure == 0) {
        docker_stop_asking(attempt->exchange);
    }
}

static void begin(struct docker *docker, struct descpipe_call *call, const struct descpipe_stage *stage,
                  const struct descpipe_stage *own)
{
    struct create_options options = {
        .network = docker->network, .caller_user = docker->caller_user, .init = docker->init};
    struct bytes body = {0}, path = {0};
    struct attempt *attempt = calloc(1, sizeof(*attempt));
    if (attempt == NULL) {
        docker_fail_memory(docker, call);
        return;
    }
    *attempt = (struct attempt){.docker = docker, .call = call, .stage = stage};
    if (own != NULL) {
        attempt->own = *own;
        attempt->stage = stage = &attempt->own;
    }
    snprintf(attempt->stage_name, sizeof(attempt->stage_name), "%s", stage->name);
    if (stage->image_handle == NULL) {
        fail(attempt, DESCPIPE_FAILED_REFUSED, NULL, "its image was not prepared");
        return;
    }
    bool gpus = stage->gpus != NULL && stage->gpus[0] != NULL;
    if (gpus && docker_too_old(docker, API_DEVICE_REQUESTS, "gpus", attempt->words)) {
        fail(attempt, DESCPIPE_FAILED_REFUSED, docker_update_hint, attempt->words);
        return;
    }
    if (!create_write(stage, &options, &body, attempt->words)) {
        bytes_wipe(&body);
        fail(attempt, DESCPIPE_FAILED_REFUSED, NULL, attempt->words);
        return;
    }
    bytes_add_text(&path, "/containers/create?name=");
    bytes_add_escaped(&path, stage->token, "");
    struct docker_request request = {.method = "POST",
                                     .path = bytes_text(&path),
                                     .body = body.data,
                                     .body_length = body.length,
                                     .oldest_api = gpus ? API_DEVICE_REQUESTS : 0,
                                     .feature = "gpus",
                                     .idle_timeout_ms = START_PATIENCE_MS,
                                     .done = created,
                                     .context = attempt};
    attempt->exchange = path.failed ? NULL : docker_ask(docker, &request);
    bytes_wipe(&body);
    bytes_clear(&path);
    if (attempt->exchange == NULL) {
        fail(attempt, DESCPIPE_FAILED_LATER, NULL, "not enough memory for a question to Docker");
        return;
    }
    attempt->creating = true;
    docker->host->call->on_cancel(call, cancelled, attempt);
}

void docker_start(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    begin(self, call, stage, NULL);
}

/* Without environment, which a commit would keep: each exec has its own. The command ends when it is told to. */
void docker_shell(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    static const char *const waits[] = {"/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done",
                                        NULL};
    struct descpipe_stage own = *stage;
    if (!docker_has_api(self, call)) {
        return;
    }
    own.command = waits;
    own.environment = own.late_environment = own.late_names = NULL;
    own.flags &= ~(uint32_t)DESCPIPE_STAGE_TERMINAL;
    begin(self, call, stage, &own);
}
