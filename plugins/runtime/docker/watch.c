/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Watches a container to its end.
 *
 * How it works: a watch is an open `wait` at the Engine. `start` registers one before the container runs; `observe`
 * takes it over, or inspects first and then waits. Whatever ends a wait (the container's end, a lost connection, a
 * restarted daemon), the truth is what an inspection says then: alive, it waits again; ended, that is the answer; not
 * there any more, it is lost. An Engine that cannot be asked is asked again, more and more slowly, until the host loses
 * patience: not being able to ask is never a failure of the stage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "docker.h"

/* A connection that says nothing for so long may be dead (tcp); a new wait costs next to nothing. */
enum { WAIT_IDLE_MS = 900000, FIRST_PAUSE_MS = 100, LAST_PAUSE_MS = 5000, SHORT_WAIT_MS = 1000 };

struct watch {
    struct docker *docker;
    struct watch *next;
    char *id, *token;
    struct exchange *exchange;
    struct descpipe_timer *timer;
    struct usage *usage;        /* from `observe` on */
    struct descpipe_call *call; /* of `observe`, NULL before it came */
    void (*registered)(void *context, const struct docker_reply *failure);
    void *context;
    int64_t waiting_since_ms;
    uint64_t pause_ms;
    bool ended;   /* the wait is over: next is an inspection */
    bool dropped; /* freed when its exchange has ended */
    bool blind;   /* the user was told that Docker cannot be asked */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void free_watch(struct watch *watch)
{
    usage_drop(watch->usage);
    free(watch->id);
    free(watch->token);
    free(watch);
}

static void unlink_watch(struct watch *watch)
{
    for (struct watch **place = &watch->docker->watches; *place != NULL; place = &(*place)->next) {
        if (*place == watch) {
            *place = watch->next;
            return;
        }
    }
}

void watch_drop(struct docker *docker, struct watch *watch)
{
    unlink_watch(watch);
    if (watch->timer != NULL) {
        docker->host->timer->stop(watch->timer);
        watch->timer = NULL;
    }
    watch->dropped = true;
    watch->call = NULL;
    watch->registered = NULL;
    if (watch->exchange != NULL) {
        docker_stop_asking(watch->exchange);
    } else {
        free_watch(watch);
    }
}

static struct watch *find_watch(struct docker *docker, const char *name)
{
    struct watch *watch = docker->watches;
    while (watch != NULL && strcmp(watch->id, name) != 0 && strcmp(watch->token, name) != 0) {
        watch = watch->next;
    }
    return watch;
}

void watch_drop_named(struct docker *docker, const char *name)
{
    struct watch *watch = find_watch(docker, name);
    if (watch != NULL && watch->call == NULL) {
        watch_drop(docker, watch);
    }
}

void docker_drop_watches(struct docker *docker)
{
    while (docker->watches != NULL) {
        watch_drop(docker, docker->watches);
    }
}

static struct watch *new_watch(struct docker *docker, const char *id, const char *token)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return NULL;
    }
    watch->docker = docker;
    watch->id = strdup(id);
    watch->token = strdup(token);
    if (watch->id == NULL || watch->token == NULL) {
        free_watch(watch);
        return NULL;
    }
    watch->next = docker->watches;
    docker->watches = watch;
    return watch;
}

static void look(struct watch *watch);
static void wait_for_end(struct watch *watch);

static void timer_fired(void *context)
{
    struct watch *watch = context;
    watch->timer = NULL;
    look(watch);
}

static void look_later(struct watch *watch)
{
    watch->pause_ms = watch->pause_ms == 0 ? FIRST_PAUSE_MS : watch->pause_ms * 2;
    if (watch->pause_ms > LAST_PAUSE_MS) {
        watch->pause_ms = LAST_PAUSE_MS;
    }
    watch->timer = watch->docker->host->timer->start(watch->docker->host, watch->pause_ms, timer_fired, watch);
}

/* Nothing could be asked: say so once; and, by no text at all, when it works again. */
static void tell_blind(struct watch *watch, const struct docker_reply *failure)
{
    struct docker *docker = watch->docker;
    char text[MESSAGE_LIMIT], since[32] = "";
    if (watch->blind == (failure != NULL) || watch->call == NULL) {
        return;
    }
    watch->blind = failure != NULL;
    if (failure == NULL) {
        docker->host->call->progress(watch->call, 0, 0, NULL);
        return;
    }
    struct tm utc;
    time_t now = time(NULL);
    if (gmtime_r(&now, &utc) != NULL) {
        strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S UTC", &utc);
    }
    if (failure->outcome == DESCPIPE_HTTP_DONE) {
        snprintf(text, sizeof(text), "Docker at %.300s gives no answer since %s (%.300s); asking again",
                 docker->address.text, since,
                 failure->words[0] != '\0' ? failure->words : "what it says cannot be read");
    } else {
        snprintf(text, sizeof(text), "cannot reach Docker at %.300s since %s; asking again", docker->address.text,
                 since);
    }
    docker->host->call->progress(watch->call, 0, 0, text);
}

