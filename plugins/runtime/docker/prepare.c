/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gets an image into the Engine. One fetch at a time per image, however many ask for it.
 *
 * How it works: a fetch looks for the image (unless `pull: always`), pulls or loads it when it is not there, looks
 * again, and compares with the pins. Every call that asks for the same image meanwhile joins and gets the same answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docker.h"
#include "engine/archive.h"
#include "tool/node_image.h"

struct waiter {
    struct fetch *fetch;
    struct waiter *next;
    struct descpipe_call *call;
};

struct fetch {
    struct docker *docker;
    struct fetch *next;
    struct waiter *waiters;
    struct image_step *step;
    struct descpipe_image image; /* its texts are these: */
    char *reference, *path, *tag, *platform, *config_digest, *manifest_digest;
    struct bytes target; /* what is pulled, and then looked for */
    enum archive_answer archive_answer;
    char digest[ANSWER_ID]; /* of the archive's image */
    char words[ANSWER_WORDS];
    bool fetched;
};

static void free_fetch(struct fetch *fetch)
{
    free(fetch->reference);
    free(fetch->path);
    free(fetch->tag);
    free(fetch->platform);
    free(fetch->config_digest);
    free(fetch->manifest_digest);
    bytes_clear(&fetch->target);
    free(fetch);
}

/* From here on nobody can join; the waiters are told one by one, and may ask anew from inside. */
static struct waiter *close_fetch(struct fetch *fetch)
{
    for (struct fetch **place = &fetch->docker->fetches; *place != NULL; place = &(*place)->next) {
        if (*place == fetch) {
            *place = fetch->next;
            break;
        }
    }
    struct waiter *waiters = fetch->waiters;
    fetch->waiters = NULL;
    return waiters;
}

static void finish_failed(struct fetch *fetch, uint32_t failure, const char *hint, const char *words)
{
    struct docker *docker = fetch->docker;
    char message[MESSAGE_LIMIT];
    snprintf(message, sizeof(message), "image '%.250s': %.700s", fetch->reference, words);
    struct waiter *waiter = close_fetch(fetch);
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        docker->host->call->fail(waiter->call, failure, message, hint);
        free(waiter);
        waiter = next;
    }
    free_fetch(fetch);
}

static void finish_done(struct fetch *fetch, const struct image_facts *facts)
{
    struct docker *docker = fetch->docker;
    struct waiter *waiter = close_fetch(fetch);
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        answer_image(docker, waiter->call, facts);
        free(waiter);
        waiter = next;
    }
    free_fetch(fetch);
}

/* The system and machine of "linux/arm/v7"; variants are a matter of degree. */
static size_t machine_length(const char *platform)
{
    const char *slash = strchr(platform, '/');
    return slash != NULL ? (size_t)(slash - platform) + 1 + strcspn(slash + 1, "/") : strlen(platform);
}

static bool same_machine(const char *left, const char *right)
{
    return machine_length(left) == machine_length(right) && strncmp(left, right, machine_length(left)) == 0;
}

/* Is it what the plan pins? `words` says why not. */
static bool is_the_pinned(const struct fetch *fetch, const struct image_facts *facts, char words[ANSWER_WORDS])
{
    const char *config = fetch->config_digest, *manifest = fetch->manifest_digest;
    if (config != NULL && facts->config_digest[0] != '\0' && strcmp(config, facts->config_digest) != 0) {
        snprintf(words, ANSWER_WORDS, "Docker has %s under that name, but the plan pins %s", facts->config_digest,
                 config);
        return false;
    }
    if (config != NULL && facts->config_digest[0] == '\0' &&
        (manifest == NULL || strcmp(manifest, facts->manifest_digest) != 0)) {
        snprintf(
            words, ANSWER_WORDS,
            "this Docker (containerd image store) knows images by their manifest, so that the pin %s cannot be checked",
            config);
        return false;
    }
    if (fetch->platform != NULL && facts->platform[0] != '\0' && !same_machine(fetch->platform, facts->platform)) {
        snprintf(words, ANSWER_WORDS, "it was built for %s, and the stage runs on %s", facts->platform,
                 fetch->platform);
        return false;
    }
    return true;
}

static void get_it(struct fetch *fetch);

static void looked(void *context, const struct image_answer *answer)
{
    struct fetch *fetch = context;
    char words[ANSWER_WORDS];
    fetch->step = NULL;
    if (answer->outcome == IMAGE_FAILED) {
        snprintf(words, sizeof(words), "%s", answer->words);
        finish_failed(fetch, answer->failure, answer->hint, words);
    } else if (answer->outcome == IMAGE_DONE) {
        if (is_the_pinned(fetch, answer->facts, words)) {
            finish_done(fetch, answer->facts);
        } else {
            finish_failed(fetch, DESCPIPE_FAILED_REFUSED, "plan again to pin what is there now, or pin by digest",
                          words);
        }
    } else if (!fetch->fetched) {
        get_it(fetch);
    } else {
        snprintf(words, sizeof(words), "Docker fetched it, but has no image %s", bytes_text(&fetch->target));
        finish_failed(fetch, DESCPIPE_FAILED_REFUSED, NULL, words);
    }
}

