/* SPDX-License-Identifier: BSD-3-Clause */
/* Images of registries: found in the store, or fetched into it; pull.h tells how. */
#include "pull.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/client/clients.h"
#include "registry/digest.h"
#include "registry/image/blob.h"
#include "registry/image/resolve.h"

#include "store/blobs.h"
#include "store/names.h"
#include "store/store.h"

#define BUSY_RETRY_MS 200

enum layer_state { LAYER_WAITING, LAYER_FETCHING, LAYER_UNPACKING, LAYER_DONE };

struct pull;
struct pull_layer {
    struct pull *pull;
    size_t index;
    enum layer_state state;
    struct blob_file file; /* while it is fetched, until it has its place */
    struct blob_fetch *fetch;
    uint64_t got;
    bool busy;
    struct failure failure; /* the helper's */
};

struct pull {
    struct native *native;
    struct descpipe_call *call;
    const struct descpipe_image *image; /* lives until the call is finished */
    bool fetch;
    atomic_bool stop;
    struct store *store;
    struct source *source; /* the store itself, which is laid out like an image layout */
    struct name known;
    struct reference reference;
    struct registry_client *client;
    struct resolve *resolve;
    struct resolution resolution;
    struct description description;
    bool described;
    struct pull_layer *layers;
    size_t fetching, unpacking;
    bool busy;
    char *root;
    struct failure failure;
};

static const struct descpipe_host *host_of(const struct pull *pull)
{
    return pull->native->host;
}

static struct budget budget_of(const struct pull *pull)
{
    return (struct budget){.entries = BUDGET_ENTRIES,
                           .bytes = pull->native->layer_bytes,
                           .free_bytes = BUDGET_FREE_BYTES,
                           .stop = &pull->stop};
}

static void pull_free(struct pull *pull)
{
    for (size_t i = 0; pull->layers != NULL && i < pull->description.layers_count; i++) {
        blob_file_close(&pull->layers[i].file);
        failure_clear(&pull->layers[i].failure);
    }
    free(pull->layers);
    if (pull->described)
        description_clear(&pull->description);
    resolution_clear(&pull->resolution);
    reference_clear(&pull->reference);
    registry_client_release(pull->client);
    name_clear(&pull->known);
    source_close(pull->source);
    store_close(pull->store);
    failure_clear(&pull->failure);
    free(pull->root);
    free(pull);
}

static void finish(struct pull *pull)
{
    const struct descpipe_host *host = host_of(pull);
    if (pull->failure.kind != 0) {
        failure_finish(&pull->failure, host, pull->call);
        pull_free(pull);
        return;
    }
    struct descpipe_image_identity identity = {.size = sizeof identity};
    if (pull->resolution.config_digest != NULL)
        identity = resolution_identity(&pull->resolution);
    else {
        identity.config_digest =
            pull->known.config_digest != NULL ? pull->known.config_digest : pull->image->config_digest;
        identity.manifest_digest = pull->known.manifest_digest;
        identity.media_type = pull->known.media_type;
        identity.platform = pull->image->platform;
    }
    identity.present = 1;
    identity.handle = pull->root;
    if (pull->fetch && identity.config_digest != NULL)
        native_hold(pull->native, pull->store, identity.config_digest);
    host->answer->identity(pull->call, &identity);
    host->call->succeed(pull->call);
    pull_free(pull);
}

static void fail_cancelled(struct pull *pull)
{
    if (pull->failure.kind == 0)
        failure_set(&pull->failure, DESCPIPE_FAILED_CANCELLED, "fetching '%s' was cancelled", pull->image->reference);
}

static bool is_stopped(struct pull *pull)
{
    if (atomic_load(&pull->stop))
        fail_cancelled(pull);
    return pull->failure.kind != 0;
}

/* --- the last step: the image of its layers --- */

static void on_made(void *context);

