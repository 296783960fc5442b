/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a reference means right now; resolve.h tells how.
 *
 * A resolve goes from document to document: HEAD (with a cache), what the reference names, through indexes to the
 * manifest, the config; or, when the tag is not there, the list of tags for the nearest ones.
 */
#include "registry/image/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/digest.h"
#include "registry/document.h"
#include "registry/image/choose.h"
#include "registry/image/document_cache.h"
#include "registry/image/tags.h"
#include "registry/manifest.h"

#define NEAREST 5
#define NEAREST_OF 5000 /* tags that are looked at */

static const char *const manifest_headers[] = {"Accept: application/vnd.oci.image.index.v1+json",
                                               "Accept: application/vnd.oci.image.manifest.v1+json",
                                               "Accept: application/vnd.docker.distribution.manifest.list.v2+json",
                                               "Accept: application/vnd.docker.distribution.manifest.v2+json", NULL};

struct resolve {
    struct resolve_request request;
    struct reference reference;
    char *platform, *cache_folder;
    char *what;   /* "image 'host/name:tag'" */
    char *object; /* the digest that is asked for now; NULL: the tag */
    int depth;
    struct resolution resolution;
    struct client_exchange *exchange;
    struct tags *tags;
    struct descpipe_timer *timer;
    bool stopped;
    struct failure failure; /* what is told at the end */
};

void resolution_clear(struct resolution *resolution)
{
    free(resolution->digest);
    free(resolution->manifest_digest);
    free(resolution->media_type);
    free(resolution->config_digest);
    free(resolution->platform);
    free(resolution->manifest);
    free(resolution->config);
    *resolution = (struct resolution){0};
}

struct descpipe_image_identity resolution_identity(const struct resolution *resolution)
{
    return (struct descpipe_image_identity){.size = sizeof(struct descpipe_image_identity),
                                            .config_digest = resolution->config_digest,
                                            .manifest_digest = resolution->manifest_digest,
                                            .media_type = resolution->media_type,
                                            .platform = resolution->platform,
                                            .stored_bytes = resolution->stored_bytes,
                                            .created_at_ms = resolution->created_at_ms};
}

static void resolve_free(struct resolve *resolve)
{
    resolution_clear(&resolve->resolution);
    reference_clear(&resolve->reference);
    failure_clear(&resolve->failure);
    free(resolve->platform);
    free(resolve->cache_folder);
    free(resolve->what);
    free(resolve->object);
    registry_client_release(resolve->request.client);
    free(resolve);
}

static void finish(void *context)
{
    struct resolve *resolve = context;
    bool good = resolve->failure.kind == 0;
    resolve->request.done(resolve->request.context, good ? &resolve->resolution : NULL,
                          good ? NULL : &resolve->failure);
    resolve_free(resolve);
}

/* Everything may come from the cache, and yet `done` must not come before the start has returned. */
static void finish_soon(struct resolve *resolve)
{
    const struct descpipe_host *host = registry_client_access(resolve->request.client)->host;
    resolve->timer = host->timer->start(host, 0, finish, resolve);
}

static bool copy_text(char **to, const char *from, struct failure *failure)
{
    char *copy = from != NULL ? strdup(from) : NULL;
    if (from != NULL && copy == NULL)
        return failure_memory(failure);
    free(*to);
    *to = copy;
    return true;
}

static bool ask_document(struct resolve *resolve, bool head);
static bool ask_config(struct resolve *resolve);

/* --- documents --- */

static bool use_config(struct resolve *resolve, const char *bytes, size_t length)
{
    struct resolution *resolution = &resolve->resolution;
    cleanup(oci_config_clear) struct oci_config config = {0};
    if (!oci_config_read(&config, bytes, length, &resolve->failure))
        return failure_wrap(&resolve->failure, "%s: its config", resolve->what);
    if (resolve->platform != NULL && !oci_platform_matches(config.platform, resolve->platform) &&
        !oci_platform_matches(resolve->platform, config.platform)) {
        failure_set(&resolve->failure, DESCPIPE_FAILED_NOT_FOUND, "%s: it is not made for %s, only for %s",
                    resolve->what, resolve->platform, config.platform);
        return failure_hint(&resolve->failure, "build it for %s, or run it where its platform is", resolve->platform);
    }
    free(resolution->platform);
    resolution->platform = steal(&config.platform);
    resolution->created_at_ms = config.created_at_ms;
    resolution->config = malloc(length + 1);
    if (resolution->config == NULL)
        return failure_memory(&resolve->failure);
    memcpy(resolution->config, bytes, length);
    resolution->config[length] = '\0';
    resolution->config_length = length;
    return true;
}

