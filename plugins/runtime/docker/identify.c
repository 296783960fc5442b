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
    struct descpipe_call *call;
    const struct descpipe_image *image;
    enum archive_answer archive_answer;
    char digest[ANSWER_ID];
    char words[ANSWER_WORDS];
};

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
        docker_fail(docker, call, answer->failure, answer->hint, "image '%.200s': %s", identify->image->reference,
                    answer->words);
    } else if (identify->digest[0] != '\0') {
        /* The archive is here and says what is in it; only the Engine does not have it yet. */
        struct descpipe_image_identity identity = {.size = sizeof(identity), .config_digest = identify->digest};
        docker->host->answer->identity(call, &identity);
        docker->host->call->succeed(call);
    } else {
        docker_fail(docker, call, DESCPIPE_FAILED_NOT_FOUND, NULL, "image '%.300s' is not in Docker at %.300s",
                    identify->image->reference, docker->address.text);
    }
    free(identify);
}

static void inspect(struct identify *identify, const char *name)
{
    struct image_request request = {
        .name = name, .reference = identify->image->reference, .done = inspected, .context = identify};
    if (image_inspect(identify->docker, &request) == NULL) {
        docker_fail_memory(identify->docker, identify->call);
        free(identify);
    }
}

static void read_archive(void *context)
{
    struct identify *identify = context;
    identify->archive_answer =
        archive_read(identify->image->path, identify->image->tag, identify->digest, identify->words);
}

static void archive_was_read(void *context)
{
    struct identify *identify = context;
    if (identify->archive_answer == ARCHIVE_READ) {
        inspect(identify, identify->digest);
        return;
    }
    bool missing = identify->archive_answer == ARCHIVE_MISSING;
    docker_fail(identify->docker, identify->call, missing ? DESCPIPE_FAILED_NOT_FOUND : DESCPIPE_FAILED_REFUSED, NULL,
                "archive '%.300s': %s", identify->image->path, identify->words);
    free(identify);
}

void docker_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    struct docker *docker = self;
    struct identify *identify = calloc(1, sizeof(*identify));
    if (identify == NULL) {
        docker_fail_memory(docker, call);
        return;
    }
    *identify = (struct identify){.docker = docker, .call = call, .image = image};
    if (image->source == DESCPIPE_SOURCE_REGISTRY) {
        inspect(identify, image->config_digest != NULL ? image->config_digest : image->reference);
    } else if (image->source == DESCPIPE_SOURCE_DOCKER_ARCHIVE) {
        docker->host->work->run(docker->host, read_archive, archive_was_read, identify);
    } else {
        docker_fail(docker, call, DESCPIPE_FAILED_UNSUPPORTED, "use a registry reference or docker-archive:FILE",
                    "the runtime docker cannot take an image like '%.300s'", image->reference);
        free(identify);
    }
}
