/* SPDX-License-Identifier: BSD-3-Clause */
/* What an image is and how it becomes a folder: `identify` and `prepare`. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "registry/ownership.h"

#include "store/store.h"
#include "tool/conversion.h"
#include "tool/environment.h"
#include "tool/facts.h"
#include "tool/judge.h"

#include "charliecloud.h"

#define ROOT_NAME "root"
#define BUSY_RETRY_MS 200
#define LAYER_BYTES ((uint64_t)200 << 30)

/* One archive or layout; helper threads touch only this. While somebody else unpacks the same, a timer asks again. */
struct unpacking {
    struct charliecloud *charliecloud;
    struct descpipe_call *call;
    const struct descpipe_image *image; /* lives until the call is finished */
    bool unpack, busy, described;
    atomic_bool stop;
    struct store *store;
    struct source *source;
    struct description description;
    char *root; /* NULL: not unpacked */
    struct failure failure;
};

static bool describe(struct unpacking *unpacking, const struct budget *budget)
{
    if (unpacking->described)
        return true;
    unpacking->store = store_open(unpacking->charliecloud->cache, &unpacking->failure);
    unpacking->source =
        unpacking->store == NULL
            ? NULL
            : source_open(unpacking->image->path, store_temporary(unpacking->store), budget, &unpacking->failure);
    unpacking->described = unpacking->source != NULL && description_read(&unpacking->description, unpacking->source,
                                                                         unpacking->image, &unpacking->failure);
    return unpacking->described;
}

static void unpack(void *context)
{
    struct unpacking *unpacking = context;
    const struct budget budget = {
        .entries = BUDGET_ENTRIES, .bytes = LAYER_BYTES, .free_bytes = BUDGET_FREE_BYTES, .stop = &unpacking->stop};
    if (atomic_load(&unpacking->stop))
        failure_set(&unpacking->failure, DESCPIPE_FAILED_CANCELLED, "image '%s': cancelled",
                    unpacking->image->reference);
    else if (describe(unpacking, &budget))
        unpacking->root =
            unpacking->unpack
                ? store_make_image(unpacking->store, unpacking->source, &unpacking->description, &budget,
                                   &unpacking->busy, &unpacking->failure)
                : store_find_image(unpacking->store, unpacking->description.config_digest, &unpacking->failure);
}

static void unpacking_free(struct unpacking *unpacking)
{
    failure_clear(&unpacking->failure);
    if (unpacking->described)
        description_clear(&unpacking->description);
    source_close(unpacking->source);
    store_close(unpacking->store);
    free(unpacking->root);
    free(unpacking);
}

static void unpacked(void *context);

static void try_again(void *context)
{
    struct unpacking *unpacking = context;
    const struct descpipe_host *host = unpacking->charliecloud->host;
    unpacking->busy = false;
    host->work->run(host, unpack, unpacked, unpacking);
}

static void unpacked(void *context)
{
    struct unpacking *unpacking = context;
    const struct descpipe_host *host = unpacking->charliecloud->host;
    const struct description *description = &unpacking->description;
    if (unpacking->busy) {
        host->call->progress(unpacking->call, 0, 0, "another process is unpacking it");
        host->timer->start(host, BUSY_RETRY_MS, try_again, unpacking);
        return;
    }
    if (unpacking->failure.kind != 0) {
        failure_finish(&unpacking->failure, host, unpacking->call);
    } else {
        const struct image_facts facts = {.config_digest = description->config_digest,
                                          .manifest_digest = description->manifest_digest,
                                          .media_type = description->media_type,
                                          .platform = description->platform,
                                          .stored_bytes = description->stored_bytes,
                                          .created_at_ms = description->created_at_ms};
        image_facts_answer(&facts, host, unpacking->call, unpacking->root, unpacking->root != NULL);
    }
    unpacking_free(unpacking);
}

static void stop_unpacking(void *context)
{
    struct unpacking *unpacking = context;
    atomic_store(&unpacking->stop, true);
}

static void take_archive(struct charliecloud *charliecloud, struct descpipe_call *call,
                         const struct descpipe_image *image, bool prepare)
{
    const struct descpipe_host *host = charliecloud->host;
    if (image->path == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_REFUSED, "the image is named without a path", NULL);
        return;
    }
    struct unpacking *unpacking = calloc(1, sizeof *unpacking);
    if (unpacking == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    unpacking->charliecloud = charliecloud;
    unpacking->call = call;
    unpacking->image = image;
    unpacking->unpack = prepare;
    host->call->on_cancel(call, stop_unpacking, unpacking);
    host->work->run(host, unpack, unpacked, unpacking);
}

/* A folder is used as it is. Anybody may change it, so it has no digest. */
static void take_folder(struct charliecloud *charliecloud, struct descpipe_call *call,
                        const struct descpipe_image *image)
{
    const struct descpipe_host *host = charliecloud->host;
    const struct image_facts facts = {.media_type = NULL};
    struct stat status;
    char message[1024];
    cleanup(memory_free) char *path = image->path != NULL ? realpath(image->path, NULL) : NULL;
    if (path != NULL && stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        image_facts_answer(&facts, host, call, path, true);
        return;
    }
    snprintf(message, sizeof message, "image '%.500s': %s", image->reference,
             path != NULL ? "it is not a folder" : strerror(image->path != NULL ? errno : ENOENT));
    host->call->fail(call, path != NULL ? DESCPIPE_FAILED_REFUSED : DESCPIPE_FAILED_NOT_FOUND, message, NULL);
}

