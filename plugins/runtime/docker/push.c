/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends an image of this machine to a registry: named as it is called there, then pushed by the Engine with the login
 * that is asked for at this moment. The Engine asks the registry for each layer first, so that what is there already is
 * not sent again. An error within the answer is a failure, whatever the status was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "docker.h"
#include "engine/lines.h"

enum { PUSH_IDLE_MS = 600000, LAYERS_LIMIT = 256, PROGRESS_EVERY_MS = 200 };

struct layer {
    char id[ANSWER_ID];
    uint64_t current, total;
};

struct push {
    struct docker *docker;
    struct descpipe_call *call;          /* NULL: cancelled while a login was asked for */
    const struct descpipe_push *request; /* lives as long as the call */
    char *repository, *tag, *target;
    struct exchange *exchange;
    struct image_step *step;
    struct lines lines;
    struct layer *layers;
    size_t layer_count;
    int64_t told_at_ms;
    char digest[ANSWER_ID], error[ANSWER_WORDS];
};

static void free_push(struct push *push)
{
    free(push->repository);
    free(push->tag);
    free(push->target);
    free(push->layers);
    lines_clear(&push->lines);
    free(push);
}

static void fail(struct push *push, uint32_t failure, const char *hint, const char *words)
{
    if (push->call != NULL) {
        docker_fail(push->docker, push->call, failure, hint, "pushing '%.250s': %.700s", push->target, words);
    }
    free_push(push);
}

static void cancelled(void *context)
{
    struct push *push = context;
    if (push->exchange != NULL) {
        docker_stop_asking(push->exchange);
        return;
    }
    if (push->step != NULL) {
        push->step->stop(push->step);
        return;
    }
    struct descpipe_call *call = push->call;
    push->call = NULL;
    docker_fail(push->docker, call, DESCPIPE_FAILED_CANCELLED, NULL, "pushing '%.250s': stopped", push->target);
}

/* ---- what was pushed ---- */

static void inspected(void *context, const struct image_answer *answer)
{
    struct push *push = context;
    push->step = NULL;
    if (answer->outcome == IMAGE_DONE) {
        struct image_facts facts = *answer->facts;
        memcpy(facts.manifest_digest, push->digest, sizeof(facts.manifest_digest));
        answer_image(push->docker, push->call, &facts);
        free_push(push);
        return;
    }
    char words[ANSWER_WORDS];
    snprintf(words, sizeof(words), "it was pushed, but cannot be looked at: %.400s", answer->words);
    fail(push, answer->outcome == IMAGE_ABSENT ? DESCPIPE_FAILED_REFUSED : answer->failure, answer->hint, words);
}

static void look(struct push *push)
{
    struct image_request request = {
        .name = push->target, .reference = push->target, .done = inspected, .context = push};
    push->step = image_inspect(push->docker, &request);
    if (push->step == NULL) {
        fail(push, DESCPIPE_FAILED_LATER, NULL, "not enough memory");
    }
}

/* ---- the answer ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void note_layer(struct push *push, const struct work_line *line)
{
    size_t i = 0;
    while (i < push->layer_count && strcmp(push->layers[i].id, line->layer) != 0) {
        i++;
    }
    if (i == LAYERS_LIMIT) {
        return; /* only the bar is less exact */
    }
    if (i == push->layer_count) {
        push->layer_count++;
        memcpy(push->layers[i].id, line->layer, sizeof(line->layer));
    }
    /* What is there already counts as nothing: it is not sent. */
    push->layers[i].total = line->total > line->current ? line->total : line->current;
    push->layers[i].current = line->current;
}

static void tell_progress(struct push *push, const struct work_line *line)
{
    if (line->layer[0] == '\0' || strcmp(line->status, "Pushing") != 0 || line->current == 0) {
        return;
    }
    if (push->layers == NULL && (push->layers = calloc(LAYERS_LIMIT, sizeof(*push->layers))) == NULL) {
        return;
    }
    note_layer(push, line);
    int64_t now = now_ms();
    if (now - push->told_at_ms < PROGRESS_EVERY_MS) {
        return;
    }
    push->told_at_ms = now;
    uint64_t current = 0, total = 0;
    for (size_t i = 0; i < push->layer_count; i++) {
        current += push->layers[i].current;
        total += push->layers[i].total;
    }
    char text[MESSAGE_LIMIT];
    snprintf(text, sizeof(text), "pushing %.300s", push->target);
    push->docker->host->call->progress(push->call, current, total, text);
}

static void line_came(void *context, const char *text, size_t length)
{
    struct push *push = context;
    struct work_line line;
    if (!answer_read_work_line(text, length, &line)) {
        return;
    }
    if (line.digest[0] != '\0') {
        memcpy(push->digest, line.digest, sizeof(push->digest));
    }
    if (line.error[0] != '\0' && push->error[0] == '\0') {
        memcpy(push->error, line.error, sizeof(push->error));
    }
    tell_progress(push, &line);
    free(line.output);
}

static void stream_came(void *context, const void *data, size_t length)
{
    struct push *push = context;
    lines_add(&push->lines, data, length, line_came, push);
}

