/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sending an image of this machine to a registry.
 *
 * How it works: what is to be sent is first made blobs (helper thread): of a fetched image they are in the store, of a
 * layout they are its files, of an archive they are copied into the store, and layers of `docker save` are compressed
 * there. Then registry/image/push.h sends what the registry lacks.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry/client/clients.h"
#include "registry/digest.h"
#include "registry/document.h"
#include "registry/image/document_cache.h"
#include "registry/image/push.h"
#include "registry/manifest.h"

#include "native.h"
#include "store/blobs.h"
#include "store/names.h"

#define BUSY_RETRY_MS 200
#define MOUNTS_LIMIT 4 /* repositories that are asked whether a layer can come from there */
#define CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define LAYER_TYPE "application/vnd.oci.image.layer.v1.tar+gzip"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"

struct push_job {
    struct native *native;
    struct descpipe_call *call;
    const struct descpipe_push *push; /* lives until the call is finished */
    atomic_bool stop;
    bool busy;
    struct store *store;
    struct source *source; /* NULL: the store's own blobs */
    bool from_files;       /* the blobs are files of a layout */
    struct name known;     /* of an image that was fetched */
    struct description description;
    bool described;
    char *manifest;
    size_t manifest_length;
    char *media_type;
    struct push_blob *blobs; /* digests owned */
    size_t count;
    char *mounts[MOUNTS_LIMIT + 1]; /* repositories of the same registry that may hold layers; ends with NULL */
    size_t mounts_count;
    struct reference target;
    struct registry_client *client;
    struct push *sending;
    struct failure failure;
};

static const struct descpipe_host *host_of(const struct push_job *job)
{
    return job->native->host;
}

static void job_free(struct push_job *job)
{
    for (size_t i = 0; i < job->count; i++)
        free((char *)(uintptr_t)job->blobs[i].digest);
    free(job->blobs);
    if (job->described)
        description_clear(&job->description);
    name_clear(&job->known);
    free(job->manifest);
    free(job->media_type);
    for (size_t i = 0; i < job->mounts_count; i++)
        free(job->mounts[i]);
    reference_clear(&job->target);
    registry_client_release(job->client);
    source_close(job->source);
    store_close(job->store);
    failure_clear(&job->failure);
    free(job);
}

static void fail(struct push_job *job)
{
    failure_finish(&job->failure, host_of(job), job->call);
    job_free(job);
}

static bool is_stopped(struct push_job *job)
{
    if (atomic_load(&job->stop) && job->failure.kind == 0)
        failure_set(&job->failure, DESCPIPE_FAILED_CANCELLED, "pushing '%s' was cancelled",
                    job->push->image->reference);
    return job->failure.kind != 0;
}

/* --- what is to be sent, and where the registry may have it; on a helper thread --- */

static bool add_blob(struct push_job *job, const char *digest, uint64_t bytes)
{
    char *copy = strdup(digest);
    struct push_blob *blobs = realloc(job->blobs, (job->count + 1) * sizeof *blobs);
    if (blobs != NULL)
        job->blobs = blobs;
    if (blobs == NULL || copy == NULL) {
        free(copy);
        return failure_memory(&job->failure);
    }
    job->blobs[job->count++] = (struct push_blob){.digest = copy, .bytes = bytes};
    return true;
}

/* Config and layers of the manifest that is sent. */
static bool list_blobs(struct push_job *job)
{
    cleanup(oci_manifest_clear) struct oci_manifest manifest = {0};
    if (!oci_manifest_read(&manifest, job->manifest, job->manifest_length, &job->failure) ||
        !add_blob(job, manifest.config.digest, manifest.config.bytes))
        return false;
    for (size_t i = 0; i < manifest.layers_count; i++)
        if (!add_blob(job, manifest.layers[i].digest, manifest.layers[i].bytes))
            return false;
    return true;
}

static bool take_manifest(struct push_job *job, char *bytes, size_t length, const char *media_type)
{
    job->manifest = bytes;
    job->manifest_length = length;
    job->media_type = strdup(media_type);
    return job->media_type != NULL ? list_blobs(job) : failure_memory(&job->failure);
}

/* "…/images/sha256/HEX/root" → its config's digest. False: the handle is no image of the store. */
static bool digest_of_handle(const char *handle, char digest[DIGEST_SIZE])
{
    static const char folder[] = "/images/sha256/";
    const char *place = handle != NULL ? strstr(handle, folder) : NULL;
    if (place == NULL)
        return false;
    snprintf(digest, DIGEST_SIZE, "sha256:%.64s", place + strlen(folder));
    return oci_digest_valid(digest);
}