/* The host is closing: nothing is asked any more. */
static void finish_stopped(struct watch *watch)
{
    struct docker *docker = watch->docker;
    struct descpipe_call *call = watch->call;
    unlink_watch(watch);
    free_watch(watch);
    if (call != NULL) {
        docker_fail(docker, call, DESCPIPE_FAILED_CANCELLED, NULL, "the connection to Docker was closed");
    }
}

static void inspected(void *context, const struct docker_reply *reply)
{
    struct watch *watch = context;
    struct docker *docker = watch->docker;
    struct container_facts facts;
    watch->exchange = NULL;
    if (watch->dropped) {
        free_watch(watch);
        return;
    }
    if (reply->outcome == DESCPIPE_HTTP_STOPPED) {
        finish_stopped(watch);
        return;
    }
    bool gone = docker_answered(reply, 404);
    if (!gone && (!docker_answered(reply, 200) || !answer_read_container(reply->body, reply->length, &facts))) {
        tell_blind(watch, reply);
        look_later(watch);
        return;
    }
    tell_blind(watch, NULL);
    if (!gone && facts.alive) {
        if (watch->ended && now_ms() - watch->waiting_since_ms < SHORT_WAIT_MS) {
            watch->ended = false;
            look_later(watch); /* waits that end at once must not become a busy loop */
        } else {
            wait_for_end(watch);
        }
        return;
    }
    struct descpipe_call *call = watch->call;
    unlink_watch(watch);
    if (gone) {
        container_answer_lost(docker, call, watch->id);
    } else {
        container_answer_ending(docker, call, &facts, usage_most(watch->usage));
    }
    free_watch(watch);
}

static void ask(struct watch *watch, const struct docker_request *request, char *path)
{
    struct docker_request question = *request;
    question.path = path;
    watch->exchange = path != NULL ? docker_ask(watch->docker, &question) : NULL;
    free(path);
    if (watch->exchange == NULL && !watch->docker->closing && watch->call != NULL) {
        look_later(watch);
    }
}

static void look(struct watch *watch)
{
    struct docker_request request = {.method = "GET", .done = inspected, .context = watch};
    ask(watch, &request, container_path(watch->id, "/json"));
}

static void wait_began(void *context, int32_t status)
{
    struct watch *watch = context;
    watch->pause_ms = 0;
    if (watch->registered != NULL && status == 200) {
        void (*registered)(void *, const struct docker_reply *) = watch->registered;
        watch->registered = NULL;
        registered(watch->context, NULL);
    }
}

static void wait_ended(void *context, const struct docker_reply *reply)
{
    struct watch *watch = context;
    watch->exchange = NULL;
    watch->ended = true;
    if (watch->dropped) {
        free_watch(watch);
    } else if (watch->registered == NULL && reply->outcome == DESCPIPE_HTTP_STOPPED) {
        finish_stopped(watch);
    } else if (watch->registered != NULL) {
        unlink_watch(watch);
        watch->registered(watch->context, reply);
        free_watch(watch);
    } else if (watch->call != NULL) {
        look(watch);
    }
}

static void wait_with(struct watch *watch, const char *condition)
{
    struct docker_request request = {
        .method = "POST", .idle_timeout_ms = WAIT_IDLE_MS, .started = wait_began, .done = wait_ended, .context = watch};
    watch->ended = false;
    watch->waiting_since_ms = now_ms();
    ask(watch, &request, container_path(watch->id, "/wait?condition=%s", condition));
}

static void wait_for_end(struct watch *watch)
{
    wait_with(watch, "not-running");
}

struct watch *watch_register(struct docker *docker, const char *id, const char *token,
                             void (*registered)(void *context, const struct docker_reply *failure), void *context)
{
    struct watch *watch = new_watch(docker, id, token);
    if (watch == NULL) {
        return NULL;
    }
    watch->registered = registered;
    watch->context = context;
    wait_with(watch, "next-exit");
    if (watch->exchange == NULL) {
        unlink_watch(watch);
        free_watch(watch);
        return NULL;
    }
    return watch;
}

static void observe_cancelled(void *context)
{
    struct watch *watch = context;
    docker_fail(watch->docker, watch->call, DESCPIPE_FAILED_CANCELLED, NULL,
                "container %.100s: nobody watches it any more", watch->id);
    watch_drop(watch->docker, watch);
}

void docker_observe(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    struct docker *docker = self;
    const char *name = container_name(container);
    struct watch *watch = find_watch(docker, name);
    if (watch != NULL && watch->call != NULL) {
        watch = NULL; /* somebody else watches it already: that is fine, with a wait of one's own */
    }
    bool known = watch != NULL;
    if (watch == NULL) {
        watch = new_watch(docker, name, container->token != NULL ? container->token : name);
    }
    if (watch == NULL) {
        docker_fail_memory(docker, call);
        return;
    }
    watch->call = call;
    watch->usage = usage_watch(docker, watch->id);
    docker->host->call->on_cancel(call, observe_cancelled, watch);
    if (!known || watch->ended) {
        look(watch);
    }
}