static bool add_sizes(struct resolution *resolution, const struct oci_manifest *manifest, struct failure *failure)
{
    resolution->stored_bytes = manifest->config.bytes;
    for (size_t i = 0; i < manifest->layers_count; i++) {
        if (manifest->layers[i].bytes > INT64_MAX - resolution->stored_bytes)
            return failure_set(failure, DESCPIPE_FAILED_REFUSED, "its layers are larger than anything");
        resolution->stored_bytes += manifest->layers[i].bytes;
    }
    return true;
}

static bool use_manifest(struct resolve *resolve, const char *digest, const char *media_type, const char *bytes,
                         size_t length)
{
    struct resolution *resolution = &resolve->resolution;
    cleanup(oci_manifest_clear) struct oci_manifest manifest = {0};
    if (!oci_manifest_read(&manifest, bytes, length, &resolve->failure) ||
        !add_sizes(resolution, &manifest, &resolve->failure))
        return failure_wrap(&resolve->failure, "%s: its manifest", resolve->what);
    if (!copy_text(&resolution->manifest_digest, digest, &resolve->failure) ||
        !copy_text(&resolution->media_type, media_type, &resolve->failure) ||
        !copy_text(&resolution->config_digest, manifest.config.digest, &resolve->failure))
        return false;
    resolution->manifest = malloc(length + 1);
    if (resolution->manifest == NULL)
        return failure_memory(&resolve->failure);
    memcpy(resolution->manifest, bytes, length);
    resolution->manifest[length] = '\0';
    resolution->manifest_length = length;
    return ask_config(resolve);
}

static bool use_index(struct resolve *resolve, const char *bytes, size_t length)
{
    cleanup(oci_index_clear) struct oci_index index = {0};
    if (++resolve->depth > OCI_INDEX_DEPTH_LIMIT)
        return failure_set(&resolve->failure, DESCPIPE_FAILED_REFUSED, "%s: it has indexes in indexes, %d deep",
                           resolve->what, OCI_INDEX_DEPTH_LIMIT);
    if (!oci_index_read(&index, bytes, length, &resolve->failure))
        return failure_wrap(&resolve->failure, "%s: its index", resolve->what);
    const struct oci_descriptor *chosen = choose_platform(&index, resolve->platform, resolve->what, &resolve->failure);
    return chosen != NULL && copy_text(&resolve->object, chosen->digest, &resolve->failure) &&
           ask_document(resolve, false);
}

/* What the document says of itself; else what it looks like. NULL: neither. Owned. */
static char *media_type_of(const char *bytes, size_t length, struct failure *failure)
{
    cleanup(document_free) json_t *root = document_parse(bytes, length, failure);
    const char *said = json_string_value(json_object_get(root, "mediaType"));
    if (root == NULL)
        return NULL;
    if (said != NULL)
        return strdup(said);
    if (json_is_array(json_object_get(root, "manifests")))
        return strdup("application/vnd.oci.image.index.v1+json");
    if (json_is_array(json_object_get(root, "layers")))
        return strdup("application/vnd.oci.image.manifest.v1+json");
    if (json_is_array(json_object_get(root, "fsLayers"))) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "it is in Docker's first format, which no one writes any more");
        failure_hint(failure, "push the image again with a tool of today");
    } else
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "it is neither a manifest nor an index");
    return NULL;
}

/* A manifest or an index whose digest is known to be right. */
static bool use_document(struct resolve *resolve, const char *digest, const char *bytes, size_t length)
{
    cleanup(memory_free) char *media_type = media_type_of(bytes, length, &resolve->failure);
    if (media_type == NULL)
        return resolve->failure.kind != 0 ? failure_wrap(&resolve->failure, "%s", resolve->what)
                                          : failure_memory(&resolve->failure);
    if (resolve->resolution.digest == NULL && !copy_text(&resolve->resolution.digest, digest, &resolve->failure))
        return false;
    const struct oci_descriptor descriptor = {.media_type = media_type};
    return oci_document_is_index(&descriptor) ? use_index(resolve, bytes, length)
                                              : use_manifest(resolve, digest, media_type, bytes, length);
}

/* --- answers --- */

