/* SPDX-License-Identifier: BSD-3-Clause */
/* What a developer's container changed: listed, copied out, made an image. One request to the Engine each. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docker.h"
#include "engine/exec.h"

enum { COMMIT_PATIENCE_MS = 3600000 };

struct work {
    struct docker *docker;
    struct descpipe_call *call;
    struct exchange *exchange;
    char *name; /* of the container */
    const char *doing;
    int32_t descriptor; /* of an archive */
    int write_error;
};

static const char *const no_api_hint = "use the Engine's API (`form: api` or `auto`, without `command`)";

bool docker_has_api(struct docker *docker, struct descpipe_call *call)
{
    if (!docker->by_client) {
        return true;
    }
    docker_fail(docker, call, DESCPIPE_FAILED_UNSUPPORTED, no_api_hint,
                "a developer's container cannot be had by the docker client alone");
    return false;
}

static void free_work(struct work *work)
{
    free(work->name);
    free(work);
}

static void fail(struct work *work, uint32_t failure, const char *hint, const char *words)
{
    docker_fail(work->docker, work->call, failure, hint, "container %.100s cannot be %s: %s", work->name, work->doing,
                words);
    free_work(work);
}

static struct work *new_work(struct docker *docker, struct descpipe_call *call,
                             const struct descpipe_container *container, const char *doing)
{
    struct work *work = docker_has_api(docker, call) ? calloc(1, sizeof(*work)) : NULL;
    if (work == NULL) {
        if (!docker->by_client) {
            docker_fail_memory(docker, call);
        }
        return NULL;
    }
    *work = (struct work){.docker = docker, .call = call, .doing = doing, .name = strdup(container_name(container))};
    if (work->name == NULL) {
        free(work);
        docker_fail_memory(docker, call);
        return NULL;
    }
    return work;
}

static void cancelled(void *context)
{
    struct work *work = context;
    docker_stop_asking(work->exchange);
}

/* Takes `path`. */
static void ask(struct work *work, struct docker_request *request, char *path)
{
    request->path = path;
    request->context = work;
    work->exchange = path != NULL ? docker_ask(work->docker, request) : NULL;
    free(path);
    if (work->exchange == NULL) {
        fail(work, DESCPIPE_FAILED_LATER, NULL, "not enough memory for a question to Docker");
    } else {
        work->docker->host->call->on_cancel(work->call, cancelled, work);
    }
}

static void found_change(void *context, const char *line)
{
    struct work *work = context;
    work->docker->host->answer->text(work->call, line);
}

static void listed(void *context, const struct docker_reply *reply)
{
    struct work *work = context;
    if (!docker_answered(reply, 200)) {
        fail(work, docker_failure(reply), reply->hint, reply->words);
    } else if (!answer_read_changes(reply->body, reply->length, found_change, work)) {
        fail(work, DESCPIPE_FAILED_CANNOT_ASK, NULL, "Docker's answer cannot be read");
    } else {
        work->docker->host->call->succeed(work->call);
        free_work(work);
    }
}

void docker_changes(void *self, struct descpipe_call *call, const struct descpipe_container *container)
{
    struct docker_request request = {.method = "GET", .done = listed};
    struct work *work = new_work(self, call, container, "compared with its image");
    if (work != NULL) {
        ask(work, &request, container_path(work->name, "/changes"));
    }
}

static void archive_came(void *context, const void *data, size_t length)
{
    struct work *work = context;
    if (work->write_error == 0 && !docker_write_all(work->descriptor, data, length)) {
        work->write_error = errno;
        docker_stop_asking(work->exchange);
    }
}

static void archived(void *context, const struct docker_reply *reply)
{
    struct work *work = context;
    if (work->write_error != 0) {
        fail(work, DESCPIPE_FAILED_REFUSED, NULL, strerrordesc_np(work->write_error));
    } else if (!docker_answered(reply, 200)) {
        fail(work, docker_failure(reply), reply->hint, reply->words);
    } else {
        work->docker->host->call->succeed(work->call);
        free_work(work);
    }
}

void docker_copy_out(void *self, struct descpipe_call *call, const struct descpipe_copy *copy)
{
    struct docker_request request = {.method = "GET", .stream = true, .data = archive_came, .done = archived};
    struct work *work = new_work(self, call, copy->container, "copied from");
    struct bytes path = {0};
    if (work == NULL) {
        return;
    }
    work->descriptor = copy->archive_descriptor;
    bytes_add_text(&path, "/containers/");
    bytes_add_escaped(&path, work->name, "");
    bytes_add_text(&path, "/archive?path=");
    bytes_add_escaped(&path, copy->path, "/");
    if (path.failed) {
        bytes_clear(&path);
    }
    ask(work, &request, path.data);
}

static void committed(void *context, const struct docker_reply *reply)
{
    struct work *work = context;
    char id[ANSWER_ID];
    if (!docker_answered(reply, 201)) {
        fail(work, docker_change_failure(reply), reply->hint, reply->words);
    } else if (!answer_read_created(reply->body, reply->length, id)) {
        fail(work, DESCPIPE_FAILED_UNKNOWN, NULL, "Docker's answer cannot be read");
    } else {
        const struct descpipe_image_identity identity = {
            .size = sizeof(identity), .present = 1, .config_digest = id, .handle = id};
        work->docker->host->answer->identity(work->call, &identity);
        work->docker->host->call->succeed(work->call);
        free_work(work);
    }
}

void docker_commit(void *self, struct descpipe_call *call, const struct descpipe_commit *commit)
{
    struct docker_request request = {.method = "POST", .idle_timeout_ms = COMMIT_PATIENCE_MS, .done = committed};
    struct work *work = new_work(self, call, commit->container, "made an image");
    struct bytes path = {0};
    if (work == NULL) {
        return;
    }
    if (!commit_write(commit, work->name, &path)) {
        bytes_clear(&path);
    }
    ask(work, &request, path.data);
}
