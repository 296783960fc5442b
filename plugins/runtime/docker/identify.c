/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an image is, as far as this machine's Engine (or the archive itself) knows. Never fetches.
 *
 * A pinned image is looked for by its pin, not by its name: a tag may have moved on since.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docker.h"
#include "engine/archive.h"

struct identify {
    struct docker *docker;
    struct descpipe_call *call; /* NULL: cancelled while the archive was read */
    struct image_step *step;    /* the question that is open; NULL: the archive is being read */
    char *reference, *path, *tag;
    enum archive_answer archive_answer;
    char digest[ANSWER_ID];
    char words[ANSWER_WORDS];
};

static void free_identify(struct identify *identify)
{
    free(identify->reference);
    free(identify->path);
    free(identify->tag);
    free(identify);
}

void answer_image(struct docker *docker, struct descpipe_call *call, const struct image_facts *facts)
{
    struct descpipe_image_identity identity = {
        .size = sizeof(identity),
        .present = 1,
        .config_digest = facts->config_digest[0] != '\0' ? facts->config_digest : NULL,
        .manifest_digest = facts->manifest_digest[0] != '\0' ? facts->manifest_digest : NULL,
        .platform = facts->platform[0] != '\0' ? facts->platform : NULL,
        .handle = facts->id,
        .created_at_ms = facts->created_at_ms,
    };
    docker->host->answer->identity(call, &identity);
    docker->host->call->succeed(call);
}

static void inspected(void *context, const struct image_answer *answer)
{
    struct identify *identify = context;
    struct docker *docker = identify->docker;
    struct descpipe_call *call = identify->call;
    if (answer->outcome == IMAGE_DONE) {
        answer_image(docker, call, answer->facts);
    } else if (answer->outcome == IMAGE_FAILED) {
        docker_fail(docker, call, answer->failure, answer->hint, "image '%.200s': %s", identify->reference,
                    answer->words);
    } else if (identify->digest[0] != '\0') {
        /* The archive is here and says what is in it; only the Engine does not have it yet. */
        struct descpipe_image_identity identity = {.size = sizeof(identity), .config_digest = identify->digest};
        docker->host->answer->identity(call, &identity);
        docker->host->call->succeed(call);
    } else {
        docker_fail(docker, call, DESCPIPE_FAILED_NOT_FOUND, NULL, "image '%.300s' is not in Docker at %.300s",
                    identify->reference, docker->address.text);
    }
    free_identify(identify);
}

static void inspect(struct identify *identify, const char *name)
{
    struct image_request request = {
        .name = name, .reference = identify->reference, .done = inspected, .context = identify};
    identify->step = image_inspect(identify->docker, &request);
    if (identify->step == NULL) {
        docker_fail_memory(identify->docker, identify->call);
        free_identify(identify);
    }
}

/* Reading a file cannot be stopped: it goes on, and nobody waits for it. */
static void cancelled(void *context)
{
    struct identify *identify = context;
    if (identify->step != NULL) {
        identify->step->stop(identify->step);
        return;
    }
    docker_fail(identify->docker, identify->call, DESCPIPE_FAILED_CANCELLED, NULL, "image '%.300s': stopped",
                identify->reference);
    identify->call = NULL;
}

static void read_archive(void *context)
{
    struct identify *identify = context;
    identify->archive_answer = archive_read(identify->path, identify->tag, identify->digest, identify->words);
}

static void archive_was_read(void *context)
{
    struct identify *identify = context;
    if (identify->call == NULL) {
        free_identify(identify);
        return;
    }
    if (identify->archive_answer == ARCHIVE_READ) {
        inspect(identify, identify->digest);
        return;
    }
    bool missing = identify->archive_answer == ARCHIVE_MISSING;
    docker_fail(identify->docker, identify->call, missing ? DESCPIPE_FAILED_NOT_FOUND : DESCPIPE_FAILED_REFUSED, NULL,
                "archive '%.300s': %s", identify->path, identify->words);
    free_identify(identify);
}

static bool copy_text(const char *from, char **to)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL;
}

void docker_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    struct docker *docker = self;
    if (image->source != DESCPIPE_SOURCE_REGISTRY && image->source != DESCPIPE_SOURCE_DOCKER_ARCHIVE) {
        docker_fail(docker, call, DESCPIPE_FAILED_UNSUPPORTED, "use a registry reference or docker-archive:FILE",
                    "the runtime docker cannot take an image like '%.300s'", image->reference);
        return;
    }
    struct identify *identify = calloc(1, sizeof(*identify));
    if (identify == NULL) {
        docker_fail_memory(docker, call);
        return;
    }
    identify->docker = docker;
    identify->call = call;
    bool copied = copy_text(image->reference, &identify->reference);
    copied = copy_text(image->path, &identify->path) && copied;
    copied = copy_text(image->tag, &identify->tag) && copied;
    if (!copied) {
        docker_fail_memory(docker, call);
        free_identify(identify);
        return;
    }
    docker->host->call->on_cancel(call, cancelled, identify);
    if (image->source == DESCPIPE_SOURCE_REGISTRY) {
        inspect(identify, image->config_digest != NULL ? image->config_digest : image->reference);
    } else {
        docker->host->work->run(docker->host, read_archive, archive_was_read, identify);
    }
}