static bool fail_digest(struct resolve *resolve, const char *expected, const char *actual)
{
    failure_set(&resolve->failure, DESCPIPE_FAILED_REFUSED,
                "%s: '%s' sent something else than it was asked for: its digest is %s, not %s", resolve->what,
                registry_client_access(resolve->request.client)->server, actual, expected);
    return failure_hint(&resolve->failure,
                        "a proxy or the registry has damaged it: try another mirror, or push it again");
}

/* The digest of what came, compared with what was asked for or announced. */
static bool check_digest(struct resolve *resolve, const struct client_answer *answer, const char *expected,
                         char digest[DIGEST_SIZE])
{
    const char *said = client_answer_header(answer, "Docker-Content-Digest");
    if (!digest_of_bytes(answer->body, answer->body_length, digest))
        return failure_memory(&resolve->failure);
    if (expected != NULL && strcmp(digest, expected) != 0)
        return fail_digest(resolve, expected, digest);
    if (expected == NULL && said != NULL && oci_digest_valid(said) && strcmp(digest, said) != 0)
        return fail_digest(resolve, said, digest);
    return true;
}

/* True: something is under way, or the resolution is complete. */
static void settle(struct resolve *resolve, bool under_way)
{
    if (!under_way || (resolve->exchange == NULL && resolve->tags == NULL))
        finish_soon(resolve);
}

static void on_config(void *context, const struct client_answer *answer, const struct failure *failure)
{
    struct resolve *resolve = context;
    char digest[DIGEST_SIZE];
    resolve->exchange = NULL;
    if (failure != NULL) {
        failure_copy(&resolve->failure, failure);
        settle(resolve, false);
        return;
    }
    bool good = check_digest(resolve, answer, resolve->resolution.config_digest, digest) &&
                use_config(resolve, answer->body, answer->body_length);
    if (good)
        document_cache_write(resolve->cache_folder, digest, answer->body, answer->body_length);
    settle(resolve, good);
}

static bool is_listed(const char *const *tags, size_t count, const char *tag)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(tags[i], tag) == 0)
            return true;
    return false;
}

static void tell_nearest(void *context, const char *const *tags, size_t count, const struct failure *failure)
{
    struct resolve *resolve = context;
    const struct reference *reference = &resolve->reference;
    resolve->tags = NULL;
    cleanup(memory_free) char *name = reference_name(reference, &resolve->failure);
    cleanup(memory_free) char *nearest =
        failure == NULL ? tags_nearest(tags, count, reference_object(reference), NEAREST) : NULL;
    if (name == NULL)
        ;
    else if (failure != NULL) {
        failure_set(&resolve->failure, DESCPIPE_FAILED_NOT_FOUND,
                    "%s: '%s' has no such repository, or does not show it", resolve->what,
                    registry_client_access(resolve->request.client)->server);
        failure_hint(&resolve->failure, "check the name; a private image needs a login");
    } else if (is_listed(tags, count, reference_object(reference))) {
        failure_set(&resolve->failure, DESCPIPE_FAILED_NOT_FOUND,
                    "%s: '%s' lists the tag '%s', but has no image for it", resolve->what, name,
                    reference_object(reference));
        failure_hint(&resolve->failure, "push it again: its manifest is lost, or of a kind that is not asked for");
    } else {
        failure_set(&resolve->failure, DESCPIPE_FAILED_NOT_FOUND, "%s: '%s' has no tag '%s'", resolve->what, name,
                    reference_object(reference));
        if (nearest != NULL)
            failure_hint(&resolve->failure, "the nearest that it has: %s", nearest);
        else
            failure_hint(&resolve->failure, "it has no tags at all");
    }
    finish(resolve);
}

static void ask_nearest(struct resolve *resolve, const struct failure *failure)
{
    const struct tags_request request = {.client = resolve->request.client,
                                         .repository = resolve->reference.repository,
                                         .limit = NEAREST_OF,
                                         .done = tell_nearest,
                                         .context = resolve};
    if (resolve->reference.digest == NULL && !resolve->stopped)
        resolve->tags = tags_start(&request, &resolve->failure);
    if (resolve->tags != NULL)
        return;
    failure_copy(&resolve->failure, failure);
    finish_soon(resolve);
}

static void on_document(void *context, const struct client_answer *answer, const struct failure *failure)
{
    struct resolve *resolve = context;
    char digest[DIGEST_SIZE];
    resolve->exchange = NULL;
    if (failure != NULL && failure->kind == DESCPIPE_FAILED_NOT_FOUND && resolve->depth == 0) {
        ask_nearest(resolve, failure);
        return;
    }
    if (failure != NULL) {
        failure_copy(&resolve->failure, failure);
        settle(resolve, false);
        return;
    }
    const char *expected = resolve->object != NULL ? resolve->object : resolve->reference.digest;
    bool good = check_digest(resolve, answer, expected, digest);
    if (good)
        document_cache_write(resolve->cache_folder, digest, answer->body, answer->body_length);
    settle(resolve, good && use_document(resolve, digest, answer->body, answer->body_length));
}

