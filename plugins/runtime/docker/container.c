/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations on one container that are one request each: inspect, stop, find, release; and what an ending says. */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "docker.h"

enum { STOP_PATIENCE_MS = 120000, SIGNAL_EXIT = 128, SIGNAL_LAST = 64, HOST_NAME = 256 };

struct operation {
    struct docker *docker;
    struct descpipe_call *call;
    struct exchange *exchange; /* the question that is open */
    char *name;
};

const char *container_name(const struct descpipe_container *container)
{
    return container->native_id != NULL ? container->native_id : container->token;
}

char *container_path(const char *name, const char *format, ...)
{
    struct bytes path = {0};
    char rest[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(rest, sizeof(rest), format, arguments);
    va_end(arguments);
    bytes_add_text(&path, "/containers/");
    bytes_add_escaped(&path, name, "");
    bytes_add_text(&path, rest);
    if (path.failed) {
        bytes_clear(&path);
    }
    return path.data;
}

static void free_operation(struct operation *operation)
{
    free(operation->name);
    free(operation);
}

static struct operation *new_operation(struct docker *docker, struct descpipe_call *call, const char *name)
{
    struct operation *operation = calloc(1, sizeof(*operation));
    if (operation != NULL) {
        *operation = (struct operation){.docker = docker, .call = call, .name = strdup(name)};
    }
    if (operation == NULL || operation->name == NULL) {
        free(operation);
        docker_fail_memory(docker, call);
        return NULL;
    }
    return operation;
}

/* The question ends as STOPPED, and the call with it. */
static void operation_cancelled(void *context)
{
    struct operation *operation = context;
    docker_stop_asking(operation->exchange);
}

/* Asks and hands the operation to `done`; fails the call when it cannot. Takes `path`. */
static void ask(struct operation *operation, const char *method, char *path, uint64_t idle_timeout_ms,
                void (*done)(void *context, const struct docker_reply *reply))
{
    struct docker_request request = {
        .method = method, .path = path, .idle_timeout_ms = idle_timeout_ms, .done = done, .context = operation};
    operation->exchange = path != NULL ? docker_ask(operation->docker, &request) : NULL;
    free(path);
    if (operation->exchange == NULL) {
        docker_fail_memory(operation->docker, operation->call);
        free_operation(operation);
        return;
    }
    operation->docker->host->call->on_cancel(operation->call, operation_cancelled, operation);
}

static const char *machine_name(const struct docker *docker, char name[HOST_NAME])
{
    if (docker->address.host[0] != '\0') {
        return docker->address.host;
    }
    return gethostname(name, HOST_NAME - 1) == 0 ? name : NULL;
}

/* Docker has one number for both ways a command can end: 137 may be a SIGKILL, or what the stage itself exits with. So
 * the evidence is the exit status, and a signal only a guess in words. */
static void read_exit(const struct container_facts *facts, struct descpipe_ending *ending, char reason[ANSWER_WORDS])
{
    int number = facts->exit_code - SIGNAL_EXIT;
    const char *name = number > 0 && number <= SIGNAL_LAST ? sigabbrev_np(number) : NULL;
    ending->flags |= DESCPIPE_ENDED_EXITED;
    ending->exit_code = facts->exit_code;
    if (facts->out_of_memory && facts->exit_code != 0) {
        ending->flags |= DESCPIPE_ENDED_OUT_OF_MEMORY;
        ending->reason = "the container went over its memory limit";
    } else if (number == SIGKILL && facts->memory_limit > 0) {
        /* Seen with 20.10: the end of the process can overtake the kernel's word about memory, which is then lost. */
        snprintf(
            reason, ANSWER_WORDS,
            "exit status %d, which is how Docker reports SIGKILL; the container had a memory limit, and Docker does "
            "not always notice that it was reached",
            facts->exit_code);
        ending->reason = reason;
    } else if (facts->out_of_memory) {
        ending->reason = "a process of the container was killed for memory, the stage itself was not";
    } else if (name != NULL) {
        snprintf(reason, ANSWER_WORDS, "exit status %d, which is how Docker reports SIG%s too", facts->exit_code, name);
        ending->reason = reason;
    }
}

void container_answer_ending(struct docker *docker, struct descpipe_call *call, const struct container_facts *facts,
                             struct usage_facts used)
{
    char name[HOST_NAME] = "", reason[ANSWER_WORDS];
    struct descpipe_ending ending = {
        .size = sizeof(ending),
        .started_at_ms = facts->started_at_ms,
        .finished_at_ms = facts->finished_at_ms,
        .peak_memory = used.memory,
        .cpu_ms = used.cpu_ms,
        .witness = "docker inspect",
        .host = machine_name(docker, name),
        .reason = facts->error[0] != '\0' ? facts->error : NULL,
    };
    if (!facts->ever_started) {
        ending.flags = DESCPIPE_ENDED_NOT_STARTED;
        ending.finished_at_ms = 0;
        if (ending.reason == NULL) {
            ending.reason = "the container was created and never started";
        }
    } else {
        read_exit(facts, &ending, reason);
    }
    docker->host->answer->ending(call, &ending);
    docker->host->call->succeed(call);
}

void container_answer_lost(struct docker *docker, struct descpipe_call *call, const char *name)
{
    char reason[ANSWER_WORDS];
    snprintf(reason, sizeof(reason), "Docker knows no container %.200s any more; somebody removed it", name);
    struct descpipe_ending ending = {
        .size = sizeof(ending), .flags = DESCPIPE_ENDED_LOST, .witness = "docker inspect", .reason = reason};
    docker->host->answer->ending(call, &ending);
    docker->host->call->succeed(call);
}

static void inspected(void *context, const struct docker_reply *reply)
{
    struct operation *operation = context;
    struct docker *docker = operation->docker;
    struct container_facts facts;
    if (!docker_answered(reply, 200)) {
        docker_fail(docker, operation->call, docker_failure(reply), reply->hint, "container %.100s: %s",
                    operation->name, reply->words);
    } else if (!answer_read_container(reply->body, reply->length, &facts)) {
        docker_fail(docker, operation->call, DESCPIPE_FAILED_CANNOT_ASK, NULL,
                    "container %.100s: Docker's answer cannot be read", operation->name);
    } else if (facts.alive) {
        docker->host->call->succeed(operation->call);
    } else {
        container_answer_ending(docker, operation->call, &facts, usage_most(NULL));
    }
    free_operation(operation);
}

void docker_inspect(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    struct operation *operation = new_operation(self, call, container_name(container));
    if (operation != NULL) {
        ask(operation, "GET", container_path(operation->name, "/json"), 0, inspected);
    }
}

static void stopped(void *context, const struct docker_reply *reply)
{
    struct operation *operation = context;
    struct docker *docker = operation->docker;
    /* 304: it does not run. 404: it is gone. Both are what was asked for. */
    if (docker_answered(reply, 204) || docker_answered(reply, 304) || docker_answered(reply, 404)) {
        docker->host->call->succeed(operation->call);
    } else {
        docker_fail(docker, operation->call, docker_change_failure(reply), reply->hint,
                    "container %.100s cannot be stopped: %s", operation->name, reply->words);
    }
    free_operation(operation);
}

void docker_stop(void *self, struct descpipe_call *call, const struct descpipe_stop *stop)
{
    struct operation *operation = new_operation(self, call, container_name(stop->container));
    uint64_t seconds = stop->grace_ms / 1000 + (stop->grace_ms % 1000 != 0);
    if (operation != NULL && stop->signal != 0) {
        ask(operation, "POST", container_path(operation->name, "/kill?signal=%" PRIu32, stop->signal),
            STOP_PATIENCE_MS, stopped);
    } else if (operation != NULL) {
        ask(operation, "POST", container_path(operation->name, "/stop?t=%" PRIu64, seconds),
            seconds * 1000 + STOP_PATIENCE_MS, stopped);
    }
}

static void found_one(void *context, const struct listed_container *container)
{
    struct operation *operation = context;
    struct descpipe_found found = {
        .size = sizeof(found), .running = container->alive, .token = container->token, .native_id = container->id};
    operation->docker->host->answer->found(operation->call, &found);
}

static void listed(void *context, const struct docker_reply *reply)
{
    struct operation *operation = context;
    struct docker *docker = operation->docker;
    if (!docker_answered(reply, 200)) {
        docker_fail(docker, operation->call, docker_failure(reply), reply->hint, "containers of run %.100s: %s",
                    operation->name, reply->words);
    } else if (!answer_read_list(reply->body, reply->length, found_one, operation)) {
        docker_fail(docker, operation->call, DESCPIPE_FAILED_CANNOT_ASK, NULL,
                    "containers of run %.100s: Docker's answer cannot be read", operation->name);
    } else {
        docker->host->call->succeed(operation->call);
    }
    free_operation(operation);
}

void docker_find(void *self, struct descpipe_call *call, const char *run)
{
    struct operation *operation = new_operation(self, call, run);
    struct bytes path = {0}, filter = {0};
    if (operation == NULL) {
        return;
    }
    bytes_format(&filter, "{\"label\":[\"descpipe.run=%s\"]}", run);
    bytes_add_text(&path, "/containers/json?all=1&filters=");
    bytes_add_escaped(&path, bytes_text(&filter), "");
    bytes_clear(&filter);
    if (path.failed) {
        bytes_clear(&path);
    }
    ask(operation, "GET", path.data, 0, listed);
}

static void removed(void *context, const struct docker_reply *reply)
{
    struct operation *operation = context;
    struct docker *docker = operation->docker;
    bool in_progress = docker_answered(reply, 409) && strstr(reply->words, "already in progress") != NULL;
    if (docker_answered(reply, 204) || docker_answered(reply, 404) || in_progress) {
        docker->host->call->succeed(operation->call);
    } else {
        docker_fail(docker, operation->call, docker_change_failure(reply), reply->hint,
                    "container %.100s cannot be removed: %s", operation->name, reply->words);
    }
    free_operation(operation);
}

static void remove_it(struct operation *operation)
{
    ask(operation, "DELETE", container_path(operation->name, "?v=1"), 0, removed);
}

static void inspected_for_release(void *context, const struct docker_reply *reply)
{
    struct operation *operation = context;
    struct docker *docker = operation->docker;
    struct container_facts facts;
    bool read = docker_answered(reply, 200) && answer_read_container(reply->body, reply->length, &facts);
    if (!read && !docker_answered(reply, 404)) {
        /* It may be one to keep: nothing is removed that could not be looked at. */
        docker_fail(docker, operation->call,
                    docker_answered(reply, 200) ? DESCPIPE_FAILED_CANNOT_ASK : docker_failure(reply), reply->hint,
                    "container %.100s: %s", operation->name,
                    reply->words[0] != '\0' ? reply->words : "Docker's answer cannot be read");
        free_operation(operation);
        return;
    }
    if (read && facts.exit_code != 0) {
        char message[MESSAGE_LIMIT];
        snprintf(message, sizeof(message), "container %.100s failed and is kept; remove it with: docker rm -v %.100s",
                 operation->name, operation->name);
        docker->host->log->write(docker->host, DESCPIPE_LOG_NOTICE, message);
        docker->host->call->succeed(operation->call);
        free_operation(operation);
        return;
    }
    remove_it(operation);
}

void docker_release(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    struct docker *docker = self;
    struct operation *operation = new_operation(docker, call, container_name(container));
    if (operation == NULL) {
        return;
    }
    watch_drop_named(docker, operation->name);
    if (docker->keep_failed) {
        ask(operation, "GET", container_path(operation->name, "/json"), 0, inspected_for_release);
    } else {
        remove_it(operation);
    }
}