static void work_on_image(void *context)
{
    struct pull *pull = context;
    const struct budget budget = budget_of(pull);
    pull->root = store_make_image(pull->store, pull->source, &pull->description, &budget, &pull->busy, &pull->failure);
    if (pull->root == NULL)
        return;
    const struct name name = {.reference = (char *)(uintptr_t)pull->image->reference,
                              .platform =
                                  (char *)(uintptr_t)(pull->image->platform != NULL ? pull->image->platform : ""),
                              .config_digest = pull->resolution.config_digest,
                              .manifest_digest = pull->resolution.manifest_digest,
                              .media_type = pull->resolution.media_type};
    names_write(pull->store, &name, &pull->failure);
}

static void make_image(void *context)
{
    struct pull *pull = context;
    const struct descpipe_host *host = host_of(pull);
    host->work->run(host, work_on_image, on_made, pull);
}

static void on_made(void *context)
{
    struct pull *pull = context;
    const struct descpipe_host *host = host_of(pull);
    if (pull->busy && !is_stopped(pull)) {
        host->timer->start(host, BUSY_RETRY_MS, make_image, pull);
        return;
    }
    finish(pull);
}

/* --- layers --- */

static void go_on(struct pull *pull);

static const struct described_layer *described(const struct pull_layer *layer)
{
    return &layer->pull->description.layers[layer->index];
}

/* What was fetched by us, or by anybody: when it does not unpack, is it still what it was? */
static void look_at_damage(const struct pull_layer *layer, struct failure *failure)
{
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT;
    const struct pull *pull = layer->pull;
    const char *digest = described(layer)->digest;
    char actual[DIGEST_SIZE];
    uint64_t bytes;
    cleanup(descriptor_close) int file = blobs_open(pull->store, digest);
    if (file < 0 || !blobs_digest(file, actual, &bytes, &ignored) || strcmp(actual, digest) == 0)
        return;
    blobs_remove(pull->store, digest, &ignored);
    failure_set(failure, DESCPIPE_FAILED_LATER, "layer %.19s was damaged on this machine's disk and is removed",
                digest);
    failure_hint(failure, "try again: it will be fetched anew");
}

static void work_on_layer(void *context)
{
    struct pull_layer *layer = context;
    struct pull *pull = layer->pull;
    const struct budget budget = budget_of(pull);
    struct described_layer given = *described(layer);
    given.digest = NULL; /* what lies in the store was checked; its content will be */
    if (layer->file.descriptor >= 0 && !blob_file_finish(&layer->file, pull->store, &layer->failure))
        return;
    if (!store_make_layer(pull->store, pull->source, &given, &budget, &layer->busy, &layer->failure)) {
        if (layer->failure.kind == DESCPIPE_FAILED_REFUSED)
            look_at_damage(layer, &layer->failure);
    } else if (!pull->native->keep_layers)
        blobs_remove(pull->store, described(layer)->digest, &layer->failure);
}

static void take_failure(struct pull *pull, const struct failure *failure)
{
    if (pull->failure.kind != 0)
        return;
    failure_copy(&pull->failure, failure);
    failure_wrap(&pull->failure, "image '%s'", pull->image->reference);
    for (size_t i = 0; i < pull->description.layers_count; i++)
        blob_fetch_stop(pull->layers[i].fetch);
}

static void on_unpacked(void *context)
{
    struct pull_layer *layer = context;
    struct pull *pull = layer->pull;
    pull->unpacking--;
    if (layer->failure.kind != 0)
        take_failure(pull, &layer->failure);
    layer->state = layer->busy ? LAYER_WAITING : LAYER_DONE;
    go_on(pull);
}

static void unpack(struct pull_layer *layer)
{
    const struct descpipe_host *host = host_of(layer->pull);
    layer->state = LAYER_UNPACKING;
    layer->busy = false;
    layer->pull->unpacking++;
    host->work->run(host, work_on_layer, on_unpacked, layer);
}