static void look(struct fetch *fetch, const char *name)
{
    struct image_request request = {.name = name, .reference = fetch->reference, .done = looked, .context = fetch};
    fetch->step = image_inspect(fetch->docker, &request);
    if (fetch->step == NULL) {
        finish_failed(fetch, DESCPIPE_FAILED_LATER, NULL, "not enough memory to look for it");
    }
}

static void fetched(void *context, const struct image_answer *answer)
{
    struct fetch *fetch = context;
    fetch->step = NULL;
    if (answer->outcome != IMAGE_DONE) {
        char words[ANSWER_WORDS];
        snprintf(words, sizeof(words), "%s", answer->words);
        finish_failed(fetch, answer->failure, answer->hint, words);
        return;
    }
    fetch->fetched = true;
    look(fetch, bytes_text(&fetch->target));
}

static void progressed(void *context, uint64_t done, uint64_t total, const char *text)
{
    struct fetch *fetch = context;
    char line[MESSAGE_LIMIT];
    snprintf(line, sizeof(line), "pulling %.300s%s%.300s", fetch->reference, text != NULL ? ": " : "",
             text != NULL ? text : "");
    for (struct waiter *waiter = fetch->waiters; waiter != NULL; waiter = waiter->next) {
        fetch->docker->host->call->progress(waiter->call, done, total, line);
    }
}

/* What exactly is pulled: the pinned manifest where there is one, never "all tags". */
static void write_target(struct fetch *fetch)
{
    const char *reference = fetch->reference;
    const char *name = strrchr(reference, '/');
    name = name != NULL ? name : reference;
    const char *digest = strchr(name, '@'), *tag = strchr(name, ':');
    if (digest != NULL) {
        bytes_add_text(&fetch->target, reference);
    } else if (fetch->manifest_digest != NULL) {
        bytes_add(&fetch->target, reference, tag != NULL ? (size_t)(tag - reference) : strlen(reference));
        bytes_format(&fetch->target, "@%s", fetch->manifest_digest);
    } else {
        bytes_format(&fetch->target, "%s%s", reference, tag != NULL ? "" : ":latest");
    }
}

static void get_it(struct fetch *fetch)
{
    struct image_request request = {.image = &fetch->image, .progress = progressed, .done = fetched, .context = fetch};
    if (fetch->image.source == DESCPIPE_SOURCE_DOCKER_ARCHIVE) {
        request.name = fetch->path;
        fetch->step = image_load(fetch->docker, &request);
    } else if (fetch->image.pull == DESCPIPE_PULL_NEVER) {
        finish_failed(fetch, DESCPIPE_FAILED_NOT_FOUND, "get it with `docker pull`, or say `pull: missing`",
                      "it is not in Docker, and `pull: never` forbids to fetch it");
        return;
    } else {
        request.name = bytes_text(&fetch->target);
        fetch->step = image_pull(fetch->docker, &request);
    }
    if (fetch->step == NULL) {
        finish_failed(fetch, DESCPIPE_FAILED_LATER, NULL,
                      "it cannot be opened any more, or there is not enough memory");
    }
}

static void read_archive(void *context)
{
    struct fetch *fetch = context;
    fetch->archive_answer = archive_read(fetch->path, fetch->tag, fetch->digest, fetch->words);
}

static void archive_was_read(void *context)
{
    struct fetch *fetch = context;
    if (fetch->waiters == NULL) {
        free_fetch(fetch); /* all who asked cancelled meanwhile */
        return;
    }
    if (fetch->archive_answer != ARCHIVE_READ) {
        bool missing = fetch->archive_answer == ARCHIVE_MISSING;
        finish_failed(fetch, missing ? DESCPIPE_FAILED_NOT_FOUND : DESCPIPE_FAILED_REFUSED, NULL, fetch->words);
        return;
    }
    bytes_add_text(&fetch->target, fetch->digest);
    look(fetch, fetch->digest);
}

static bool same_text(const char *left, const char *right)
{
    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

static struct fetch *find_fetch(struct docker *docker, const struct descpipe_image *image)
{
    struct fetch *fetch = docker->fetches;
    while (fetch != NULL && !(fetch->image.source == image->source && fetch->image.pull == image->pull &&
                              same_text(fetch->reference, image->reference) && same_text(fetch->path, image->path) &&
                              same_text(fetch->tag, image->tag) && same_text(fetch->platform, image->platform) &&
                              same_text(fetch->config_digest, image->config_digest) &&
                              same_text(fetch->manifest_digest, image->manifest_digest))) {
        fetch = fetch->next;
    }
    return fetch;
}

static bool copy_text(const char *from, char **to)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL;
}