/* By the pin or the handle, else by what the name meant here. */
static bool find_fetched(struct push_job *job)
{
    const struct descpipe_image *image = job->push->image;
    char digest[DIGEST_SIZE];
    const char *config = image->config_digest;
    if (config == NULL && digest_of_handle(job->push->image_handle, digest))
        config = digest;
    if (names_find(job->store, image->reference, image->platform, &job->known) &&
        (config == NULL || strcmp(config, job->known.config_digest) == 0))
        return true;
    name_clear(&job->known);
    return config != NULL && names_find_image(job->store, config, &job->known);
}

/* An image that was fetched: its manifest is a blob of the store. */
static bool gather_fetched(struct push_job *job)
{
    const struct descpipe_image *image = job->push->image;
    if (!find_fetched(job)) {
        failure_set(&job->failure, DESCPIPE_FAILED_NOT_FOUND, "image '%s' is not in the store of runtime 'native'",
                    image->reference);
        return failure_hint(&job->failure, "fetch it first: descpipe pull");
    }
    size_t length;
    cleanup(memory_free) char *folder = blobs_folder(job->store);
    char *bytes = document_cache_read(folder, job->known.manifest_digest, &length);
    if (bytes != NULL)
        return take_manifest(job, bytes, length, job->known.media_type);
    failure_set(&job->failure, DESCPIPE_FAILED_NOT_FOUND, "the manifest of image '%s' is no longer in the store",
                image->reference);
    return failure_hint(&job->failure, "fetch it again: descpipe pull");
}

static bool import(struct push_job *job, const char *digest, const struct budget *budget)
{
    cleanup(memory_free) char *name = NULL;
    if (asprintf(&name, "blobs/sha256/%s", digest + strlen("sha256:")) < 0) {
        name = NULL;
        return failure_memory(&job->failure);
    }
    return blobs_import(job->store, job->source, name, digest, budget, &job->busy, &job->failure);
}

/* An OCI layout or archive: as it is written there. */
static bool gather_layout(struct push_job *job, const struct budget *budget)
{
    cleanup(memory_free) char *name = NULL;
    char actual[DIGEST_SIZE];
    size_t length;
    const struct description *description = &job->description;
    if (asprintf(&name, "blobs/sha256/%s", description->manifest_digest + strlen("sha256:")) < 0) {
        name = NULL;
        return failure_memory(&job->failure);
    }
    char *bytes = source_read_document(job->source, name, &length, &job->failure);
    if (bytes == NULL)
        return false;
    if (!digest_of_bytes(bytes, length, actual) || strcmp(actual, description->manifest_digest) != 0) {
        free(bytes);
        return failure_set(&job->failure, DESCPIPE_FAILED_REFUSED, "'%s' changed while it was read",
                           source_path(job->source));
    }
    const char *type = description->media_type[0] != '\0' ? description->media_type : MANIFEST_TYPE;
    if (!take_manifest(job, bytes, length, type))
        return false;
    job->from_files = job->push->image->source == DESCPIPE_SOURCE_OCI_LAYOUT;
    for (size_t i = 0; !job->from_files && i < job->count; i++)
        if (!import(job, job->blobs[i].digest, budget))
            return false;
    return true;
}

static bool add_layer(json_t *layers, const char *digest, uint64_t bytes)
{
    return json_array_append_new(layers, json_pack("{s:s, s:s, s:I}", "mediaType", LAYER_TYPE, "digest", digest, "size",
                                                   (json_int_t)bytes)) == 0;
}

/* `docker save` has no manifest: one is made of its config and its compressed layers. */
static bool gather_saved(struct push_job *job, const struct budget *budget)
{
    const struct description *description = &job->description;
    cleanup(document_free) json_t *layers = json_array();
    for (size_t i = 0; i < description->layers_count; i++) {
        char digest[DIGEST_SIZE];
        uint64_t bytes;
        if (!blobs_compress(job->store, job->source, description->layers[i].name, description->layers[i].diff_id,
                            budget, digest, &bytes, &job->failure))
            return false;
        if (!add_layer(layers, digest, bytes))
            return failure_memory(&job->failure);
    }
    if (!blobs_import(job->store, job->source, description->config_name, description->config_digest, budget, &job->busy,
                      &job->failure))
        return false;
    cleanup(document_free) json_t *manifest =
        json_pack("{s:i, s:s, s:{s:s, s:s, s:I}, s:O}", "schemaVersion", 2, "mediaType", MANIFEST_TYPE, "config",
                  "mediaType", CONFIG_TYPE, "digest", description->config_digest, "size",
                  (json_int_t)description->config_bytes, "layers", layers);
    char *bytes = manifest != NULL ? json_dumps(manifest, JSON_COMPACT) : NULL;
    return bytes != NULL ? take_manifest(job, bytes, strlen(bytes), MANIFEST_TYPE) : failure_memory(&job->failure);
}