static bool add_access(const struct charliecloud *charliecloud, const struct conversion_step *step,
                       struct failure *failure)
{
    const struct descpipe_credential *credential = step->credential;
    struct arguments *environment = step->environment;
    if (credential == NULL)
        return true;
    if ((credential->access & DESCPIPE_ACCESS_PLAIN_HTTP) != 0)
        return failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED, "ch-image speaks https only"),
               failure_hint(failure, "save the image as an archive, or let the registry speak TLS");
    if (credential->client_certificate != NULL)
        return failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED, "ch-image cannot be told of a client's certificate");
    if (credential->username == NULL && credential->password != NULL)
        return failure_set(failure, DESCPIPE_FAILED_UNSUPPORTED,
                           "ch-image takes a name and a password, not a bare token");
    if (credential->username != NULL) { /* ch-image(1), "Authentication" */
        const char *password =
            credential->password != NULL ? charliecloud->host->secret->reveal(credential->password, NULL) : "";
        arguments_add(environment, "CH_IMAGE_AUTH=yes");
        arguments_add(environment, arguments_format(environment, "CH_IMAGE_USERNAME=%s", credential->username));
        arguments_add(environment, arguments_format(environment, "CH_IMAGE_PASSWORD=%s", password));
    }
    if (credential->ca_file != NULL) /* the word of the library it asks with */
        arguments_add(environment, arguments_format(environment, "REQUESTS_CA_BUNDLE=%s", credential->ca_file));
    return true;
}

static void add_steps_environment(const struct charliecloud *charliecloud, struct arguments *environment)
{
    environment_add_basics(environment);
    if (environment_value(environment->words, "USER") == NULL)
        arguments_add(environment, "USER=descpipe");       /* the programs insist on one */
    arguments_add(environment, "CH_IMAGE_CACHE=disabled"); /* its cache is a git repository, for builds */
    arguments_add(environment, arguments_format(environment, "CH_IMAGE_STORAGE=%s/ch-image", charliecloud->cache));
}

/* Pulled into ch-image's storage, unpacked from there, and let go: what is kept is the folder. */
static bool write_step(void *runtime, const struct conversion_step *step, struct failure *failure)
{
    const struct charliecloud *charliecloud = runtime;
    const char *const pull[] = {charliecloud->image, "pull", NULL};
    const char *const convert[] = {charliecloud->convert, "-i", "ch-image", "-o", "dir", step->source, ROOT_NAME, NULL};
    const char *const drop[] = {charliecloud->image, "delete", step->source, NULL};
    bool unverified = step->credential != NULL && (step->credential->access & DESCPIPE_ACCESS_UNVERIFIED_TLS) != 0;
    add_steps_environment(charliecloud, step->environment);
    switch (step->number) {
    case 0:
        environment_add_proxy(step->environment, step->credential != NULL ? step->credential->proxy : NULL);
        arguments_add_list(step->argv, pull);
        if (unverified)
            arguments_add(step->argv, "--tls-no-verify");
        arguments_add(step->argv, step->source);
        return add_access(charliecloud, step, failure);
    case 1:
        arguments_add_list(step->argv, convert);
        return true;
    case 2:
        arguments_add_list(step->argv, drop);
        return true;
    default:
        return true;
    }
}

static uint32_t judge(const char *errors, const char **hint)
{
    static const struct complaint own[] = {
        {"401", "log in to the registry: descpipe login", DESCPIPE_FAILED_NEEDS_LOGIN},
        {"403", "log in to the registry with an account that may read it", DESCPIPE_FAILED_NEEDS_LOGIN},
        {"429", "the registry limits how often one may ask; wait, or log in", DESCPIPE_FAILED_LATER},
        {"not found", "check the image's name and tag", DESCPIPE_FAILED_NOT_FOUND},
        {"no space left", "free some room, or name another folder with the option 'cache'", DESCPIPE_FAILED_REFUSED},
    };
    return judge_complaint(errors, own, sizeof own / sizeof own[0], hint);
}

static const struct converter folder_converter = {
    .payload = ROOT_NAME, .tool = "ch-image", .step = write_step, .judge = judge};

static void take_reference(struct charliecloud *charliecloud, struct descpipe_call *call,
                           const struct descpipe_image *image, bool prepare)
{
    const struct descpipe_host *host = charliecloud->host;
    if (prepare && (charliecloud->image == NULL || charliecloud->convert == NULL)) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, "ch-image and ch-convert are not on this machine",
                         CHARLIECLOUD_TOOL_HINT);
        return;
    }
    const struct conversion_request request = {.host = host,
                                               .call = call,
                                               .image = image,
                                               .converter = &folder_converter,
                                               .runtime = charliecloud,
                                               .cache = charliecloud->cache,
                                               .only_look = !prepare,
                                               .timeout_ms = charliecloud->pull_timeout_ms};
    conversion_start(&request);
}

static void take_image(struct charliecloud *charliecloud, struct descpipe_call *call,
                       const struct descpipe_image *image, bool prepare)
{
    if (image->source == DESCPIPE_SOURCE_ROOTFS)
        take_folder(charliecloud, call, image);
    else if (image->source != DESCPIPE_SOURCE_REGISTRY && !image_is_archive(image))
        charliecloud->host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED,
                                       "runtime 'charliecloud' cannot use such an image",
                                       "it takes a registry's image, docker-archive:, oci:, oci-archive: and rootfs:");
    else if (!charliecloud_has_cache(charliecloud, call))
        return;
    else if (image->source == DESCPIPE_SOURCE_REGISTRY)
        take_reference(charliecloud, call, image, prepare);
    else
        take_archive(charliecloud, call, image, prepare);
}

void charliecloud_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    take_image(self, call, image, false);
}

/* On a cluster too the folder is made once, where every node sees it. */
void charliecloud_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    take_image(self, call, prepare->image, true);
}