static void tell_progress(struct pull *pull)
{
    const struct descpipe_host *host = host_of(pull);
    uint64_t done = 0, total = 0;
    for (size_t i = 0; i < pull->description.layers_count; i++) {
        done += pull->layers[i].got;
        total += pull->description.layers[i].bytes;
    }
    host->call->progress(pull->call, done, total, "fetching");
}

static void on_progress(void *context, uint64_t bytes)
{
    struct pull_layer *layer = context;
    layer->got = bytes;
    tell_progress(layer->pull);
}

static void on_fetched(void *context, uint64_t received, const struct failure *failure)
{
    struct pull_layer *layer = context;
    struct pull *pull = layer->pull;
    (void)received;
    layer->fetch = NULL;
    pull->fetching--;
    if (failure == NULL && !is_stopped(pull)) {
        unpack(layer);
        go_on(pull);
        return;
    }
    if (failure != NULL)
        take_failure(pull, failure);
    blob_file_close(&layer->file);
    go_on(pull);
}

static bool begin_fetch(struct pull_layer *layer)
{
    struct pull *pull = layer->pull;
    const struct blob_request request = {.client = pull->client,
                                         .repository = pull->reference.repository,
                                         .digest = described(layer)->digest,
                                         .bytes = described(layer)->bytes,
                                         .descriptor = layer->file.descriptor,
                                         .progress = on_progress,
                                         .done = on_fetched,
                                         .context = layer};
    layer->fetch = blob_fetch_start(&request, &layer->failure);
    if (layer->fetch == NULL) {
        take_failure(pull, &layer->failure);
        blob_file_close(&layer->file);
        return false;
    }
    layer->state = LAYER_FETCHING;
    pull->fetching++;
    return true;
}

/* Takes the next step with a layer that waits; it is busy when somebody else has it. */
static void begin_layer(struct pull_layer *layer)
{
    struct pull *pull = layer->pull;
    const struct described_layer *what = described(layer);
    if (store_has_layer(pull->store, what->diff_id)) {
        layer->state = LAYER_DONE;
        layer->got = what->bytes;
    } else if (blobs_have(pull->store, what->digest)) {
        layer->got = what->bytes;
        unpack(layer);
    } else if (pull->fetching < PULL_FETCHES) {
        if (!blob_file_begin(&layer->file, pull->store, what->digest, &layer->busy, &layer->failure)) {
            if (!layer->busy)
                take_failure(pull, &layer->failure);
        } else if (layer->file.descriptor < 0)
            unpack(layer);
        else
            begin_fetch(layer);
    }
}

static void look_again(void *context)
{
    struct pull *pull = context;
    pull->busy = false;
    for (size_t i = 0; i < pull->description.layers_count; i++)
        pull->layers[i].busy = false;
    go_on(pull);
}

/* Everything that ends comes here. */
static void go_on(struct pull *pull)
{
    const struct descpipe_host *host = host_of(pull);
    size_t done = 0, busy = 0;
    for (size_t i = 0; i < pull->description.layers_count; i++) {
        struct pull_layer *layer = &pull->layers[i];
        if (layer->state == LAYER_WAITING && !layer->busy && !is_stopped(pull))
            begin_layer(layer);
        busy += layer->state == LAYER_WAITING && layer->busy;
        done += layer->state == LAYER_DONE;
    }
    if (busy > 0 && !pull->busy && !is_stopped(pull)) {
        pull->busy = true;
        host->timer->start(host, BUSY_RETRY_MS, look_again, pull);
        if (pull->fetching + pull->unpacking == 0)
            host->call->progress(pull->call, 0, 0, "another process is fetching it");
    }
    if (pull->fetching + pull->unpacking > 0 || pull->busy)
        return;
    if (is_stopped(pull))
        finish(pull);
    else if (done == pull->description.layers_count)
        make_image(pull);
}

/* --- what there is to do --- */