static bool describe(struct push_job *job, const struct budget *budget)
{
    const struct descpipe_image *image = job->push->image;
    if (job->described)
        return true;
    job->source = source_open(image->path, store_temporary(job->store), budget, &job->failure);
    job->described = job->source != NULL && description_read(&job->description, job->source, image, &job->failure);
    return job->described;
}

static bool has_layer_of_ours(const struct push_job *job, const struct name *name)
{
    cleanup(oci_manifest_clear) struct oci_manifest manifest = {0};
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT;
    cleanup(memory_free) char *folder = blobs_folder(job->store);
    size_t length;
    cleanup(memory_free) char *bytes = document_cache_read(folder, name->manifest_digest, &length);
    if (bytes == NULL || !oci_manifest_read(&manifest, bytes, length, &ignored))
        return false;
    for (size_t i = 0; i < manifest.layers_count; i++)
        for (size_t k = 1; k < job->count; k++) /* the first is the config */
            if (strcmp(manifest.layers[i].digest, job->blobs[k].digest) == 0)
                return true;
    return false;
}

/* The registry has the layers of the other images that came from there: what an image is built on, or its former name.
 */
static bool note_mount(void *context, struct name *name)
{
    struct push_job *job = context;
    cleanup(reference_clear) struct reference other = {0};
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT;
    if (!reference_read(&other, name->reference, &ignored) || !reference_use_docker_defaults(&other, &ignored) ||
        strcmp(other.host, job->target.host) != 0 || strcmp(other.repository, job->target.repository) == 0)
        return true;
    for (size_t i = 0; i < job->mounts_count; i++)
        if (strcmp(job->mounts[i], other.repository) == 0)
            return true;
    if (has_layer_of_ours(job, name))
        job->mounts[job->mounts_count++] = steal(&other.repository);
    return job->mounts_count < MOUNTS_LIMIT && !atomic_load(&job->stop);
}

static void forget_blobs(struct push_job *job)
{
    while (job->count > 0)
        free((char *)(uintptr_t)job->blobs[--job->count].digest);
    free(steal(&job->manifest));
    free(steal(&job->media_type));
    while (job->mounts_count > 0) {
        free(job->mounts[--job->mounts_count]);
        job->mounts[job->mounts_count] = NULL;
    }
}

static bool gather_source(struct push_job *job, const struct budget *budget)
{
    switch (job->push->image->source) {
    case DESCPIPE_SOURCE_REGISTRY:
        return gather_fetched(job);
    case DESCPIPE_SOURCE_OCI_LAYOUT:
    case DESCPIPE_SOURCE_OCI_ARCHIVE:
        return describe(job, budget) && gather_layout(job, budget);
    default:
        return describe(job, budget) && gather_saved(job, budget);
    }
}

static void work_on_gathering(void *context)
{
    struct push_job *job = context;
    const struct budget budget = {.entries = BUDGET_ENTRIES,
                                  .bytes = job->native->layer_bytes,
                                  .free_bytes = BUDGET_FREE_BYTES,
                                  .stop = &job->stop};
    forget_blobs(job);
    if (job->store == NULL && (job->store = store_open(job->native->store, &job->failure)) == NULL)
        return;
    if (!store_enter(job->store, &job->busy, &job->failure))
        return;
    if (gather_source(job, &budget))
        names_each(job->store, note_mount, job);
}

/* --- sending --- */

static int open_blob(void *context, size_t index, struct failure *failure)
{
    const struct push_job *job = context;
    const char *digest = job->blobs[index].digest;
    if (!job->from_files)
        return blobs_open(job->store, digest);
    cleanup(memory_free) char *path = NULL;
    if (asprintf(&path, "%s/blobs/sha256/%s", source_path(job->source), digest + strlen("sha256:")) < 0) {
        path = NULL;
        failure_memory(failure);
        return -1;
    }
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        failure_system(failure, "cannot read '%s'", path);
    return file;
}

