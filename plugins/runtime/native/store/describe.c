/* SPDX-License-Identifier: BSD-3-Clause */
/* What image a source holds: found by tag and platform, read without unpacking anything, every digest checked. */
#include "describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/digest.h"
#include "registry/document.h"
#include "registry/manifest.h"
#include "registry/ownership.h"

#define DOCKER_MEDIA_TYPE "application/vnd.docker.image.save"

void description_clear(struct description *description)
{
    free(description->config_digest);
    free(description->config_name);
    free(description->manifest_digest);
    free(description->media_type);
    free(description->platform);
    for (size_t i = 0; i < description->layers_count; i++) {
        free(description->layers[i].name);
        free(description->layers[i].digest);
        free(description->layers[i].diff_id);
    }
    free(description->layers);
    document_texts_free(description->environment, description->environment_count);
    *description = (struct description){0};
}

static char *blob_name(const char *digest)
{
    char *name = NULL;
    return asprintf(&name, "blobs/sha256/%s", digest + 7) < 0 ? NULL : name;
}

/* A document by its digest, which is compared. */
static char *read_blob(const struct source *source, const char *digest, size_t *length, struct failure *failure)
{
    cleanup(memory_free) char *name = blob_name(digest);
    char actual[72];
    if (name == NULL) {
        failure_memory(failure);
        return NULL;
    }
    cleanup(memory_free) char *bytes = source_read_document(source, name, length, failure);
    if (bytes == NULL)
        return NULL;
    if (!digest_of_bytes(bytes, *length, actual)) {
        failure_memory(failure);
        return NULL;
    }
    if (strcmp(actual, digest) != 0) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' in '%s' is damaged: its digest is %s", name,
                    source_path(source), actual);
        return NULL;
    }
    return steal(&bytes);
}

static bool copy_text(char **to, const char *from, struct failure *failure)
{
    *to = strdup(from);
    return *to != NULL ? true : failure_memory(failure);
}

static bool use_config(struct description *description, const char *name, const char *bytes, size_t length,
                       const struct descpipe_image *image, struct failure *failure)
{
    cleanup(oci_config_clear) struct oci_config config = {0};
    char digest[72];
    if (!oci_config_read(&config, bytes, length, failure))
        return failure_wrap(failure, "image config");
    if (!digest_of_bytes(bytes, length, digest) || !copy_text(&description->config_digest, digest, failure))
        return failure_memory(failure);
    description->config_bytes = length;
    if (!copy_text(&description->config_name, name, failure))
        return false;
    if (!oci_platform_matches(config.platform, image->platform))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is for %s, not for %s", image->reference,
                           config.platform, image->platform);
    if (image->config_digest != NULL && strcmp(image->config_digest, digest) != 0) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is not the pinned image: it is %s, and %s is pinned",
                    image->reference, digest, image->config_digest);
        return failure_hint(failure, "put the pinned image back, or pin again");
    }
    if (config.diff_ids_count != description->layers_count)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' has %zu layers, and its config lists %zu",
                           image->reference, description->layers_count, config.diff_ids_count);
    for (size_t i = 0; i < description->layers_count; i++)
        description->layers[i].diff_id = steal(&config.diff_ids[i]);
    description->platform = steal(&config.platform);
    description->environment_count = config.environment_count;
    description->environment = steal(&config.environment);
    config.environment_count = 0;
    description->created_at_ms = config.created_at_ms;
    return true;
}

static bool use_manifest(struct description *description, const struct source *source,
                         const struct oci_manifest *manifest, const struct descpipe_image *image,
                         struct failure *failure)
{
    description->layers = calloc(manifest->layers_count + 1, sizeof *description->layers);
    if (description->layers == NULL)
        return failure_memory(failure);
    description->stored_bytes = manifest->config.bytes;
    for (size_t i = 0; i < manifest->layers_count; i++) {
        struct described_layer *layer = &description->layers[description->layers_count++];
        if (!copy_text(&layer->digest, manifest->layers[i].digest, failure))
            return false;
        layer->bytes = manifest->layers[i].bytes;
        if ((layer->name = blob_name(layer->digest)) == NULL)
            return failure_memory(failure);
        description->stored_bytes += manifest->layers[i].bytes;
    }
    size_t length;
    cleanup(memory_free) char *bytes = read_blob(source, manifest->config.digest, &length, failure);
    cleanup(memory_free) char *name = bytes != NULL ? blob_name(manifest->config.digest) : NULL;
    if (bytes != NULL && name == NULL)
        return failure_memory(failure);
    return bytes != NULL && use_config(description, name, bytes, length, image, failure);
}