static void work_on_description(void *context)
{
    struct pull *pull = context;
    const struct budget budget = budget_of(pull);
    uint64_t missing = 0;
    pull->source = source_open(store_path(pull->store), store_temporary(pull->store), &budget, &pull->failure);
    pull->described = pull->source != NULL &&
                      description_of_manifest(&pull->description, pull->source, pull->resolution.manifest_digest,
                                              pull->resolution.media_type, pull->resolution.manifest,
                                              pull->resolution.manifest_length, pull->image, &pull->failure);
    if (!pull->described)
        return;
    for (size_t i = 0; i < pull->description.layers_count; i++) {
        const struct described_layer *layer = &pull->description.layers[i];
        if (!store_has_layer(pull->store, layer->diff_id) && !blobs_have(pull->store, layer->digest))
            missing += layer->bytes;
    }
    if (missing > 0)
        blobs_check_room(pull->store, missing, &pull->failure);
}

static void on_described(void *context)
{
    struct pull *pull = context;
    if (is_stopped(pull)) {
        finish(pull);
        return;
    }
    pull->layers = calloc(pull->description.layers_count + 1, sizeof *pull->layers);
    if (pull->layers == NULL) {
        failure_memory(&pull->failure);
        finish(pull);
        return;
    }
    for (size_t i = 0; i < pull->description.layers_count; i++)
        pull->layers[i] = (struct pull_layer){.pull = pull, .index = i, .file = BLOB_FILE_INIT};
    go_on(pull);
}

static bool check_pin(struct pull *pull)
{
    const char *pin = pull->image->config_digest;
    if (pin == NULL || strcmp(pin, pull->resolution.config_digest) == 0)
        return true;
    failure_set(&pull->failure, DESCPIPE_FAILED_REFUSED, "image '%s' has changed: it is %s now, and %s is pinned",
                pull->image->reference, pull->resolution.config_digest, pin);
    return failure_hint(&pull->failure, "pin again to take the new one, or name the old one by its digest");
}

static void on_resolved(void *context, struct resolution *resolution, const struct failure *failure)
{
    struct pull *pull = context;
    const struct descpipe_host *host = host_of(pull);
    pull->resolve = NULL;
    if (failure != NULL)
        failure_copy(&pull->failure, failure);
    else {
        pull->resolution = *resolution;
        *resolution = (struct resolution){0};
        check_pin(pull);
    }
    if (is_stopped(pull))
        finish(pull);
    else
        host->work->run(host, work_on_description, on_described, pull);
}

static void resolve_image(struct pull *pull)
{
    cleanup(memory_free) char *folder = blobs_folder(pull->store);
    const struct resolve_request request = {.client = pull->client,
                                            .reference = &pull->reference,
                                            .platform = pull->image->platform,
                                            .cache_folder = folder,
                                            .done = on_resolved,
                                            .context = pull};
    pull->resolve = resolve_start(&request, &pull->failure);
    if (pull->resolve == NULL)
        finish(pull);
}

static void on_credential(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct pull *pull = context;
    if (message != NULL)
        failure_set(&pull->failure, DESCPIPE_FAILED_NEEDS_LOGIN, "image '%s': %s", pull->image->reference, message);
    if (!is_stopped(pull))
        pull->client = registry_clients_get(pull->native->clients, pull->reference.host, credential, &pull->failure);
    if (pull->client == NULL)
        finish(pull);
    else
        resolve_image(pull);
}

/* The pin of the manifest is as good as the tag, and cannot move. */
static bool read_reference(struct pull *pull)
{
    const struct descpipe_image *image = pull->image;
    struct failure *failure = &pull->failure;
    if (!reference_read(&pull->reference, image->reference, failure) ||
        !reference_use_docker_defaults(&pull->reference, failure))
        return false;
    if (image->manifest_digest == NULL || pull->reference.digest != NULL)
        return true;
    pull->reference.digest = strdup(image->manifest_digest);
    return pull->reference.digest != NULL ? true : failure_memory(failure);
}