static void stream_ended(void *context, const struct docker_reply *reply)
{
    struct push *push = context;
    const char *hint = NULL;
    char words[ANSWER_WORDS];
    push->exchange = NULL;
    if (reply->outcome == DESCPIPE_HTTP_DONE) {
        lines_end(&push->lines, line_came, push);
    }
    if (reply->outcome != DESCPIPE_HTTP_DONE) {
        snprintf(words, sizeof(words), "%s", reply->words);
        fail(push, docker_change_failure(reply), reply->hint, words);
    } else if (reply->status >= 300) {
        snprintf(words, sizeof(words), "%s", reply->words);
        uint32_t failure = image_pull_failure(words, &hint);
        fail(push, failure, hint, words);
    } else if (push->error[0] != '\0') {
        memcpy(words, push->error, sizeof(words));
        uint32_t failure = image_pull_failure(words, &hint);
        fail(push, failure, hint, words);
    } else if (push->digest[0] == '\0') {
        fail(push, DESCPIPE_FAILED_UNKNOWN, NULL, "Docker does not say which manifest it has pushed");
    } else {
        look(push);
    }
}

/* ---- login, then push ---- */

static void login_came(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct push *push = context;
    struct docker *docker = push->docker;
    struct bytes path = {0}, header = {0};
    if (push->call == NULL) {
        free_push(push);
        return;
    }
    if (message != NULL) {
        char words[ANSWER_WORDS];
        snprintf(words, sizeof(words), "no login for its registry: %.400s", message);
        fail(push, DESCPIPE_FAILED_NEEDS_LOGIN, NULL, words);
        return;
    }
    bool ready = login_write_header(docker, credential, push->target, &header);
    bytes_add_text(&path, "/images/");
    bytes_add_escaped(&path, push->repository, "/:");
    bytes_add_text(&path, "/push?tag=");
    bytes_add_escaped(&path, push->tag, "");
    struct docker_request question = {
        .method = "POST",
        .path = bytes_text(&path),
        .header = bytes_text(&header),
        .idle_timeout_ms = PUSH_IDLE_MS,
        .stream = true,
        .data = stream_came,
        .done = stream_ended,
        .context = push,
    };
    push->exchange = ready && !path.failed ? docker_ask(docker, &question) : NULL;
    bytes_clear(&path);
    bytes_wipe(&header);
    if (push->exchange == NULL) {
        fail(push, DESCPIPE_FAILED_LATER, NULL, "not enough memory");
    }
}

/* ---- the name ---- */

static void named(void *context, const struct docker_reply *reply)
{
    struct push *push = context;
    struct docker *docker = push->docker;
    push->exchange = NULL;
    if (docker_answered(reply, 201)) {
        docker->host->credential->for_image(docker->host, push->request->target, DESCPIPE_PURPOSE_PUSH, login_came,
                                            push);
        return;
    }
    char words[ANSWER_WORDS];
    snprintf(words, sizeof(words), "%s", reply->words);
    fail(push, docker_failure(reply), reply->hint, words);
}

static void name_it(struct push *push)
{
    const char *source =
        push->request->image_handle != NULL ? push->request->image_handle : push->request->image->reference;
    struct bytes path = {0};
    bytes_add_text(&path, "/images/");
    bytes_add_escaped(&path, source, "/:@");
    bytes_add_text(&path, "/tag?repo=");
    bytes_add_escaped(&path, push->repository, "");
    bytes_add_text(&path, "&tag=");
    bytes_add_escaped(&path, push->tag, "");
    struct docker_request question = {.method = "POST", .path = bytes_text(&path), .done = named, .context = push};
    push->exchange = path.failed ? NULL : docker_ask(push->docker, &question);
    bytes_clear(&path);
    if (push->exchange == NULL) {
        fail(push, DESCPIPE_FAILED_LATER, NULL, "not enough memory");
    }
}

/* REPOSITORY and TAG of the target; `latest` when it has none. */
static bool split_target(struct push *push)
{
    const char *reference = push->request->target->reference;
    const char *name = strrchr(reference, '/');
    name = name != NULL ? name : reference;
    const char *digest = strchr(name, '@'), *colon = strchr(name, ':');
    const char *end = digest != NULL ? digest : reference + strlen(reference);
    bool tagged = colon != NULL && colon < end;
    push->repository = strndup(reference, (size_t)((tagged ? colon : end) - reference));
    push->tag = tagged ? strndup(colon + 1, (size_t)(end - colon) - 1) : strdup("latest");
    return push->repository != NULL && push->tag != NULL &&
           asprintf(&push->target, "%s:%s", push->repository, push->tag) >= 0;
}

void docker_push(void *self, struct descpipe_call *call, const struct descpipe_push *request)
{
    struct docker *docker = self;
    struct push *push = calloc(1, sizeof(*push));
    if (push == NULL) {
        docker_fail_memory(docker, call);
        return;
    }
    *push = (struct push){.docker = docker, .call = call, .request = request};
    if (!split_target(push)) {
        push->target = NULL;
        free_push(push);
        docker_fail_memory(docker, call);
        return;
    }
    if (docker->by_client) {
        free_push(push);
        docker_push_by_client(docker, call, request);
        return;
    }
    docker->host->call->on_cancel(call, cancelled, push);
    name_it(push);
}