/* From index.json through nested indexes to one manifest. */
static bool find_manifest(const struct source *source, const struct descpipe_image *image,
                          struct oci_manifest *manifest, char **digest, char **media_type, struct failure *failure)
{
    size_t length;
    const char *tag = image->tag;
    cleanup(memory_free) char *bytes = source_read_document(source, "index.json", &length, failure);
    for (int depth = 0; bytes != NULL && depth < OCI_INDEX_DEPTH_LIMIT; depth++) {
        cleanup(oci_index_clear) struct oci_index index = {0};
        if (!oci_index_read(&index, bytes, length, failure))
            return failure_wrap(failure, "'%s'", source_path(source));
        const struct oci_descriptor *chosen = oci_index_choose(&index, tag, image->platform, image->reference, failure);
        if (chosen == NULL)
            return false;
        free(bytes);
        bytes = read_blob(source, chosen->digest, &length, failure);
        if (bytes == NULL)
            return false;
        tag = NULL; /* names are told apart on the first level only */
        if (oci_document_is_index(chosen))
            continue;
        return copy_text(digest, chosen->digest, failure) && copy_text(media_type, chosen->media_type, failure) &&
               (oci_manifest_read(manifest, bytes, length, failure) ||
                failure_wrap(failure, "manifest of '%s'", image->reference));
    }
    return bytes == NULL ? false
                         : failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' has indexes in indexes, %d deep",
                                       image->reference, OCI_INDEX_DEPTH_LIMIT);
}

static bool describe_layout(struct description *description, const struct source *source,
                            const struct descpipe_image *image, struct failure *failure)
{
    if (!source_has(source, "index.json")) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is no OCI image: it has no index.json", image->reference);
        if (source_has(source, "manifest.json"))
            failure_hint(failure, "it looks like an archive of `docker save`: name it docker-archive:FILE");
        else
            failure_hint(failure, "a folder with the files of a root is named rootfs:FOLDER");
        return false;
    }
    cleanup(oci_manifest_clear) struct oci_manifest manifest = {0};
    return find_manifest(source, image, &manifest, &description->manifest_digest, &description->media_type, failure) &&
           use_manifest(description, source, &manifest, image, failure);
}

/* The old form names a config by its digest; then the name must be true. */
static bool check_config_name(const char *name, const struct description *description, struct failure *failure)
{
    const char *slash = strrchr(name, '/'), *last = slash != NULL ? slash + 1 : name;
    if (strspn(last, "0123456789abcdef") != 64 || strncmp(last, description->config_digest + 7, 64) == 0)
        return true;
    return failure_set(failure, DESCPIPE_FAILED_REFUSED, "image config '%s' is damaged: its digest is %s", name,
                       description->config_digest);
}

static bool use_docker_image(struct description *description, const struct source *source,
                             const struct docker_image *chosen, const struct descpipe_image *image,
                             struct failure *failure)
{
    description->layers = calloc(chosen->layers_count + 1, sizeof *description->layers);
    if (description->layers == NULL)
        return failure_memory(failure);
    while (description->layers_count < chosen->layers_count) {
        size_t i = description->layers_count++;
        if (!copy_text(&description->layers[i].name, chosen->layers[i], failure))
            return false;
    }
    size_t length;
    cleanup(memory_free) char *bytes = source_read_document(source, chosen->config, &length, failure);
    return bytes != NULL && copy_text(&description->media_type, DOCKER_MEDIA_TYPE, failure) &&
           use_config(description, chosen->config, bytes, length, image, failure) &&
           check_config_name(chosen->config, description, failure);
}

static bool describe_docker(struct description *description, const struct source *source,
                            const struct descpipe_image *image, struct failure *failure)
{
    if (!source_has(source, "manifest.json")) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is no archive of `docker save`: it has no manifest.json",
                    image->reference);
        if (source_has(source, "index.json"))
            failure_hint(failure, "it looks like an OCI archive: name it oci-archive:FILE");
        else
            failure_hint(failure, "an archive of `docker export` is no image: unpack it and name it rootfs:FOLDER");
        return false;
    }
    size_t length;
    cleanup(memory_free) char *bytes = source_read_document(source, "manifest.json", &length, failure);
    cleanup(docker_images_clear) struct docker_images images = {0};
    if (bytes == NULL)
        return false;
    if (!docker_images_read(&images, bytes, length, failure))
        return failure_wrap(failure, "'%s'", image->reference);
    const struct docker_image *chosen = docker_images_choose(&images, image->tag, image->reference, failure);
    return chosen != NULL && use_docker_image(description, source, chosen, image, failure);
}

bool description_read(struct description *description, const struct source *source, const struct descpipe_image *image,
                      struct failure *failure)
{
    *description = (struct description){0};
    bool docker = image->source == DESCPIPE_SOURCE_DOCKER_ARCHIVE;
    if (docker ? describe_docker(description, source, image, failure)
               : describe_layout(description, source, image, failure))
        return true;
    description_clear(description);
    return false;
}

bool description_of_manifest(struct description *description, const struct source *source, const char *manifest_digest,
                             const char *media_type, const char *bytes, size_t length,
                             const struct descpipe_image *image, struct failure *failure)
{
    cleanup(oci_manifest_clear) struct oci_manifest manifest = {0};
    *description = (struct description){0};
    if (!oci_manifest_read(&manifest, bytes, length, failure))
        return failure_wrap(failure, "manifest of '%s'", image->reference);
    if (copy_text(&description->manifest_digest, manifest_digest, failure) &&
        copy_text(&description->media_type, media_type, failure) &&
        use_manifest(description, source, &manifest, image, failure))
        return true;
    description_clear(description);
    return false;
}