/* HEAD told the digest, or at least that it exists. */
static void on_head(void *context, const struct client_answer *answer, const struct failure *failure)
{
    struct resolve *resolve = context;
    const char *said = client_answer_header(answer, "Docker-Content-Digest");
    if (failure != NULL) {
        on_document(context, answer, failure);
        return;
    }
    resolve->exchange = NULL;
    bool good = said == NULL || !oci_digest_valid(said) || copy_text(&resolve->object, said, &resolve->failure);
    settle(resolve, good && ask_document(resolve, false));
}

/* --- questions --- */

static bool send(struct resolve *resolve, const struct client_request *request)
{
    resolve->exchange = registry_client_send(resolve->request.client, request, &resolve->failure);
    return resolve->exchange != NULL;
}

/* From the cache, or from the registry. */
static bool ask_document(struct resolve *resolve, bool head)
{
    const char *digest = resolve->object != NULL ? resolve->object : resolve->reference.digest;
    size_t length;
    cleanup(memory_free) char *known =
        digest != NULL ? document_cache_read(resolve->cache_folder, digest, &length) : NULL;
    if (known != NULL)
        return use_document(resolve, digest, known, length);
    cleanup(memory_free) char *path = NULL;
    if (asprintf(&path, "/v2/%s/manifests/%s", resolve->reference.repository,
                 digest != NULL ? digest : reference_object(&resolve->reference)) < 0) {
        path = NULL;
        return failure_memory(&resolve->failure);
    }
    const struct client_request request = {.method = head ? "HEAD" : "GET",
                                           .path = path,
                                           .repository = resolve->reference.repository,
                                           .actions = "pull",
                                           .headers = manifest_headers,
                                           .answer_limit = OCI_DOCUMENT_LIMIT,
                                           .what = resolve->what,
                                           .done = head ? on_head : on_document,
                                           .context = resolve};
    return send(resolve, &request);
}

static bool ask_config(struct resolve *resolve)
{
    const char *digest = resolve->resolution.config_digest;
    size_t length;
    cleanup(memory_free) char *known = document_cache_read(resolve->cache_folder, digest, &length);
    if (known != NULL)
        return use_config(resolve, known, length);
    cleanup(memory_free) char *path = NULL;
    if (asprintf(&path, "/v2/%s/blobs/%s", resolve->reference.repository, digest) < 0) {
        path = NULL;
        return failure_memory(&resolve->failure);
    }
    const struct client_request request = {.method = "GET",
                                           .path = path,
                                           .repository = resolve->reference.repository,
                                           .actions = "pull",
                                           .answer_limit = OCI_DOCUMENT_LIMIT,
                                           .what = resolve->what,
                                           .done = on_config,
                                           .context = resolve};
    return send(resolve, &request);
}

static bool copy_request(struct resolve *resolve, const struct resolve_request *request, struct failure *failure)
{
    resolve->request = *request;
    registry_client_retain(request->client);
    if (!reference_copy(&resolve->reference, request->reference, failure) ||
        !copy_text(&resolve->platform, request->platform, failure) ||
        !copy_text(&resolve->cache_folder, request->cache_folder, failure))
        return false;
    cleanup(memory_free) char *text = reference_text(&resolve->reference, failure);
    if (text == NULL)
        return false;
    if (asprintf(&resolve->what, "image '%s'", text) >= 0)
        return true;
    resolve->what = NULL;
    return failure_memory(failure);
}

struct resolve *resolve_start(const struct resolve_request *request, struct failure *failure)
{
    struct resolve *resolve = calloc(1, sizeof *resolve);
    if (resolve == NULL) {
        failure_memory(failure);
        return NULL;
    }
    if (!copy_request(resolve, request, failure)) {
        resolve_free(resolve);
        return NULL;
    }
    settle(resolve, ask_document(resolve, resolve->cache_folder != NULL && resolve->reference.digest == NULL));
    return resolve;
}

void resolve_stop(struct resolve *resolve)
{
    if (resolve == NULL || resolve->stopped)
        return;
    resolve->stopped = true;
    client_exchange_stop(resolve->exchange);
    tags_stop(resolve->tags);
}