static struct fetch *new_fetch(struct docker *docker, const struct descpipe_image *image)
{
    struct fetch *fetch = calloc(1, sizeof(*fetch));
    if (fetch == NULL) {
        return NULL;
    }
    bool copied = copy_text(image->reference, &fetch->reference);
    copied = copy_text(image->path, &fetch->path) && copied;
    copied = copy_text(image->tag, &fetch->tag) && copied;
    copied = copy_text(image->platform, &fetch->platform) && copied;
    copied = copy_text(image->config_digest, &fetch->config_digest) && copied;
    copied = copy_text(image->manifest_digest, &fetch->manifest_digest) && copied;
    fetch->docker = docker;
    fetch->image = (struct descpipe_image){
        .size = sizeof(fetch->image),
        .source = image->source,
        .pull = image->pull,
        .reference = fetch->reference,
        .path = fetch->path,
        .tag = fetch->tag,
        .platform = fetch->platform,
        .config_digest = fetch->config_digest,
        .manifest_digest = fetch->manifest_digest,
    };
    if (copied && image->source == DESCPIPE_SOURCE_REGISTRY) {
        write_target(fetch);
    }
    if (!copied || fetch->target.failed) {
        free_fetch(fetch);
        return NULL;
    }
    return fetch;
}

/* The one that waits does not want it any more; when nobody does, the fetch ends. */
static void waiter_cancelled(void *context)
{
    struct waiter *waiter = context;
    struct fetch *fetch = waiter->fetch;
    for (struct waiter **place = &fetch->waiters; *place != NULL; place = &(*place)->next) {
        if (*place == waiter) {
            *place = waiter->next;
            break;
        }
    }
    docker_fail(fetch->docker, waiter->call, DESCPIPE_FAILED_CANCELLED, NULL, "image '%.300s': cancelled",
                fetch->reference);
    free(waiter);
    if (fetch->waiters == NULL) {
        close_fetch(fetch); /* who asks from now on starts anew */
        if (fetch->step != NULL) {
            fetch->step->stop(fetch->step);
        }
    }
}

/* On a node it is the form's `setup` that pulls or loads; `launch` recognizes the handle. */
static void prepare_per_node(struct docker *docker, struct descpipe_call *call, const struct descpipe_image *image)
{
    bool archive = image->source == DESCPIPE_SOURCE_DOCKER_ARCHIVE;
    if (archive && image->config_digest == NULL) {
        docker_fail(docker, call, DESCPIPE_FAILED_REFUSED, "plan again",
                    "image '%.300s': what is in it is not known, so nodes cannot be told", image->reference);
        return;
    }
    struct fetch *fetch = new_fetch(docker, image);
    char *handle = NULL;
    if (fetch != NULL) {
        /* What a registry does not tell, the Engine's id does. */
        const char *target = archive ? "" : bytes_text(&fetch->target);
        bool by_id = archive || (strchr(target, '@') == NULL && image->config_digest != NULL);
        const struct node_image node = {.how = archive ? NODE_IMAGE_LOAD : NODE_IMAGE_PULL,
                                        .image = by_id ? image->config_digest : target,
                                        .source = archive ? image->path : target};
        handle = node_image_handle(&node);
    }
    if (handle == NULL) {
        docker_fail_memory(docker, call);
    } else {
        struct descpipe_image_identity identity = {
            .size = sizeof(identity),
            .config_digest = image->config_digest,
            .manifest_digest = image->manifest_digest,
            .platform = image->platform,
            .handle = handle,
        };
        docker->host->answer->identity(call, &identity);
        docker->host->call->succeed(call);
    }
    if (fetch != NULL) {
        free_fetch(fetch);
    }
    free(handle);
}

void docker_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    struct docker *docker = self;
    const struct descpipe_image *image = prepare->image;
    if (image->source != DESCPIPE_SOURCE_REGISTRY && image->source != DESCPIPE_SOURCE_DOCKER_ARCHIVE) {
        docker_fail(docker, call, DESCPIPE_FAILED_UNSUPPORTED, "use a registry reference or docker-archive:FILE",
                    "the runtime docker cannot take an image like '%.300s'", image->reference);
        return;
    }
    if (prepare->where == DESCPIPE_PREPARE_PER_NODE) {
        prepare_per_node(docker, call, image);
        return;
    }
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    struct fetch *fetch = find_fetch(docker, image);
    bool joined = fetch != NULL;
    if (waiter != NULL && fetch == NULL) {
        fetch = new_fetch(docker, image);
    }
    if (waiter == NULL || fetch == NULL) {
        free(waiter);
        docker_fail_memory(docker, call);
        return;
    }
    *waiter = (struct waiter){.fetch = fetch, .next = fetch->waiters, .call = call};
    fetch->waiters = waiter;
    docker->host->call->on_cancel(call, waiter_cancelled, waiter);
    if (joined) {
        return;
    }
    fetch->next = docker->fetches;
    docker->fetches = fetch;
    if (image->source == DESCPIPE_SOURCE_DOCKER_ARCHIVE) {
        docker->host->work->run(docker->host, read_archive, archive_was_read, fetch);
    } else if (image->pull == DESCPIPE_PULL_ALWAYS) {
        get_it(fetch);
    } else {
        look(fetch, image->config_digest != NULL ? image->config_digest : bytes_text(&fetch->target));
    }
}