static void ask_credential(struct pull *pull)
{
    const struct descpipe_host *host = host_of(pull);
    if (read_reference(pull))
        host->credential->for_image(host, pull->image, DESCPIPE_PURPOSE_PULL, on_credential, pull);
    else
        finish(pull);
}

/* --- what is here --- */

/* An image that was fetched under another name has this one from now on, so that it can be pushed under it. */
static void note_name(struct pull *pull, const char *config_digest)
{
    cleanup(failure_clear) struct failure ignored = FAILURE_INIT; /* a name is only a help */
    if (!names_find_image(pull->store, config_digest, &pull->known))
        return;
    struct name name = pull->known;
    name.reference = (char *)(uintptr_t)pull->image->reference;
    name.platform = (char *)(uintptr_t)(pull->image->platform != NULL ? pull->image->platform : "");
    names_write(pull->store, &name, &ignored);
}

/* By the pin, or by what the name meant here; `always` and no pin is for the registry to say. */
static void work_on_looking(void *context)
{
    struct pull *pull = context;
    const struct descpipe_image *image = pull->image;
    if (pull->store == NULL && (pull->store = store_open(pull->native->store, &pull->failure)) == NULL)
        return;
    if (pull->fetch && !store_enter(pull->store, &pull->busy, &pull->failure))
        return;
    bool known = names_find(pull->store, image->reference, image->platform, &pull->known);
    if (known && image->config_digest != NULL && strcmp(pull->known.config_digest, image->config_digest) != 0)
        name_clear(&pull->known);
    const char *digest = image->config_digest != NULL ? image->config_digest : pull->known.config_digest;
    bool ask_first = pull->fetch && image->config_digest == NULL && image->pull == DESCPIPE_PULL_ALWAYS;
    if (digest == NULL || ask_first)
        return;
    pull->root = store_find_image(pull->store, digest, &pull->failure);
    if (pull->root != NULL && !known)
        note_name(pull, digest);
}

static void on_looked(void *context);

static void look(void *context)
{
    struct pull *pull = context;
    const struct descpipe_host *host = host_of(pull);
    pull->busy = false;
    host->work->run(host, work_on_looking, on_looked, pull);
}

static void on_looked(void *context)
{
    struct pull *pull = context;
    const struct descpipe_host *host = host_of(pull);
    if (is_stopped(pull) || pull->root != NULL) {
        finish(pull);
        return;
    }
    if (pull->busy) {
        host->call->progress(pull->call, 0, 0, "the store is being pruned");
        host->timer->start(host, BUSY_RETRY_MS, look, pull);
        return;
    }
    if (pull->fetch && pull->image->pull != DESCPIPE_PULL_NEVER) {
        ask_credential(pull);
        return;
    }
    failure_set(&pull->failure, DESCPIPE_FAILED_NOT_FOUND, "image '%s' is not in the store of runtime 'native'",
                pull->image->reference);
    if (pull->fetch)
        failure_hint(&pull->failure, "it may not be fetched (pull: never); fetch it with: descpipe pull");
    finish(pull);
}

static void stop_pull(void *context)
{
    struct pull *pull = context;
    atomic_store(&pull->stop, true);
    resolve_stop(pull->resolve);
    for (size_t i = 0; pull->layers != NULL && i < pull->description.layers_count; i++)
        blob_fetch_stop(pull->layers[i].fetch);
}

void pull_image(struct native *native, struct descpipe_call *call, const struct descpipe_image *image, bool fetch)
{
    struct pull *pull = calloc(1, sizeof *pull);
    if (pull == NULL) {
        native->host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    pull->native = native;
    pull->call = call;
    pull->image = image;
    pull->fetch = fetch;
    native->host->call->on_cancel(call, stop_pull, pull);
    look(pull);
}