static void on_progress(void *context, uint64_t done, uint64_t total)
{
    const struct push_job *job = context;
    host_of(job)->call->progress(job->call, done, total, "sending");
}

static void tell_summary(const struct push_job *job, const struct push_summary *summary)
{
    char line[400];
    if (summary->unchanged)
        snprintf(line, sizeof line, "'%.200s' names this image already", job->push->target->reference);
    else
        snprintf(line, sizeof line, "'%.200s': %zu blobs sent (%llu bytes), %zu mounted, %zu there already",
                 job->push->target->reference, summary->sent, (unsigned long long)summary->sent_bytes, summary->mounted,
                 summary->existed);
    host_of(job)->log->write(host_of(job), DESCPIPE_LOG_DEBUG, line);
}

static void on_pushed(void *context, const struct push_summary *summary, const struct failure *failure)
{
    struct push_job *job = context;
    const struct descpipe_host *host = host_of(job);
    job->sending = NULL;
    if (failure != NULL) {
        failure_copy(&job->failure, failure);
        fail(job);
        return;
    }
    tell_summary(job, summary);
    struct descpipe_image_identity identity = {.size = sizeof identity,
                                               .present = 1,
                                               .config_digest = job->blobs[0].digest,
                                               .manifest_digest = summary->digest,
                                               .media_type = job->media_type};
    for (size_t i = 0; i < job->count; i++)
        identity.stored_bytes += job->blobs[i].bytes;
    host->answer->identity(job->call, &identity);
    host->call->succeed(job->call);
    job_free(job);
}

static void send_image(struct push_job *job)
{
    const struct push_request request = {.client = job->client,
                                         .reference = &job->target,
                                         .blobs = job->blobs,
                                         .count = job->count,
                                         .manifest = job->manifest,
                                         .manifest_length = job->manifest_length,
                                         .media_type = job->media_type,
                                         .mount_from = (const char *const *)job->mounts,
                                         .open = open_blob,
                                         .progress = on_progress,
                                         .done = on_pushed,
                                         .context = job};
    job->sending = push_start(&request, &job->failure);
    if (job->sending == NULL)
        fail(job);
}

static void on_credential(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct push_job *job = context;
    if (message != NULL)
        failure_set(&job->failure, DESCPIPE_FAILED_NEEDS_LOGIN, "image '%s': %s", job->push->target->reference,
                    message);
    if (!is_stopped(job))
        job->client = registry_clients_get(job->native->clients, job->target.host, credential, &job->failure);
    if (job->client == NULL)
        fail(job);
    else
        send_image(job);
}

static void gather(void *context);

static void on_gathered(void *context)
{
    struct push_job *job = context;
    const struct descpipe_host *host = host_of(job);
    if (is_stopped(job)) {
        fail(job);
        return;
    }
    if (job->busy) {
        host->timer->start(host, BUSY_RETRY_MS, gather, job);
        return;
    }
    host->credential->for_image(host, job->push->target, DESCPIPE_PURPOSE_PUSH, on_credential, job);
}

static void gather(void *context)
{
    struct push_job *job = context;
    const struct descpipe_host *host = host_of(job);
    job->busy = false;
    host->work->run(host, work_on_gathering, on_gathered, job);
}

static void stop_job(void *context)
{
    struct push_job *job = context;
    atomic_store(&job->stop, true);
    push_stop(job->sending);
}

void native_push(void *self, struct descpipe_call *call, const struct descpipe_push *push)
{
    struct native *native = self;
    const uint32_t sources = DESCPIPE_SOURCE_REGISTRY | DESCPIPE_SOURCE_OCI_LAYOUT | DESCPIPE_SOURCE_OCI_ARCHIVE |
                             DESCPIPE_SOURCE_DOCKER_ARCHIVE;
    if (!native_has_store(native, call))
        return;
    if ((push->image->source & sources) == 0) {
        native->host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED,
                                 "runtime 'native' cannot push this: a plain folder is no image",
                                 "push an image of a registry, oci:FOLDER, oci-archive:FILE or docker-archive:FILE");
        return;
    }
    struct push_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        native->host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    job->native = native;
    job->call = call;
    job->push = push;
    if (!reference_read(&job->target, push->target->reference, &job->failure) ||
        !reference_use_docker_defaults(&job->target, &job->failure)) {
        fail(job);
        return;
    }
    native->host->call->on_cancel(call, stop_job, job);
    gather(job);
}
